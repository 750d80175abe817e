"""One AWS service at the wire: a request goes in, a handler is called with parsed parameters, a response comes out.

Nothing escapes: what a handler raises becomes an AWS error, and what nobody foresaw a 500 with its cause in the log.
The model is read at the first request, and parsers, validators and renderers are built per operation at its first call.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from pilotlight.errors import (
    AwsError,
    NotImplementedException,
    ServiceException,
    UnknownOperationException,
)
from pilotlight.wire.error_bodies import render_error
from pilotlight.wire.messages import Call, Handler, WireRequest, WireResponse
from pilotlight.wire.models import Model, Protocol, load_model
from pilotlight.wire.parse import OperationParser
from pilotlight.wire.protocols import Router, protocol_of, router, uncompressed
from pilotlight.wire.query import QueryParser, QueryRenderer
from pilotlight.wire.quirks import QUIRKS, Quirks
from pilotlight.wire.render import OperationRenderer
from pilotlight.wire.routing import Match
from pilotlight.wire.validate import OperationValidator

logger = logging.getLogger(__name__)


class _Prepared(msgspec.Struct):
    """What one operation needs in one protocol, built once."""

    parser: OperationParser | QueryParser
    validator: OperationValidator
    renderer: OperationRenderer | QueryRenderer


class ServiceApi:
    """`service` is botocore's name for it (`lambda`, `logs`); `handlers` has one per operation that exists here."""

    def __init__(self, service: str, handlers: Mapping[str, Handler], *, quirks: Quirks | None = None) -> None:
        self._service = service
        self._handlers = handlers
        self._quirks = quirks or QUIRKS.get(service, Quirks())
        self._model: Model | None = None
        self._routers: dict[Protocol, Router] = {}
        self._prepared: dict[tuple[Protocol, str], _Prepared] = {}

    @property
    def model(self) -> Model:
        """The service's model; the first use reads it (milliseconds)."""
        if self._model is None:
            self._model = load_model(self._service)
            self._routers = {protocol: router(self._model, protocol) for protocol in self._model.protocols}
        return self._model

    def route(self, method: str, path: str, headers: Mapping[str, str], query_string: str = "") -> str | None:
        """The operation's name; `path` as it was on the wire. None when the service has no such operation, or its
        name is in the body."""
        match = self._match(WireRequest(method, path, query_string, dict(headers), b"", "", "", ""))
        return match.operation if match else None

    def serves(self, request: WireRequest) -> bool:
        """Whether a request is for one of the operations that there are handlers for; others may be passed on."""
        try:
            match = self._match(uncompressed(self.model, request))
        except AwsError:
            return True  # to be refused by `handle`
        return match is not None and match.operation in self._handlers

    async def handle(self, request: WireRequest) -> WireResponse:
        """Never raises (but lets a cancellation through)."""
        protocol = protocol_of(self.model, request.headers)
        try:
            request = uncompressed(self.model, request)
            match = self._match(request)
            if match is None:
                raise UnknownOperationException(_unknown(request))
            handler = self._handlers.get(match.operation)
            if handler is None:
                raise NotImplementedException(f"The operation {match.operation} is not implemented.")
            prepared = self._prepared.get((protocol, match.operation)) or self._prepare(match.operation, protocol)
            params = prepared.parser.parse(request, match.labels)
            self._validate(prepared, params)
            call = Call(
                match.operation,
                params,
                request.account,
                request.region,
                request.request_id,
                request.caller,
                request.host,
            )
            return prepared.renderer.render(await handler(call), request.request_id)
        except AwsError as error:
            return render_error(self.model, error, request.request_id, protocol)
        except Exception:
            logger.exception("%s: request %s failed", self._service, request.request_id)
            error = ServiceException("An internal error occurred.")
            return render_error(self.model, error, request.request_id, protocol)

    def _match(self, request: WireRequest) -> Match | None:
        model = self.model
        return self._routers[protocol_of(model, request.headers)].match(request)

    def _prepare(self, name: str, protocol: Protocol) -> _Prepared:
        quirks, operation = self._quirks, self.model.operation(name)
        members = operation.input.members if operation.input else {}
        judged = [member.shape for name, member in members.items() if name in quirks.judged_enums]
        open_enums = frozenset((shape.element.shape if shape.element else shape).name for shape in judged)
        status, payload_type = quirks.statuses.get(name), quirks.payload_type
        prepared = self._prepared[protocol, name] = _Prepared(
            QueryParser(operation) if protocol == "query" else OperationParser(operation, protocol),
            OperationValidator(operation, open_enums, quirks.enum_orders),
            QueryRenderer(self.model, operation)
            if protocol == "query"
            else OperationRenderer(self.model, operation, protocol, status=status, payload_type=payload_type),
        )
        return prepared

    def _validate(self, prepared: _Prepared, params: dict[str, Any]) -> None:
        message = prepared.validator.errors(params)
        if message is not None:
            raise self._quirks.validation_error(message)


def _unknown(request: WireRequest) -> str:
    target = request.headers.get("x-amz-target")
    wanted = target if target else f"{request.method} {request.raw_path}"
    return f"No operation of this service matches {wanted}"
