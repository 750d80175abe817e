"""AWS's service models, read from the installed botocore: protocol, operations and shapes as light objects.

The model file is the law on names and constraints, and botocore already ships it, so nothing is generated or copied.
Documentation (most of the file) is skipped while decoding; shapes are built when an operation is first used; a model is
read once per process. Importing this module reads nothing.
"""

from __future__ import annotations

import functools
import gzip
import importlib.resources
from collections.abc import Sequence
from typing import Literal, cast, get_args

import msgspec

Protocol = Literal["rest-json", "json", "smithy-rpc-v2-cbor", "query"]
_SPOKEN: frozenset[str] = frozenset(get_args(Protocol))
Location = Literal["uri", "querystring", "header", "headers", "statusCode"]


class UnknownService(LookupError):
    """The installed botocore has no model of that name, or one in a protocol that `wire` does not speak."""


class _ShapeRef(msgspec.Struct, rename="camel"):
    """A use of a shape: as a member, list element, map key or value, input, output or error."""

    shape: str
    location: str | None = None
    location_name: str | None = None
    timestamp_format: str | None = None
    streaming: bool = False
    eventpayload: bool = False
    eventheader: bool = False
    result_wrapper: str = ""


class _RawError(msgspec.Struct, rename="camel"):
    code: str = ""


class _RawShape(msgspec.Struct, rename="camel"):
    type: str
    members: dict[str, _ShapeRef] = {}
    required: list[str] = []
    member: _ShapeRef | None = None
    key: _ShapeRef | None = None
    value: _ShapeRef | None = None
    min: int | float | None = None
    max: int | float | None = None
    pattern: str | None = None
    enum: list[str] = []
    payload: str | None = None
    sensitive: bool = False
    streaming: bool = False
    exception: bool = False
    eventstream: bool = False
    flattened: bool = False
    timestamp_format: str | None = None
    error: _RawError = msgspec.field(default_factory=_RawError)


class _RawHttp(msgspec.Struct, rename="camel"):
    method: str = "POST"
    request_uri: str = "/"
    response_code: int | None = None


class _RawOperation(msgspec.Struct):
    name: str
    http: _RawHttp = msgspec.field(default_factory=_RawHttp)
    input: _ShapeRef | None = None
    output: _ShapeRef | None = None
    requestcompression: dict[str, list[str]] = {}


class _RawMetadata(msgspec.Struct, rename="camel"):
    protocol: str
    protocols: list[str] = []
    json_version: str = "1.0"
    target_prefix: str = ""
    xml_namespace: str = ""
    aws_query_compatible: dict[str, str] | None = None


class _RawModel(msgspec.Struct):
    metadata: _RawMetadata
    operations: dict[str, _RawOperation]
    shapes: dict[str, _RawShape]


class Member(msgspec.Struct, gc=False):
    """One member of a structure, or the element, key or value of a collection."""

    name: str
    """The model's name: the key in `params` and results; "" for the parts of a collection."""
    shape: Shape
    wire_name: str
    """The name in the body, query, header or path."""
    location: Location | None
    streaming: bool
    timestamp_format: str | None
    event_payload: bool
    event_header: bool


class Shape(msgspec.Struct, eq=False):
    """One shape. Only what its type uses is set: members of a structure, element of a list, key and value of a map."""

    name: str
    type: str
    """structure, list, map, string, integer, long, double, float, boolean, blob, timestamp."""
    minimum: int | float | None
    maximum: int | float | None
    """Of the length (string, blob), size (list, map) or value (number)."""
    pattern: str | None
    """A Java regular expression that the whole value has to match."""
    enum: tuple[str, ...]
    sensitive: bool
    """Values are not echoed in error messages."""
    streaming: bool
    event_stream: bool
    exception: bool
    flattened: bool
    """Of a list or map, in the query protocol: its parts stand beside each other, with nothing around them."""
    query_code: str
    """Of an error: its name in the query protocol; "" where that is the shape's."""
    timestamp_format: str | None
    payload: str | None
    """Name of the member that is the whole body."""
    required: frozenset[str]
    members: dict[str, Member] = {}
    element: Member | None = None
    key: Member | None = None
    value: Member | None = None


class Operation(msgspec.Struct, eq=False):
    name: str
    method: str
    uri: str
    """Path template, with a query of literals when there is a `?` in it."""
    status: int
    input: Shape | None
    output: Shape | None
    result_wrapper: str = ""
    """The element around the output in the query protocol."""


