"""From an HTTP request to parameters by the model's names: labels, query, headers and body.

Each shape becomes one function, built when its operation is first used, so that a call only runs closures over plain
dicts. Types are checked here and answered with AWS's SerializationException wording; constraints are `validate`'s.
Members that are unknown or null are ignored, as AWS does.
"""

from __future__ import annotations

import binascii
import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

import msgspec

from pilotlight.errors import SerializationException
from pilotlight.wire import cbor, timestamps
from pilotlight.wire.messages import WireRequest
from pilotlight.wire.models import Member, Operation, Protocol, Shape
from pilotlight.wire.routing import parse_query

Parse = Callable[[Any], Any]
_Json = dict[str, Any]

_LIST_FOUND = "Start of list found where not expected"
_OBJECT_FOUND = "Start of structure or map found where not expected."
# AWS saturates what does not fit, and leaves it to the range constraint to refuse.
_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_ECHO_LIMIT = 64


class OperationParser:
    """Parses requests of one operation. Raises SerializationException; nothing else."""

    def __init__(self, operation: Operation, protocol: Protocol) -> None:
        self._rpc = protocol != "rest-json"
        self._protocol: Protocol = protocol
        self._labels: list[tuple[Member, Parse]] = []
        self._query: list[tuple[Member, Parse]] = []
        self._headers: list[tuple[Member, Parse]] = []
        self._prefixes: list[Member] = []
        self._payload: Member | None = None
        self._payload_is_blob = False
        self._payload_is_required = False
        self._body: Parse | None = None
        if operation.input is not None:
            self._prepare(operation.input)

    def _prepare(self, shape: Shape) -> None:
        shapes = _BodyParsers(self._protocol)
        in_body: list[Member] = []
        for member in shape.members.values():
            if self._rpc or member.location is None:
                in_body.append(member)
            elif member.location == "uri":
                self._labels.append((member, _text_parser(member)))
            elif member.location == "querystring":
                self._query.append((member, _query_parser(member)))
            elif member.location == "header":
                self._headers.append((member, _text_parser(member)))
            elif member.location == "headers":
                self._prefixes.append(member)
        if shape.payload is not None and not self._rpc:
            self._payload = shape.members[shape.payload]
            self._payload_is_blob = self._payload.shape.type in ("blob", "string")
            self._payload_is_required = shape.payload in shape.required
            self._body = None if self._payload_is_blob else shapes.of(self._payload)
        elif in_body or self._rpc:
            self._body = shapes.structure(in_body)

    def parse(self, request: WireRequest, labels: Mapping[str, str]) -> _Json:
        params: _Json = {}
        for member, parse in self._labels:
            params[member.name] = parse(labels[member.wire_name])
        if self._query:
            self._parse_query(request.query_string, params)
        for member, parse in self._headers:
            text = request.headers.get(member.wire_name.lower())
            if text is not None:
                params[member.name] = parse(text)
        for member in self._prefixes:
            prefix = member.wire_name.lower()
            found = {n.removeprefix(prefix): value for n, value in request.headers.items() if n.startswith(prefix)}
            if found:
                params[member.name] = found
        self._parse_body(request.body, params)
        return params

    def _parse_query(self, query_string: str, params: _Json) -> None:
        given: dict[str, list[str]] = {}
        for name, value in parse_query(query_string):
            given.setdefault(name, []).append(value)
        if not given:
            return
        rest: Member | None = None
        for member, parse in self._query:
            if member.shape.type == "map":
                rest = member
            elif (texts := given.pop(member.wire_name, None)) is not None:
                params[member.name] = parse(texts)
        if rest is not None and given and rest.shape.value is not None:
            lists = rest.shape.value.shape.type == "list"
            params[rest.name] = given if lists else {name: texts[0] for name, texts in given.items()}

    def _parse_body(self, body: bytes, params: _Json) -> None:
        if self._payload is not None and self._payload_is_blob:
            # An HTTP body is never missing, only empty: a required one is there either way.
            if body or self._payload_is_required:
                params[self._payload.name] = body if self._payload.shape.type == "blob" else _text(body)
            return
        if self._body is None or (not body and self._protocol != "json"):
            return
        document = decode_cbor(body) if self._protocol == "smithy-rpc-v2-cbor" else decode_json(body)
        if self._payload is not None:
            if document is not None:
                params[self._payload.name] = self._body(document)
        elif document is not None:
            params.update(self._body(document))
        elif self._rpc:
            raise SerializationException("Could not parse request body into json: a JSON object is expected, not null")


