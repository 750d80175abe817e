"""botocore as the oracle: it serialises valid parameters as any AWS client would, and parses what we answer.

The strategies draw values that satisfy a shape's constraints, from botocore's own view of the model.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import botocore.awsrequest
import botocore.parsers
import botocore.serialize
import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from hypothesis import strategies as st

from pilotlight.wire import Call, ServiceApi, WireRequest, WireResponse
from pilotlight.wire.models import load_model
from pilotlight.wire.patterns import translate

T = TypeVar("T")

MAX_DEPTH = 4


@functools.cache
def service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def operations(*services: str) -> list[tuple[str, str]]:
    return [(service, name) for service in services for name in service_model(service).operation_names]


def has_plain_output(service: str, name: str) -> bool:
    """Whether the operation returns anything but an event stream."""
    operation = service_model(service).operation_model(name)
    return operation.output_shape is not None and not operation.has_event_stream_output


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing: no event loop, which is slow to make for each example."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited for something")


# --- strategies ---


def values(shape: Shape, location: str | None = None, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of `shape` that hold every constraint of the model."""
    return _BUILDERS[shape.type_name](shape, location, depth)


def _structure(shape: Shape, location: str | None, depth: int) -> st.SearchStrategy[Any]:
    required = set(shape.required_members)
    fixed: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, member in shape.members.items():
        if member.serialization.get("eventstream"):
            continue
        if name not in required and depth >= MAX_DEPTH:
            continue
        where = member.serialization.get("location")
        if where == "statusCode":
            optional[name] = st.integers(200, 299)
            continue
        chosen = fixed if name in required else optional
        chosen[name] = values(member, where or location, depth + 1)
    if shape.is_tagged_union:
        return st.sampled_from(list(optional)).flatmap(lambda name: st.fixed_dictionaries({name: optional[name]}))
    return st.fixed_dictionaries(fixed, optional=optional)


def _string(shape: Shape, location: str | None, depth: int) -> st.SearchStrategy[Any]:
    if shape.enum:
        return st.sampled_from(shape.enum)
    low = int(shape.metadata.get("min", 0))
    high = int(shape.metadata.get("max", 1_000_000))
    # A label is never empty: no client can send it.
    low = max(low, 1) if location == "uri" else low
    pattern = shape.metadata.get("pattern")
    if pattern is None:
        text = st.text(_alphabet(location), min_size=low, max_size=min(high, low + 12))
        # Header values lose the blanks around them on the way.
        return text.map(lambda value: value.strip().ljust(low, "x")) if location == "header" else text
    # "Anything but blanks" is drawn from Latin-1: Hypothesis takes seconds to spell out all of Unicode.
    narrow = translate(pattern).replace("\\U0010ffff", "\\xff")
    drawn = st.from_regex(narrow, fullmatch=True, alphabet=_alphabet(location))
    return drawn.filter(lambda value: low <= len(value) <= high)


def _alphabet(location: str | None) -> Any:
    if location in ("header", "headers"):
        return st.characters(min_codepoint=0x20, max_codepoint=0x7E)
    return st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))


def _number(shape: Shape, location: str | None, depth: int) -> st.SearchStrategy[Any]:
    bits = 31 if shape.type_name == "integer" else 53
    low = int(shape.metadata.get("min", -(2**bits)))
    return st.integers(low, int(shape.metadata.get("max", 2**bits - 1)))


def _fraction(shape: Shape, location: str | None, depth: int) -> st.SearchStrategy[Any]:
    low, high = shape.metadata.get("min", -1e9), shape.metadata.get("max", 1e9)
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def _blob(shape: Shape, location: str | None, depth: int) -> st.SearchStrategy[Any]:
    low = int(shape.metadata.get("min", 0))
    return st.binary(min_size=low, max_size=min(int(shape.metadata.get("max", 64)), low + 64))


