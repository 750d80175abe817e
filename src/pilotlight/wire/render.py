"""From a handler's result, by the model's names, to an HTTP response: status, headers and body.

As in `parse`, each shape becomes one function when its operation is first used. A result that names a member the model
does not have, or holds a wrong type, is our own mistake and raises `BadResult`: the client gets a 500 and the log says
why, instead of a member silently missing.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime
from typing import Any, Self, cast

import msgspec

from pilotlight.errors import AwsError, ServiceException
from pilotlight.wire import cbor, eventstream, timestamps
from pilotlight.wire.messages import WireResponse
from pilotlight.wire.models import Member, Model, Operation, Protocol, Shape

Render = Callable[[Any], Any]
_Json = dict[str, Any]

logger = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class BadResult(TypeError):
    """A handler's result does not fit the operation's output shape."""


class OperationRenderer:
    """Renders results of one operation. `status` and `payload_type`: what AWS sends where it differs from the model."""

    def __init__(
        self,
        model: Model,
        operation: Operation,
        protocol: Protocol,
        *,
        status: int | None = None,
        payload_type: str = "",
    ) -> None:
        self._operation = operation.name
        self._status = status or operation.status
        self._protocol: Protocol = protocol
        self._content_type = content_type(model, protocol)
        self._payload_type = payload_type or "application/octet-stream"
        self._status_member = ""
        self._headers: dict[str, Member] = {}
        self._prefixes: dict[str, Member] = {}
        self._body: dict[str, tuple[str, Render | None]] | None = None
        self._payload: Member | None = None
        self._render_payload: Render | None = None
        self._events: _EventRenderer | None = None
        self._stream_name = ""
        self._has_output = operation.output is not None
        self._rpc = protocol != "rest-json"
        if operation.output is not None:
            self._prepare(model, operation.output)

    def _prepare(self, model: Model, shape: Shape) -> None:
        renderers = _BodyRenderers(self._protocol)
        body: dict[str, tuple[str, Render | None]] = {}
        for name, member in shape.members.items():
            if member.shape.event_stream:
                self._stream_name = name
                self._events = _EventRenderer(member.shape, self._content_type)
            elif self._rpc or member.location is None:
                body[name] = (member.wire_name, renderers.of(member))
            elif member.location == "statusCode":
                self._status_member = name
            elif member.location == "headers":
                self._prefixes[name] = member
            else:
                self._headers[name] = member
        if shape.payload is not None and not self._rpc and self._events is None:
            self._payload = shape.members[shape.payload]
            self._render_payload = renderers.of(self._payload)
        else:
            self._body = body

    def render(self, result: _Json | None, request_id: str) -> WireResponse:
        headers = {"x-amzn-RequestId": request_id}
        cbor_spoken = self._protocol == "smithy-rpc-v2-cbor"
        if cbor_spoken:
            headers["smithy-protocol"] = "rpc-v2-cbor"
        status = self._status
        document: _Json = {}
        stream: Any = None
        payload: Any = None
        for name, value in (result or {}).items():
            if value is None:
                continue
            if self._body is not None and name in self._body:
                wire_name, convert = self._body[name]
                document[wire_name] = value if convert is None else convert(value)
            elif name == self._status_member:
                status = int(value)
            elif name in self._headers:
                member = self._headers[name]
                headers[member.wire_name] = _header_text(value, member)
            elif name in self._prefixes:
                prefix = self._prefixes[name].wire_name
                headers.update({prefix + key: str(item) for key, item in value.items()})
            elif self._payload is not None and name == self._payload.name:
                payload = value
            elif self._events is not None and name == self._stream_name:
                stream = value
            else:
                raise BadResult(f"{self._operation} has no output member {name!r}")
        if self._events is not None and stream is not None:
            headers["Content-Type"] = eventstream.CONTENT_TYPE
            initial = _encode(document) if self._rpc else None
            return WireResponse(status, headers, self._events.messages(stream, initial))
        if self._payload is not None:
            return WireResponse(status, headers, self._payload_body(payload, headers))
        if status == 204 or not (self._has_output or self._protocol == "json"):
            return WireResponse(status, headers, b"")
        headers["Content-Type"] = self._content_type
        return WireResponse(status, headers, cbor.encode(document) if cbor_spoken else _encode(document))

    def _payload_body(self, payload: Any, headers: dict[str, str]) -> bytes | AsyncIterator[bytes]:
        if self._payload is None or payload is None:
            return b""
        if self._payload.shape.type not in ("blob", "string"):
            headers.setdefault("Content-Type", self._content_type)
            return _encode(payload if self._render_payload is None else self._render_payload(payload))
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = self._payload_type
        if isinstance(payload, str):
            return payload.encode()
        if isinstance(payload, bytes) or hasattr(payload, "__aiter__"):
            return cast("bytes | AsyncIterator[bytes]", payload)
        raise BadResult(f"{self._operation}: a payload is bytes or an async iterator, not {type(payload).__name__}")


def content_type(model: Model, protocol: Protocol) -> str:
    """Of bodies with members, in a protocol that is not `query`."""
    if protocol == "smithy-rpc-v2-cbor":
        return "application/cbor"
    return "application/json" if protocol == "rest-json" else f"application/x-amz-json-{model.json_version}"


def _header_text(value: Any, member: Member) -> str:
    if isinstance(value, datetime):
        return timestamps.to_text(value, member.timestamp_format or "rfc822")
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if not (text.isascii() and (text.isprintable() or not text)):
        raise BadResult(f"{member.name} is sent as a header and can not hold {text!r}")
    return text


# --- JSON and CBOR bodies ---


class _BodyRenderers:
    """Builds one function per shape; None where the value goes out as it is."""

    def __init__(self, protocol: Protocol) -> None:
        self._known: dict[str, Render] = {}
        self._checks = _CBOR_CHECKS if protocol == "smithy-rpc-v2-cbor" else TYPE_CHECKS

    def of(self, member: Member) -> Render | None:
        shape = member.shape
        if shape.type in self._checks:
            return self._checks[shape.type]
        if shape.type == "timestamp":
            return timestamp_renderer(member.timestamp_format or "unixTimestamp")
        known = self._known.get(shape.name)
        if known is None:
            # The stand-in is for recursion only: it looks the real one up when it is called.
            self._known[shape.name] = lambda value: self._known[shape.name](value)
            known = self._known[shape.name] = self._build(shape)
        return known

    def _build(self, shape: Shape) -> Render:
        if shape.type == "structure":
            return self._structure(shape)
        if shape.type == "list" and shape.element is not None:
            return _list_renderer(shape.name, self.of(shape.element))
        assert shape.type == "map" and shape.value is not None, shape.type
        return _map_renderer(shape.name, self.of(shape.value))

    def _structure(self, shape: Shape) -> Render:
        members: dict[str, tuple[str, Render | None]] = {}

        def render(value: Any) -> _Json:
            if not isinstance(value, dict):
                raise BadResult(f"{shape.name} is a structure, not {type(value).__name__}")
            out: _Json = {}
            for name, item in cast(_Json, value).items():
                if item is None:
                    continue
                if name not in members:
                    raise BadResult(f"{shape.name} has no member {name!r}")
                wire_name, convert = members[name]
                out[wire_name] = item if convert is None else convert(item)
            return out

        members.update({name: (member.wire_name, self.of(member)) for name, member in shape.members.items()})
        return render


def _list_renderer(name: str, convert: Render | None) -> Render:
    def render(value: Any) -> list[Any]:
        if isinstance(value, str | bytes | dict):
            raise BadResult(f"{name} is a list, not {type(cast(object, value)).__name__}")
        return list(value) if convert is None else [convert(item) for item in value]

    return render


def _map_renderer(name: str, convert: Render | None) -> Render:
    def render(value: Any) -> _Json:
        if not isinstance(value, dict):
            raise BadResult(f"{name} is a map, not {type(value).__name__}")
        items = cast(_Json, value)
        return (
            {k: v for k, v in items.items() if v is not None}
            if convert is None
            else {k: convert(v) for k, v in items.items() if v is not None}
        )

    return render


def timestamp_renderer(timestamp_format: str) -> Render:
    def render(value: Any) -> Any:
        if not isinstance(value, datetime):
            raise BadResult(f"a timestamp is a datetime, not {type(value).__name__}")
        if timestamp_format == "unixTimestamp":
            return timestamps.to_epoch(value)
        return timestamps.to_text(value, timestamp_format)

    return render


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise BadResult(f"a string is expected, not {type(value).__name__}")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise BadResult(f"an integer is expected, not {type(value).__name__}")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise BadResult(f"a boolean is expected, not {type(value).__name__}")
    return value


def _number(value: Any) -> float:
    if type(value) is not float and type(value) is not int:
        raise BadResult(f"a number is expected, not {type(value).__name__}")
    return value


def _blob(value: Any) -> str:
    return base64.b64encode(value).decode()


TYPE_CHECKS: dict[str, Render] = {
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "double": _number,
    "float": _number,
    "boolean": _boolean,
    "blob": _blob,
}


def _cbor_blob(value: Any) -> bytes:
    return bytes(value)


def _cbor_timestamp(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise BadResult(f"a timestamp is a datetime, not {type(value).__name__}")
    return value


_CBOR_CHECKS: dict[str, Render] = {**TYPE_CHECKS, "blob": _cbor_blob, "timestamp": _cbor_timestamp}


# --- event streams ---


class _EventRenderer:
    """Renders the events of one event stream shape."""

    def __init__(self, shape: Shape, content_type: str) -> None:
        self._shape = shape
        self._content_type = content_type
        self._bodies: dict[str, dict[str, Render | None]] = {}
        renderers = _BodyRenderers("json")
        for name, member in shape.members.items():
            self._bodies[name] = {part: renderers.of(detail) for part, detail in member.shape.members.items()}

    def messages(self, events: AsyncIterator[_Json], initial: bytes | None) -> AsyncIterator[bytes]:
        """`initial` is the JSON of the members beside the stream: its first message in the `json` protocols."""
        return _Messages(self._rendered(events, initial), events)

    async def _rendered(self, events: AsyncIterator[_Json], initial: bytes | None) -> AsyncGenerator[bytes]:
        try:
            if initial is not None:
                yield eventstream.event("initial-response", initial, self._content_type)
            async for item in events:
                for name, value in item.items():
                    yield self._message(name, value)
        except AwsError as error:
            yield self._failure(error)
        except Exception:
            logger.exception("the event stream of %s broke off", self._shape.name)
            yield self._failure(ServiceException("An internal error ended the stream; the cause is in the node's log."))
        finally:
            await _close(events)

    def _message(self, name: str, value: _Json) -> bytes:
        member = self._shape.members.get(name)
        if member is None:
            raise BadResult(f"{self._shape.name} has no event {name!r}")
        if member.shape.exception:
            return eventstream.exception(name, _encode(value))
        headers: dict[str, eventstream.HeaderValue] = {}
        document: Any = {}
        payload: bytes | None = None
        content_type = "application/json"
        for part, item in value.items():
            if item is None:
                continue
            detail = member.shape.members.get(part)
            if detail is None:
                raise BadResult(f"{member.shape.name} has no member {part!r}")
            convert = self._bodies[name][part]
            if detail.event_header:
                headers[part] = item
            elif detail.event_payload and detail.shape.type == "blob":
                payload, content_type = bytes(item), "application/octet-stream"
            elif detail.event_payload and detail.shape.type == "string":
                payload, content_type = item.encode(), "text/plain"
            elif detail.event_payload:
                document = item if convert is None else convert(item)
            else:
                document[detail.wire_name] = item if convert is None else convert(item)
        return eventstream.event(name, _encode(document) if payload is None else payload, content_type, headers)

    def _failure(self, error: AwsError) -> bytes:
        if error.code in self._shape.members:
            return eventstream.exception(error.code, _encode({"message": error.message}))
        return eventstream.error(error.code, error.message)


class _Messages:
    """The rendered messages. Closing closes the events too, also when none was asked for yet."""

    def __init__(self, messages: AsyncGenerator[bytes], events: AsyncIterator[_Json]) -> None:
        self._messages = messages
        self._events = events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._messages)

    async def aclose(self) -> None:
        await self._messages.aclose()
        await _close(self._events)


async def _close(events: AsyncIterator[_Json]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()