class Model:
    """One service's model. Operations and shapes are built on first use and kept."""

    def __init__(self, service: str, raw: _RawModel) -> None:
        self.service = service
        protocols: list[Protocol] = [
            cast("Protocol", name) for name in raw.metadata.protocols or [raw.metadata.protocol] if name in _SPOKEN
        ]
        if not protocols:
            raise UnknownService(f"{service} speaks {raw.metadata.protocol}, which wire does not")
        self.protocols: Sequence[Protocol] = protocols
        """What clients of the service may speak, as far as `wire` does; the first is what new ones do."""
        self.xml_namespace = raw.metadata.xml_namespace
        self.query_compatible = raw.metadata.aws_query_compatible is not None
        """Its newer protocols tell what an error was called in the query protocol."""
        self.takes_gzip = any("gzip" in op.requestcompression.get("encodings", ()) for op in raw.operations.values())
        """Clients send some of its requests compressed."""
        self.json_version = raw.metadata.json_version
        self.target_prefix = raw.metadata.target_prefix
        self._raw = raw
        self._shapes: dict[str, Shape] = {}
        self._operations: dict[str, Operation] = {}

    @property
    def operation_names(self) -> tuple[str, ...]:
        return tuple(self._raw.operations)

    def routes(self) -> list[tuple[str, str, str]]:
        """(operation, method, URI template) of every operation, without building any shape."""
        return [(name, raw.http.method, raw.http.request_uri) for name, raw in self._raw.operations.items()]

    def operation(self, name: str) -> Operation:
        """KeyError when the service has no such operation."""
        known = self._operations.get(name)
        if known is None:
            raw = self._raw.operations[name]
            known = self._operations[name] = Operation(
                name=name,
                method=raw.http.method,
                uri=raw.http.request_uri,
                status=raw.http.response_code or 200,
                input=self.shape(raw.input.shape) if raw.input else None,
                output=self.shape(raw.output.shape) if raw.output else None,
                result_wrapper=raw.output.result_wrapper if raw.output else "",
            )
        return known

    def error_shape(self, code: str) -> Shape | None:
        """The shape of a modelled error, None for one that the model does not have (ValidationException ...)."""
        raw = self._raw.shapes.get(code)
        return self.shape(code) if raw is not None and raw.exception else None

    def shape(self, name: str) -> Shape:
        known = self._shapes.get(name)
        if known is not None:
            return known
        raw = self._raw.shapes[name]
        shape = Shape(
            name=name,
            type=raw.type,
            minimum=raw.min,
            maximum=raw.max,
            pattern=raw.pattern,
            enum=tuple(raw.enum),
            sensitive=raw.sensitive,
            streaming=raw.streaming,
            event_stream=raw.eventstream,
            exception=raw.exception,
            flattened=raw.flattened,
            query_code=raw.error.code,
            timestamp_format=raw.timestamp_format,
            payload=raw.payload,
            required=frozenset(raw.required),
        )
        # Known before its parts are built, because shapes may contain themselves.
        self._shapes[name] = shape
        shape.members = {member: self._member(member, ref) for member, ref in raw.members.items()}
        shape.element = self._member("", raw.member) if raw.member else None
        shape.key = self._member("", raw.key) if raw.key else None
        shape.value = self._member("", raw.value) if raw.value else None
        return shape

    def _member(self, name: str, ref: _ShapeRef) -> Member:
        shape = self.shape(ref.shape)
        return Member(
            name=name,
            shape=shape,
            # A map of headers without a name of its own has the empty prefix.
            wire_name=ref.location_name or ("" if ref.location == "headers" else name),
            location=cast("Location | None", ref.location),
            streaming=ref.streaming or shape.streaming,
            timestamp_format=ref.timestamp_format or shape.timestamp_format,
            event_payload=ref.eventpayload,
            event_header=ref.eventheader,
        )


@functools.cache
def load_model(service: str) -> Model:
    """The newest model of `service` (botocore's name for it) in the installed botocore; UnknownService when none."""
    folder = importlib.resources.files("botocore").joinpath("data", service)
    if not folder.is_dir():
        raise UnknownService(f"botocore has no service {service!r}")
    newest = max(entry.name for entry in folder.iterdir() if entry.is_dir())
    packed = folder.joinpath(newest, "service-2.json.gz").read_bytes()
    return Model(service, msgspec.json.decode(gzip.decompress(packed), type=_RawModel))
