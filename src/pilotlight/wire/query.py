"""The query protocol, both ways: a form with flattened names in, XML out. Older AWS CLIs and SDKs still speak it.

`MetricData.member.1.Value=5` is member Value of the first element of the list MetricData. What comes in is made a tree
by its dots, then read by the shape; what goes out is written by the shape at once. Source: https://smithy.io/2.0/aws/
protocols/aws-query-protocol.html.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, cast
from xml.sax.saxutils import escape

from pilotlight.errors import AwsError, SerializationException
from pilotlight.wire.messages import WireRequest, WireResponse
from pilotlight.wire.models import Member, Model, Operation, Shape
from pilotlight.wire.parse import TEXT_PARSERS
from pilotlight.wire.render import TYPE_CHECKS, BadResult, timestamp_renderer
from pilotlight.wire.routing import parse_query

_Json = dict[str, Any]
_OWN_NAMES = frozenset({"Action", "Version"})
_MOST_LEVELS = 64
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Node:
    """What a form says below one name."""

    __slots__ = ("below", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.below: dict[str, _Node] = {}


def form_of(request: WireRequest) -> str:
    """The form, wherever in the request it stands."""
    return request.body.decode("latin-1") or request.query_string


class QueryParser:
    """Parses requests of one operation. Raises SerializationException; nothing else."""

    def __init__(self, operation: Operation) -> None:
        self._input = operation.input

    def parse(self, request: WireRequest, labels: Mapping[str, str]) -> _Json:
        if self._input is None:
            return {}
        root = _Node()
        for name, value in parse_query(form_of(request)):
            if name in _OWN_NAMES:
                continue
            node = root
            for level in name.split(".", _MOST_LEVELS):
                node = node.below.setdefault(level, _Node())
            node.text = value
        return _structure(root, self._input)


def _value(node: _Node, member: Member) -> Any:
    shape = member.shape
    if shape.type == "structure":
        return _structure(node, shape)
    if shape.type == "list":
        assert shape.element is not None
        element = shape.element
        within = node if shape.flattened else node.below.get(element.wire_name or "member", _Node())
        return [_value(item, element) for item in _in_order(within)]
    if shape.type == "map":
        assert shape.key is not None and shape.value is not None
        entries = _in_order(node if shape.flattened else node.below.get("entry", _Node()))
        key_name, value_name = shape.key.wire_name or "key", shape.value.wire_name or "value"
        return {
            entry.below.get(key_name, _Node()).text or "": _value(entry.below.get(value_name, _Node()), shape.value)
            for entry in entries
        }
    text = node.text or ""
    if shape.type == "blob":
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except (ValueError, binascii.Error) as error:
            raise SerializationException(f"A blob is not base64: {error}") from error
    return TEXT_PARSERS.get(shape.type, str)(text)


def _structure(node: _Node, shape: Shape) -> _Json:
    found: _Json = {}
    for name, member in shape.members.items():
        # A flattened list stands under its element's name, where that has one.
        element = member.shape.element
        flattened_name = element.wire_name if member.shape.flattened and element is not None else ""
        below = node.below.get(flattened_name or member.wire_name)
        if below is not None:
            found[name] = _value(below, member)
    return found


def _in_order(node: _Node) -> list[_Node]:
    numbered = [(name, item) for name, item in node.below.items() if name.isascii() and name.isdecimal()]
    return [item for _, item in sorted(numbered, key=lambda pair: (len(pair[0]), pair[0]))]


class QueryRenderer:
    """Renders results of one operation."""

    def __init__(self, model: Model, operation: Operation) -> None:
        self._operation = operation
        self._namespace = model.xml_namespace

    def render(self, result: _Json | None, request_id: str) -> WireResponse:
        operation = self._operation
        pieces = [f'<?xml version="1.0"?>\n<{operation.name}Response xmlns="{self._namespace}">']
        put = pieces.append
        if operation.output is not None:
            wrapper = operation.result_wrapper
            put(f"<{wrapper}>")
            _write_structure(result or {}, operation.output, put)
            put(f"</{wrapper}>")
        put(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation.name}Response>")
        headers = {"x-amzn-RequestId": request_id, "Content-Type": "text/xml"}
        return WireResponse(operation.status, headers, "".join(pieces).encode())


def _write_structure(value: Any, shape: Shape, put: Callable[[str], None]) -> None:
    if not isinstance(value, dict):
        raise BadResult(f"{shape.name} is a structure, not {type(value).__name__}")
    for name, item in cast("_Json", value).items():
        member = shape.members.get(name)
        if member is None:
            raise BadResult(f"{shape.name} has no member {name!r}")
        if item is not None:
            _write(item, member, member.wire_name, put)


def _write(value: Any, member: Member, tag: str, put: Callable[[str], None]) -> None:
    shape = member.shape
    if shape.type == "list":
        assert shape.element is not None
        element = shape.element
        if shape.flattened:
            for item in value:
                _write(item, element, element.wire_name or tag, put)
            return
        put(f"<{tag}>")
        for item in value:
            _write(item, element, element.wire_name or "member", put)
    elif shape.type == "map":
        assert shape.key is not None and shape.value is not None
        if not shape.flattened:
            put(f"<{tag}>")
        entry = tag if shape.flattened else "entry"
        for key, item in value.items():
            put(f"<{entry}>")
            _write(key, shape.key, shape.key.wire_name or "key", put)
            _write(item, shape.value, shape.value.wire_name or "value", put)
            put(f"</{entry}>")
        if shape.flattened:
            return
    elif shape.type == "structure":
        put(f"<{tag}>")
        _write_structure(value, shape, put)
    else:
        put(f"<{tag}>{_text(value, member)}")
    put(f"</{tag}>")


def _text(value: Any, member: Member) -> str:
    kind = member.shape.type
    if kind == "blob":
        return base64.b64encode(value).decode()
    if kind == "timestamp":
        return str(timestamp_renderer(member.timestamp_format or "iso8601")(value))
    checked = TYPE_CHECKS[kind](value)
    if kind == "boolean":
        return "true" if checked else "false"
    return xml_text(checked) if kind == "string" else str(checked)


def xml_text(text: str) -> str:
    """Text between two tags; what XML 1.0 cannot hold at all becomes U+FFFD."""
    return escape(_NOT_XML.sub("\ufffd", text))


def query_error(model: Model, error: AwsError, request_id: str) -> WireResponse:
    shape = model.error_shape(error.code)
    code = (shape.query_code if shape else "") or error.code
    fault = "Receiver" if error.type == "Service" else "Sender"
    body = (
        f'<?xml version="1.0"?>\n<ErrorResponse xmlns="{model.xml_namespace}"><Error><Type>{fault}</Type>'
        f"<Code>{xml_text(code)}</Code><Message>{xml_text(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return WireResponse(error.status, {"x-amzn-RequestId": request_id, "Content-Type": "text/xml"}, body.encode())
