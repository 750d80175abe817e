"""SigV4 over a request whose path and query are already as they will be on the wire; the arithmetic is botocore's.

Used for the node's own calls, and for a client's request to an endpoint that has credentials of its own: then what
the client signed with is taken out first (headers and presigned query alike).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pilotlight.neighbours.routing import KeyPair

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
#: what a SigV4 or SigV2 presigned URL adds to the query
_PRESIGNED = frozenset(
    {
        *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders"),
        *("x-amz-signature", "x-amz-security-token", "x-amz-content-sha256"),
        *("awsaccesskeyid", "signature", "expires"),
    }
)
_SIGNATURE_HEADERS = frozenset({"authorization", "x-amz-date", "x-amz-security-token", "date"})
#: only these are signed, with `host` and `x-amz-*`: anything else a hop may change
_ALSO_SIGNED = frozenset({"content-type", "content-md5"})


def without_signature(headers: Mapping[str, str], query_string: str) -> tuple[dict[str, str], str]:
    """The request as if nobody had signed it. Header names are in lower case."""
    kept = {name: value for name, value in headers.items() if name not in _SIGNATURE_HEADERS}
    pairs = query_string.split("&") if query_string else []
    return kept, "&".join(pair for pair in pairs if unquote(pair.partition("=")[0]).lower() not in _PRESIGNED)


def signed_headers(
    *,
    keys: KeyPair,
    service: str,
    region: str,
    method: str,
    host: str,
    raw_path: str,
    query_string: str,
    headers: Mapping[str, str],
    payload: bytes | str,
) -> dict[str, str]:
    """`headers` with what a signature adds. `payload` is the body, or the value x-amz-content-sha256 has for it."""
    # A server decodes the path and encodes it again in the one canonical way before it checks the signature.
    path = quote(unquote(raw_path), safe="/-_.~")
    canonical = [(quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in _pairs(query_string)]
    url = f"http://{host}{path}" + ("?" + "&".join(f"{name}={value}" for name, value in canonical) if canonical else "")
    covered = {name: value for name, value in headers.items() if name.startswith("x-amz-") or name in _ALSO_SIGNED}
    covered["host"] = host
    # botocore has no types: these are its request and its signer.
    request: Any = AWSRequest(method, url, headers=covered, data=payload if isinstance(payload, bytes) else None)
    credentials = Credentials(keys.access_key_id, keys.secret_access_key)
    signer: Any = _S3Auth(credentials, service, region) if service == "s3" else SigV4Auth(credentials, service, region)
    if isinstance(payload, str):
        request.context["payload_hash"] = payload
    signer.add_auth(request)
    added = {name.lower(): str(value) for name, value in request.headers.items()}
    return {**headers, **added}


def _pairs(query_string: str) -> list[tuple[str, str]]:
    # `+` is a plus sign in a signed query, never a space.
    return parse_qsl(query_string.replace("+", "%2B"), keep_blank_values=True)


class _S3Auth(S3SigV4Auth):
    """Signs the payload hash it is given; botocore would choose one by the client's configuration."""

    def payload(self, request: Any) -> str:
        given: str | None = request.context.get("payload_hash")
        return given if given is not None else hashlib.sha256(request.body or b"").hexdigest()
