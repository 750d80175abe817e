"""Errors as each protocol writes them: the one place that turns an `AwsError` into status, headers and body.

`rest-json`: the error's name in `x-amzn-ErrorType`; a body with the members of the model's error shape, or `message`
alone for errors the model does not have, such as ValidationException. `json` and CBOR: `__type` and `message`, and 400
for whatever is the client's fault; services that once spoke `query` tell what the error was called there. `query`: XML.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.errors import AwsError
from pilotlight.wire import cbor
from pilotlight.wire.messages import WireResponse
from pilotlight.wire.models import Model, Protocol
from pilotlight.wire.query import query_error
from pilotlight.wire.render import content_type

_encode = msgspec.json.Encoder().encode


def render_error(model: Model, error: AwsError, request_id: str, protocol: Protocol | None = None) -> WireResponse:
    """`protocol`: the one the client speaks, when the service has several."""
    protocol = protocol or model.protocols[0]
    if protocol == "query":
        return query_error(model, error, request_id)
    headers = {"x-amzn-RequestId": request_id, "Content-Type": content_type(model, protocol)}
    if protocol == "rest-json":
        headers["x-amzn-ErrorType"] = error.code
        return WireResponse(error.status, headers, _encode(_rest_body(model, error, headers)))
    shape = model.error_shape(error.code)
    if model.query_compatible:
        code = (shape.query_code if shape else "") or error.code
        headers["x-amzn-query-error"] = f"{code};{'Receiver' if error.type == 'Service' else 'Sender'}"
    body = _rpc_body(error)
    if protocol == "smithy-rpc-v2-cbor":
        headers["smithy-protocol"] = "rpc-v2-cbor"
        return WireResponse(_rpc_status(error.status), headers, cbor.encode(body))
    return WireResponse(_rpc_status(error.status), headers, _encode(body))


def _rest_body(model: Model, error: AwsError, headers: dict[str, str]) -> dict[str, Any]:
    """The body; members that belong in headers are added to `headers`."""
    shape = model.error_shape(error.code)
    if shape is None:
        return {"message": error.message, **error.members}
    body: dict[str, Any] = {}
    for name, member in shape.members.items():
        value = error.members.get(name)
        if value is None:
            if name == "Type":
                value = error.type
            elif name.lower() == "message":
                value = error.message
            else:
                continue
        if name == "Type" and not value:
            continue  # AWS leaves it out of some
        if member.location == "header":
            headers[member.wire_name] = str(value)
        else:
            body[member.wire_name] = value
    return body


def _rpc_body(error: AwsError) -> dict[str, Any]:
    # AWS's framework writes its own serialisation errors with a capital M, and all other messages without.
    key = "Message" if error.code == "SerializationException" else "message"
    return {"__type": error.code, key: error.message, **error.members}


def _rpc_status(status: int) -> int:
    return 400 if 400 <= status < 500 and status != 413 else status