def decode_cbor(body: bytes) -> Any:
    """Any CBOR item; SerializationException when it is none."""
    try:
        return cbor.decode(body)
    except cbor.CborError as error:
        raise SerializationException(f"Could not parse request body into cbor: {error}") from error


def decode_json(body: bytes) -> Any:
    """Any JSON document; SerializationException when it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerializationException(f"Could not parse request body into json: {error}") from error
    except RecursionError as error:
        raise SerializationException("Could not parse request body into json: it is nested too deeply") from error


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise SerializationException(f"Request body is not UTF-8: {error}") from error


# --- text: labels, query values, headers ---


def _text_parser(member: Member) -> Parse:
    return TEXT_PARSERS.get(member.shape.type, str)


def _query_parser(member: Member) -> Parse:
    """Takes every value given for one name."""
    if member.shape.type == "list" and member.shape.element is not None:
        parse = TEXT_PARSERS.get(member.shape.element.shape.type, str)
        return lambda texts: [parse(text) for text in texts]
    parse_one = TEXT_PARSERS.get(member.shape.type, str)
    return lambda texts: parse_one(texts[-1])


def _text_integer(kind: str, limits: tuple[int, int]) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text[1:] if text[:1] in "+-" else text
        # isascii and a bound, because int() also takes other scripts' digits, underscores and megabytes of them.
        if not (digits.isascii() and digits.isdigit() and len(digits) < 4000):
            raise SerializationException(f"STRING_VALUE can not be converted to {kind}")
        return max(limits[0], min(limits[1], int(text)))

    return parse


def _text_number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SerializationException("STRING_VALUE can not be converted to a Double") from error


def _text_boolean(text: str) -> bool:
    lower = text.lower()
    if lower not in ("true", "false"):
        raise SerializationException("STRING_VALUE can not be converted to a Boolean")
    return lower == "true"


def _text_timestamp(text: str) -> datetime:
    try:
        return timestamps.from_text(text)
    except ValueError as error:
        raise SerializationException("STRING_VALUE can not be converted to milliseconds since epoch") from error


TEXT_PARSERS: dict[str, Parse] = {
    "integer": _text_integer("an Integer", _INT32),
    "long": _text_integer("a Long", _INT64),
    "double": _text_number,
    "float": _text_number,
    "boolean": _text_boolean,
    "timestamp": _text_timestamp,
}


# --- JSON and CBOR bodies ---


class _BodyParsers:
    """Builds one function per shape; shapes that contain themselves find the function already there."""

    def __init__(self, protocol: Protocol) -> None:
        self._known: dict[str, Parse] = {}
        self._simple = _CBOR_PARSERS if protocol == "smithy-rpc-v2-cbor" else _JSON_PARSERS

    def of(self, member: Member) -> Parse:
        shape = member.shape
        simple = self._simple.get(shape.type)
        if shape.type == "timestamp" and simple is None:
            return _timestamp_parser(member.timestamp_format or "unixTimestamp")
        if simple is not None:
            return simple
        known = self._known.get(shape.name)
        if known is None:
            # The stand-in is for recursion only: it looks the real one up when it is called.
            self._known[shape.name] = lambda value: self._known[shape.name](value)
            known = self._known[shape.name] = self._build(shape)
        return known

    def _build(self, shape: Shape) -> Parse:
        if shape.type == "structure":
            return self.structure(list(shape.members.values()))
        if shape.type == "list":
            assert shape.element is not None
            return _list_parser(self.of(shape.element))
        assert shape.type == "map" and shape.value is not None, shape.type
        return _map_parser(self.of(shape.value))

    def structure(self, members: list[Member]) -> Parse:
        parsers: dict[str, tuple[str, Parse]] = {}

        def parse(value: Any) -> _Json:
            if type(value) is not dict:
                raise _unexpected(value, "Expected null")
            out: _Json = {}
            for name, item in cast(_Json, value).items():
                if item is not None and name in parsers:
                    member, parse_item = parsers[name]
                    out[member] = parse_item(item)
            return out

        parsers.update({member.wire_name: (member.name, self.of(member)) for member in members})
        return parse


def _list_parser(parse_item: Parse) -> Parse:
    def parse(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _unexpected(value, "Expected list or null")
        # Null elements stay, for `validate` to name them.
        return [None if item is None else parse_item(item) for item in cast(list[Any], value)]

    return parse


def _map_parser(parse_value: Parse) -> Parse:
    def parse(value: Any) -> _Json:
        if type(value) is not dict:
            raise _unexpected(value, "Expected map or null")
        items = cast(_Json, value).items()
        return {name: None if item is None else parse_value(item) for name, item in items}

    return parse


def _unexpected(value: Any, expectation: str) -> SerializationException:
    if type(value) is list:
        return SerializationException(_LIST_FOUND)
    return SerializationException(_OBJECT_FOUND if type(value) is dict else expectation)


def _mismatch(value: Any, target: str) -> SerializationException:
    """AWS names the JSON token it found: `STRING_VALUE can not be converted to an Integer`."""
    if isinstance(value, bool):
        return SerializationException(f"{'TRUE' if value else 'FALSE'}_VALUE can not be converted to {target}")
    token = "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"
    return _unexpected(value, f"{token} can not be converted to {target}")


def _string(value: Any) -> str:
    if type(value) is not str:
        raise _mismatch(value, "a String")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _mismatch(value, "a Boolean")
    return value


def _integer(kind: str, limits: tuple[int, int]) -> Parse:
    def parse(value: Any) -> int:
        if type(value) is int:
            return max(limits[0], min(limits[1], value))
        if type(value) is float:
            return max(limits[0], min(limits[1], int(value)))  # AWS drops the fraction
        raise _mismatch(value, kind)

    return parse


def _number(value: Any) -> float:
    if type(value) is int or type(value) is float:
        with contextlib.suppress(OverflowError):
            return float(value)
    raise _mismatch(value, "a Double")


def _blob(value: Any) -> bytes:
    if type(value) is not str:
        raise _mismatch(value, "a Blob")
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except (ValueError, binascii.Error) as error:
        reason = f"Invalid Base64: {error}"
        if len(value) % 4:
            reason = f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(value)}"
        shown = value if len(value) <= _ECHO_LIMIT else value[:_ECHO_LIMIT] + "..."
        raise SerializationException(f"'{shown}' can not be converted to a Blob: {reason}") from error


def _timestamp_parser(timestamp_format: str) -> Parse:
    def parse(value: Any) -> datetime:
        try:
            if type(value) is int or type(value) is float:
                return timestamps.from_epoch(value)
            if type(value) is str and timestamp_format != "unixTimestamp":
                return timestamps.from_text(value)
        except ValueError:
            pass
        raise _mismatch(value, "milliseconds since epoch")

    return parse


_JSON_PARSERS: dict[str, Parse] = {
    "string": _string,
    "boolean": _boolean,
    "integer": _integer("an Integer", _INT32),
    "long": _integer("a Long", _INT64),
    "double": _number,
    "float": _number,
    "blob": _blob,
}


def _cbor_blob(value: Any) -> bytes:
    if type(value) is not bytes:
        raise _mismatch(value, "a Blob")
    return value


def _cbor_timestamp(value: Any) -> datetime:
    return value if isinstance(value, datetime) else _timestamp_parser("unixTimestamp")(value)


_CBOR_PARSERS: dict[str, Parse] = {**_JSON_PARSERS, "blob": _cbor_blob, "timestamp": _cbor_timestamp}
