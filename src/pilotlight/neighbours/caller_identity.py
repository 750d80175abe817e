"""STS GetCallerIdentity from inside an environment: answered here, because only the node knows whose call it is.

The embedded STS has never heard of the role credentials an environment was given, and would name a user of its own.
Source: STS API reference, GetCallerIdentity; a function on AWS is `assumed-role/<role>/<function>`.
"""

from __future__ import annotations

from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from pilotlight.catalog.principals import unique_id
from pilotlight.wire.messages import WireRequest, WireResponse

_ASSUMED = ":assumed-role/"


def answer(request: WireRequest, body: bytes) -> WireResponse | None:
    """The answer to an environment's GetCallerIdentity; None for every other request and caller."""
    fields = parse_qs(request.query_string) | parse_qs(body.decode("latin-1"))
    if _ASSUMED not in request.caller or fields.get("Action") != ["GetCallerIdentity"]:
        return None
    user_id = unique_id(request.account, request.caller)
    text = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>{escape(request.caller)}</Arn><UserId>{escape(user_id)}</UserId><Account>{request.account}</Account>"
        f"</GetCallerIdentityResult><ResponseMetadata><RequestId>{request.request_id}</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
    return WireResponse(200, {"content-type": "text/xml"}, text.encode())
