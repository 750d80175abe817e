"""Function URLs: which URL is whose, and what makes a request to one an invocation and its reply an answer.

Everything is in memory, from the functions the catalog has: what is needed of a URL is put together when it is first
asked for, and again after its function's record changed. The front reads and writes HTTP and knows who signed; it is
handed `FunctionUrls` and sees no event. Source: developer guide, "Lambda function URLs".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pilotlight.catalog import names, policy
from pilotlight.catalog.attached import UrlConfig
from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.catalog.views import FunctionKey, FunctionView
from pilotlight.clock import Clock
from pilotlight.environments.invocation import HTTP_INTEGRATION
from pilotlight.invoke.messages import FUNCTION_URL, InvokeReply, InvokeRequest
from pilotlight.observe.metrics import URL_LATENCY
from pilotlight.triggers.payload_v2 import EventWriter
from pilotlight.triggers.payload_v2_response import (
    DELIMITER,
    MAX_PRELUDE_BYTES,
    Malformed,
    read,
    read_plain,
    read_prelude,
)
from pilotlight.triggers.url_cors import Cors
from pilotlight.wire.http_messages import Headers, HttpAnswer, HttpCaller, HttpRequest

_REMEMBERED_HOSTS, _REMEMBERED_LENGTH = 4096, 256
_ERROR_HEADERS = [(b"content-type", b"application/json")]
_NOBODY = "", ""
_ERROR_BODY = b"Internal Server Error"


class Counts(Protocol):
    """The counters, as they are known here."""

    def count(self, metric: str, version: FunctionVersion, qualifier: str | None, value: float = 1) -> None: ...
    def observe(self, metric: str, version: FunctionVersion, qualifier: str | None, value: float) -> None: ...


class FunctionUrls:
    """`view` is the catalog's function; `domain` what hosts of URLs are under. To be subscribed to its functions."""

    def __init__(
        self, view: Callable[[str, str, str], FunctionView | None], counters: Counts, clock: Clock, domain: str
    ) -> None:
        self._view = view
        self._counters = counters
        self._clock = clock
        self._domain = domain
        self._places: dict[str, tuple[FunctionKey, str]] = {}
        """URL id -> its function, and its alias there ("" for none)."""
        self._ids: dict[FunctionKey, list[str]] = {}
        self._urls: dict[str, FunctionUrl] = {}
        self._hosts: dict[bytes, FunctionUrl] = {}
        """By the values of Host that clients use."""

    def follow(self, key: FunctionKey, function: Function | None) -> None:
        """The catalog's news of a function; None when it has gone."""
        before = self._ids.pop(key, [])
        for url_id in before:
            del self._places[url_id]
            self._urls.pop(url_id, None)
        if function is not None and function.urls:
            self._ids[key] = [url.url_id for url in function.urls.values()]
            self._places.update({url.url_id: (key, alias) for alias, url in function.urls.items()})
        if before:
            self._hosts.clear()

    def at_host(self, host: bytes) -> FunctionUrl | None:
        """The URL at `ID.lambda-url.REGION.anything`, by the value of a Host header; its names' case means nothing."""
        url = self._hosts.get(host)
        if url is None:
            labels = host.decode("latin-1").lower().split(".", 3)
            url = self.with_id(labels[0])
            if url is None or len(labels) < 4 or labels[1:3] != ["lambda-url", url.region]:
                return None
            if len(self._hosts) >= _REMEMBERED_HOSTS:
                self._hosts.clear()
            if len(host) <= _REMEMBERED_LENGTH:
                self._hosts[host] = url
        return url

    def with_id(self, url_id: str) -> FunctionUrl | None:
        url = self._urls.get(url_id)
        if url is None and (place := self._places.get(url_id)) is not None:
            key, alias = place
            view = self._view(*key)
            if view is not None and alias in view.function.urls:
                domain = f"{url_id}.lambda-url.{key[1]}.{self._domain}"
                writer = EventWriter(self._clock, url_id, domain)
                url = self._urls[url_id] = FunctionUrl(view, alias, writer, self._counters)
        return url


