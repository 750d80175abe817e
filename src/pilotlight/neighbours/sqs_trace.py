"""SQS keeps a request's trace header with the messages it brings, as their system attribute AWSTraceHeader.

So does AWS's (X-Ray developer guide, "Amazon SQS and AWS X-Ray"); other servers drop it, and with it go the trace and
the count of a recursive loop. It is written into the request instead, in both of SQS's protocols, where a message does
not bring one: that has the last word on AWS too.
"""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

import msgspec

from pilotlight.observe import trace_header
from pilotlight.wire.messages import WireRequest

#: the largest request SQS takes: 1 MiB of messages in base64 and some more
BODY_LIMIT_BYTES = 4 << 20
_NAME = "AWSTraceHeader"
_JSON_ACTIONS = {"AmazonSQS.SendMessage": "SendMessage", "AmazonSQS.SendMessageBatch": "SendMessageBatch"}
_ENTRY = re.compile(r"(SendMessageBatchRequestEntry\.\d{1,4})\.Id\Z")


def header_of(request: WireRequest) -> str:
    """The trace header that the messages of a request are to keep; "" when it has none, or its body is not plain."""
    if request.method != "POST" or "content-encoding" in request.headers:
        return ""
    return trace_header.carried(request.headers.get("x-amzn-trace-id"))


def written_in(request: WireRequest, body: bytes, header: str) -> bytes:
    """The body with `header` in each message it sends; any other body as it is."""
    target = request.headers.get("x-amz-target")
    try:
        if target is not None:
            action = _JSON_ACTIONS.get(target)
            return _json(body, action, header) if action is not None else body
        return _form(body, header)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return body  # for the server to refuse


def _json(body: bytes, action: str, header: str) -> bytes:
    parameters = msgspec.json.decode(body, type=dict[str, Any])
    messages: Any = parameters.get("Entries") if action == "SendMessageBatch" else [parameters]
    if not isinstance(messages, list):
        return body
    for message in cast(list[Any], messages):
        if isinstance(message, dict):
            attributes: Any = cast(dict[str, Any], message).setdefault("MessageSystemAttributes", {})
            if isinstance(attributes, dict):
                cast(dict[str, Any], attributes).setdefault(_NAME, {"DataType": "String", "StringValue": header})
    return msgspec.json.encode(parameters)


def _form(body: bytes, header: str) -> bytes:
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
    match fields.get("Action"):
        case "SendMessage":
            prefixes = [""]
        case "SendMessageBatch":
            prefixes = [f"{found[1]}." for name in fields if (found := _ENTRY.match(name))]
        case _:
            return body
    added: dict[str, str] = {}
    for prefix in prefixes:
        attribute = f"{prefix}MessageSystemAttribute."
        if not any(name.startswith(attribute) for name in fields):  # AWSTraceHeader is the only one there is
            added[f"{attribute}1.Name"] = _NAME
            added[f"{attribute}1.Value.DataType"] = "String"
            added[f"{attribute}1.Value.StringValue"] = header
    return b"&".join((body, urlencode(added).encode())) if added else body
