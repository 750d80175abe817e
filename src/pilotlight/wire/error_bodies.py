"""Errors as each protocol writes them: the one place that turns an `AwsError` into status, headers and body.

`rest-json`: the error's name in `x-amzn-ErrorType`; a body with the members of the model's error shape, or `message`
alone for errors the model does not have, such as ValidationException. `json`: `__type` and `message`, and 400 for
whatever is the client's fault.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.errors import AwsError
from pilotlight.wire.messages import WireResponse
from pilotlight.wire.models import Model
from pilotlight.wire.render import json_content_type

_encode = msgspec.json.Encoder().encode


def render_error(model: Model, error: AwsError, request_id: str) -> WireResponse:
    headers = {"x-amzn-RequestId": request_id, "Content-Type": json_content_type(model)}
    if model.protocol == "json":
        return WireResponse(_rpc_status(error.status), headers, _encode(_rpc_body(error)))
    headers["x-amzn-ErrorType"] = error.code
    body = _rest_body(model, error, headers)
    return WireResponse(error.status, headers, _encode(body))


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
