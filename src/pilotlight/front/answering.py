"""What every kind of request on a connection needs to be answered: its head as a value, whole answers, refusals.

Between `HttpConnection`, which keeps requests and answers in order, and the subclasses that know what a request means.
"""

from __future__ import annotations

import httptools

from pilotlight.catalog.credentials import Identity
from pilotlight.errors import AwsError
from pilotlight.front import answers
from pilotlight.front.desk import Desk
from pilotlight.front.http_connection import Headers, HttpConnection
from pilotlight.front.request_head import Head
from pilotlight.front.router import scope_of, service_of


class AnsweringConnection(HttpConnection):
    """`identity` is set on connections from inside an environment: no guard and no signature, its caller is known."""

    def __init__(self, desk: Desk, identity: Identity | None = None) -> None:
        super().__init__(desk)
        self._identity = identity

    @property
    def is_inside(self) -> bool:
        """Whether the client is an environment of ours."""
        return self._identity is not None

    def write_refusal(self, error: AwsError) -> None:
        head: Head | None = None
        service = "lambda"
        request_id = self._desk.new_request_id()
        if self._fields:
            try:
                head = self._head(list(self._fields.items()), self._fields, request_id)
                service = service_of(head, scope_of(head))
            except httptools.HttpParserError:
                head = None
        extra = self._desk.guard.cors_headers(self._fields) if b"origin" in self._fields else []
        self._write_error(error, service, head, request_id, extra)

    def _write_error(self, error: AwsError, service: str, head: Head | None, request_id: str, extra: Headers) -> None:
        response = answers.error_response(error, service, head, request_id)
        assert isinstance(response.body, bytes)
        no_body = head is not None and head.method == "HEAD"
        self._write(response.status, answers.encoded(response.headers) + extra, response.body, no_body=no_body)

    def _write(self, status: int, headers: Headers, body: bytes, *, no_body: bool = False) -> None:
        self.transport.write(
            answers.whole(status, headers, body, date=self._desk.date, keep_alive=self._keep_current, no_body=no_body)
        )

    def _head(self, headers: Headers, fields: dict[bytes, bytes], request_id: str) -> Head:
        parsed = httptools.parse_url(self.url)
        return Head(
            self.parser.get_method().decode("latin-1"),
            (parsed.path or b"/").decode("latin-1"),
            (parsed.query or b"").decode("latin-1"),
            headers,
            fields,
            request_id,
            self._identity,
        )

    def _local_address(self) -> str:
        return self.server[0].removeprefix("::ffff:") if self.server else ""