class FunctionUrl:
    """One URL as its function's record has it; another value when that changes."""

    def __init__(self, view: FunctionView, alias: str, writer: EventWriter, counters: Counts) -> None:
        self._function = function = view.function
        self._latest = view.latest
        self._counters = counters
        config: UrlConfig = function.urls[alias]
        self.region = function.region
        self.is_signed = config.auth_type == "AWS_IAM"
        self.streams = config.invoke_mode == "RESPONSE_STREAM"
        self._alias = alias or None
        self._auth_type = config.auth_type
        self._cors = Cors(config.cors) if config.cors else None
        self._writer = writer
        self._open: dict[tuple[str, str], bool] = {}
        """By account and ARN of callers that were judged: the policy stays what it is."""

    def preflight(self, fields: dict[bytes, bytes]) -> HttpAnswer | None:
        if self._cors is None or not self._cors.is_preflight(fields):
            return None
        return HttpAnswer(200, self._cors.preflight(fields))

    def page_headers(self, origin: bytes) -> Headers:
        return self._cors.headers(origin) if self._cors is not None else []

    def is_open_to(self, caller: HttpCaller | None) -> bool:
        """Whether the resource policy lets the caller through, which it must to everybody but callers of the function's
        own account: those have their identity policies for it, and these are not evaluated."""
        if not self.is_signed:
            who = _NOBODY
        elif caller is None:
            return False
        elif caller.account == self._function.account:
            return True
        else:
            who = caller.account, caller.arn
        known = self._open.get(who)
        if known is None:
            if len(self._open) >= _REMEMBERED_HOSTS:
                self._open.clear()
            known = self._open[who] = self._judge(*who)
        return known

    def _judge(self, account: str, arn: str) -> bool:
        function = self._function
        name = names.FunctionName(function.account, function.region, function.name, self._alias)
        attached = (*function.policies.get("", ()), *(function.policies.get(self._alias, ()) if self._alias else ()))
        return policy.may_invoke_url(attached, self._auth_type, name.arn, account, arn)

    def invocation(self, request: HttpRequest, body: bytes) -> InvokeRequest:
        function = self._function
        return InvokeRequest(
            function.account,
            function.region,
            function.name,
            self._alias,
            request.request_id,
            self._writer.event(request, body),
            trace_header=request.trace_header,
            trace_root=request.trace_root,
            caller=request.caller.arn if request.caller is not None else "",
            source=FUNCTION_URL,
        )

    def answer(self, reply: InvokeReply) -> HttpAnswer:
        if reply.function_error is not None:
            return _failed()
        try:
            return self._without_cors(read(reply.payload))
        except Malformed as malformed:
            return _failed(malformed.status)

    def streamed_head(self, content_type: str, got: bytes, *, ended: bool) -> tuple[HttpAnswer, bool] | None:
        """Status and headers are in the prelude, when the response says that it has one. A prelude that does not end,
        or says nothing that can be answered, is answered as a failed function."""
        try:
            if content_type.partition(";")[0].strip().lower() != HTTP_INTEGRATION:
                return read_plain(content_type, got), True
            prelude, found, body = got.partition(DELIMITER)
            if not found and not ended and len(got) <= MAX_PRELUDE_BYTES:
                return None
            if not found or len(prelude) > MAX_PRELUDE_BYTES:
                return _failed(), False
            answer = self._without_cors(read_prelude(prelude))
        except Malformed as malformed:
            return _failed(malformed.status), False
        answer.body = body
        return answer, True

    def answered(self, status: int, took_ms: float) -> None:
        counters, latest, alias = self._counters, self._latest, self._alias
        counters.observe(URL_LATENCY, latest, alias, took_ms)
        if status >= 400:
            counters.count("Url5xxCount" if status >= 500 else "Url4xxCount", latest, alias)

    def _without_cors(self, answer: HttpAnswer) -> HttpAnswer:
        """What the settings say takes precedence over what the function says."""
        cors = self._cors
        if cors is not None:
            answer.headers = [header for header in answer.headers if header[0] not in cors.provided]
        return answer


def _failed(status: int = 502) -> HttpAnswer:
    return HttpAnswer(status, _ERROR_HEADERS, _ERROR_BODY)
