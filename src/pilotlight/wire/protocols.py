"""Which of a service's protocols a request speaks, and what has to be undone before it is read.

Most services have one. CloudWatch has three, after two changes: new SDKs speak CBOR, some the JSON protocol, older ones
and Debian's AWS CLI the query protocol. Each says so in its headers.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Protocol as Interface

import msgspec

from pilotlight.errors import RequestEntityTooLargeException, SerializationException
from pilotlight.wire.messages import WireRequest
from pilotlight.wire.models import Model, Protocol
from pilotlight.wire.query import form_of
from pilotlight.wire.routing import ActionRouter, Match, RestRouter, RpcRouter, TargetRouter

_MOST_UNCOMPRESSED_BYTES = 8 * 1024 * 1024
"""No compressible request of AWS's may be larger than 1 MB; a small body must not become a large one."""


class Router(Interface):
    def match(self, request: WireRequest) -> Match | None: ...


def protocol_of(model: Model, headers: Mapping[str, str]) -> Protocol:
    """`headers` have names in lower case."""
    protocols = model.protocols
    if len(protocols) > 1:
        if headers.get("smithy-protocol") == "rpc-v2-cbor" and "smithy-rpc-v2-cbor" in protocols:
            return "smithy-rpc-v2-cbor"
        if "x-amz-target" in headers and "json" in protocols:
            return "json"
        if "query" in protocols:
            return "query"
    return protocols[0]


def router(model: Model, protocol: Protocol) -> Router:
    return _ROUTERS[protocol](model)


class _ByTemplate:
    def __init__(self, model: Model) -> None:
        self._router = RestRouter(model)

    def match(self, request: WireRequest) -> Match | None:
        return self._router.match(request.method, request.raw_path, request.query_string)


class _ByTarget:
    def __init__(self, model: Model) -> None:
        self._router = TargetRouter(model)

    def match(self, request: WireRequest) -> Match | None:
        return self._router.match(request.headers) if request.method == "POST" else None


class _ByPath:
    def __init__(self, model: Model) -> None:
        self._router = RpcRouter(model)

    def match(self, request: WireRequest) -> Match | None:
        return self._router.match(request.raw_path) if request.method == "POST" else None


class _ByAction:
    def __init__(self, model: Model) -> None:
        self._router = ActionRouter(model)

    def match(self, request: WireRequest) -> Match | None:
        return self._router.match(form_of(request))


_ROUTERS = {"rest-json": _ByTemplate, "json": _ByTarget, "smithy-rpc-v2-cbor": _ByPath, "query": _ByAction}


def uncompressed(model: Model, request: WireRequest) -> WireRequest:
    """The request with its body as it was before a client compressed it, where a service takes that."""
    if not model.takes_gzip or request.headers.get("content-encoding", "").lower() != "gzip":
        return request
    inflate = zlib.decompressobj(wbits=31)
    try:
        body = inflate.decompress(request.body, _MOST_UNCOMPRESSED_BYTES)
    except zlib.error as error:
        raise SerializationException(f"The body is not gzip, as Content-Encoding says: {error}") from error
    if inflate.unconsumed_tail:
        raise RequestEntityTooLargeException("The request body is too large once it is uncompressed.")
    if not inflate.eof:
        raise SerializationException("The gzip body ends too early.")
    headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}
    return msgspec.structs.replace(request, body=body, headers=headers)
