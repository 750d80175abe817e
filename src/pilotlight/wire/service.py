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
from pilotlight.wire.models import Model, Operation, load_model
from pilotlight.wire.parse import OperationParser
from pilotlight.wire.quirks import QUIRKS, Quirks
from pilotlight.wire.render import OperationRenderer
from pilotlight.wire.routing import Match, RestRouter, TargetRouter
from pilotlight.wire.validate import OperationValidator

logger = logging.getLogger(__name__)


class _Prepared(msgspec.Struct):
    """What one operation needs, built once."""

    operation: Operation
    parser: OperationParser
    validator: OperationValidator
    renderer: OperationRenderer


class ServiceApi:
    """`service` is botocore's name for it (`lambda`, `logs`); `handlers` has one per operation that exists here."""

    def __init__(self, service: str, handlers: Mapping[str, Handler], *, quirks: Quirks | None = None) -> None:
        self._service = service
        self._handlers = handlers
        self._quirks = quirks or QUIRKS.get(service, Quirks())
        self._model: Model | None = None
        self._rest: RestRouter | None = None
        self._targets: TargetRouter | None = None
        self._prepared: dict[str, _Prepared] = {}

    @property
    def model(self) -> Model:
        """The service's model; the first use reads it (milliseconds)."""
        if self._model is None:
            self._model = load_model(self._service)
            if self._model.protocol == "json":
                self._targets = TargetRouter(self._model)
            else:
                self._rest = RestRouter(self._model)
        return self._model

    def route(self, method: str, path: str, headers: Mapping[str, str], query_string: str = "") -> str | None:
        """The operation's name; `path` as it was on the wire. None when the service has no such operation."""
        match = self._match(method, path, headers, query_string)
        return match.operation if match else None

    async def handle(self, request: WireRequest) -> WireResponse:
        """Never raises (but lets a cancellation through)."""
        try:
            match = self._match(request.method, request.raw_path, request.headers, request.query_string)
            if match is None:
                raise UnknownOperationException(_unknown(request))
            handler = self._handlers.get(match.operation)
            if handler is None:
                raise NotImplementedException(f"The operation {match.operation} is not implemented.")
            prepared = self._prepared.get(match.operation) or self._prepare(match.operation)
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
            return self.error_response(error, request.request_id)
        except Exception:
            logger.exception("%s: request %s failed", self._service, request.request_id)
            return self.error_response(ServiceException("An internal error occurred."), request.request_id)

    def error_response(self, error: AwsError, request_id: str) -> WireResponse:
        """`error` as this service's protocol writes it: for the front, where no operation was reached."""
        return render_error(self.model, error, request_id)

    def _match(self, method: str, path: str, headers: Mapping[str, str], query_string: str) -> Match | None:
        _ = self.model
        if self._targets is not None:
            return self._targets.match(headers) if method == "POST" else None
        assert self._rest is not None
        return self._rest.match(method, path, query_string)

    def _prepare(self, name: str) -> _Prepared:
        quirks, operation = self._quirks, self.model.operation(name)
        members = operation.input.members if operation.input else {}
        judged = [member.shape for name, member in members.items() if name in quirks.judged_enums]
        open_enums = frozenset((shape.element.shape if shape.element else shape).name for shape in judged)
        prepared = self._prepared[name] = _Prepared(
            operation,
            OperationParser(operation, self.model.protocol),
            OperationValidator(operation, open_enums, quirks.enum_orders),
            OperationRenderer(self.model, operation, quirks.statuses.get(name), quirks.payload_type),
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