def _timestamp(shape: Shape, location: str | None, depth: int) -> st.SearchStrategy[Any]:
    # Whole seconds: botocore sends no fraction.
    moments = st.integers(0, 4_000_000_000)
    return moments.map(lambda seconds: datetime.datetime.fromtimestamp(seconds, datetime.UTC))


def _list(shape: Shape, location: str | None, depth: int) -> st.SearchStrategy[Any]:
    # An empty list can not be sent in a query.
    low = int(shape.metadata.get("min", 1 if location == "querystring" else 0))
    high = int(shape.metadata.get("max", low + 3))
    return st.lists(values(shape.member, location, depth + 1), min_size=low, max_size=min(high, low + 2))


def _map(shape: Shape, location: str | None, depth: int) -> st.SearchStrategy[Any]:
    # An empty map can not be sent in a query or as headers, and headers have no capitals.
    low = int(shape.metadata.get("min", 1 if location in ("querystring", "headers") else 0))
    high = int(shape.metadata.get("max", low + 3))
    keys, items = values(shape.key, location, depth + 1), values(shape.value, location, depth + 1)
    if location == "headers":
        keys = st.from_regex("[a-z]{1,8}", fullmatch=True)
    return st.dictionaries(keys, items, min_size=low, max_size=min(high, low + 2))


_BUILDERS: dict[str, Any] = {
    "structure": _structure,
    "string": _string,
    "integer": _number,
    "long": _number,
    "double": _fraction,
    "float": _fraction,
    "boolean": lambda shape, location, depth: st.booleans(),
    "blob": _blob,
    "timestamp": _timestamp,
    "list": _list,
    "map": _map,
}


# --- both directions ---


def protocols_of(service: str) -> list[str]:
    """What wire and botocore's clients of a service both speak."""
    return [name for name in load_model(service).protocols if name in botocore.serialize.SERIALIZERS]


def serialize(
    operation: OperationModel, params: dict[str, Any], validate: bool = True, protocol: str = ""
) -> WireRequest:
    """The request botocore would send. With `validate` it also confirms that the parameters are valid."""
    protocol = protocol or operation.service_model.protocol
    serializer = botocore.serialize.create_serializer(protocol, include_validation=validate)
    request = serializer.serialize_to_request(params, operation)
    request.setdefault("context", {})
    botocore.awsrequest.prepare_request_dict(request, endpoint_url="http://localhost:4566", user_agent="oracle")
    prepared = botocore.awsrequest.create_request_object(request).prepare()
    parts = urlsplit(prepared.url)
    body = prepared.body or b""
    return WireRequest(
        method=prepared.method,
        raw_path=parts.path,
        query_string=parts.query,
        headers={name.lower(): _text(value) for name, value in prepared.headers.items()},
        body=body.encode() if isinstance(body, str) else bytes(body),
        account="111122223333",
        region="eu-west-1",
        request_id="8f7a2c1e-0000-4000-8000-000000000000",
    )


def parse(operation: OperationModel, response: WireResponse, protocol: str = "") -> dict[str, Any]:
    """What a client sees of a response, without its metadata; errors as botocore gives them, under "Error"."""
    assert isinstance(response.body, bytes)
    parser = botocore.parsers.create_parser(protocol or operation.service_model.protocol)
    headers = botocore.awsrequest.HeadersDict(response.headers)
    # For a streaming blob botocore's parser is given an object, not bytes: it would decode those.
    body = bytearray(response.body) if operation.has_streaming_output else response.body
    answer = {"status_code": response.status, "headers": headers, "body": body}
    parsed = parser.parse(answer, operation.output_shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


class Recorder:
    """A ServiceApi whose every operation remembers its call and returns `result`."""

    def __init__(self, service: str) -> None:
        self.calls: list[Call] = []
        self.result: dict[str, Any] | None = None
        self.api = ServiceApi(service, dict.fromkeys(service_model(service).operation_names, self._handle))

    async def _handle(self, call: Call) -> dict[str, Any] | None:
        self.calls.append(call)
        return self.result


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
