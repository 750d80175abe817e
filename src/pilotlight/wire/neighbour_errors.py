"""Errors of services that are not ours, in the shape their clients parse: when a neighbour cannot be reached, for one.

No model is loaded for it: which protocol a request speaks shows in its headers. Shapes: S3's `<Error>`, the query
protocols' `<ErrorResponse>`, `__type` for the JSON protocols, `X-Amzn-Errortype` for rest-json.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

import msgspec

from pilotlight.errors import AwsError
from pilotlight.wire import cbor
from pilotlight.wire.messages import WireResponse


def neighbour_error(
    service: str,
    error: AwsError,
    *,
    headers: Mapping[str, str],
    query_string: str,
    request_id: str,
    resource: str = "",
) -> WireResponse:
    """`headers` (lower-case names) and `query_string` are the request's; `resource` is its path, named by S3 only."""
    if service in ("s3", "s3express"):
        return WireResponse(error.status, _s3_headers(request_id), _s3_body(error, request_id, resource))
    content_type = headers.get("content-type", "")
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        kinds = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor", "x-amzn-requestid": request_id}
        return WireResponse(error.status, kinds, cbor.encode({"__type": error.code, "message": error.message}))
    if "x-amz-target" in headers:
        kind = content_type if content_type.startswith("application/x-amz-json") else "application/x-amz-json-1.0"
        body = msgspec.json.encode({"__type": error.code, "message": error.message})
        return WireResponse(error.status, {"content-type": kind, "x-amzn-requestid": request_id}, body)
    if content_type.startswith("application/x-www-form-urlencoded") or "Action=" in query_string:
        return WireResponse(
            error.status, {"content-type": "text/xml", "x-amzn-requestid": request_id}, _query_body(error, request_id)
        )
    return WireResponse(
        error.status,
        {"content-type": "application/json", "x-amzn-errortype": error.code, "x-amzn-requestid": request_id},
        msgspec.json.encode({"message": error.message}),
    )


def _s3_headers(request_id: str) -> dict[str, str]:
    return {"content-type": "application/xml", "x-amz-request-id": request_id}


def _s3_body(error: AwsError, request_id: str, resource: str) -> bytes:
    # S3 has no ServiceUnavailableException: its own name for it goes without the suffix.
    code = error.code.removesuffix("Exception") if error.code.startswith("ServiceUnavailable") else error.code
    parts = [("Code", code), ("Message", error.message)]
    parts += [(name, str(value)) for name, value in error.members.items()]
    if resource:
        parts.append(("Resource", resource))
    parts.append(("RequestId", request_id))
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in parts)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inside}</Error>'.encode()


def _query_body(error: AwsError, request_id: str) -> bytes:
    fault = "Receiver" if error.type == "Service" else "Sender"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ErrorResponse>'
        f"<Error><Type>{fault}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
    ).encode()
