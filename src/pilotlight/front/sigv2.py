"""Signature Version 2 of S3: what boto3 still puts in a presigned URL unless it is told `s3v4`, so clients do send it.

Source: "Signing and authenticating REST requests" (Amazon S3, Signature Version 2). Signed are the method, two
headers, the date or the expiry, every x-amz- header, the path with its bucket, and the parameters that name a
subresource.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import msgspec

from pilotlight.front.request_head import Head
from pilotlight.wire.s3_address import s3_address

_PREFIX = b"AWS "
_SUBRESOURCES = frozenset(
    {
        *("accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "lifecycle", "location"),
        *("logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment"),
        *("response-cache-control", "response-content-disposition", "response-content-encoding"),
        *("response-content-language", "response-content-type", "response-expires", "restore", "select"),
        *("select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning"),
        *("versions", "website"),
    }
)


class SignatureV2(msgspec.Struct, frozen=True):
    """What a request says about its signature. `expires_s` (epoch) is set for a presigned URL, `date_s` otherwise."""

    access_key_id: str
    signature: str
    token: str
    expires_s: int | None = None
    date_s: float | None = None


def key_id(head: Head) -> str:
    """The access key id of a request signed this way; "" for any other."""
    authorization = head.fields.get(b"authorization")
    if authorization is not None:
        return (
            authorization[len(_PREFIX) :].decode("latin-1").partition(":")[0]
            if authorization.startswith(_PREFIX)
            else ""
        )
    return dict(_pairs(head.query)).get("AWSAccessKeyId", "") if "AWSAccessKeyId=" in head.query else ""


def read(head: Head) -> SignatureV2 | None:
    """None when the request is not signed this way, or not completely."""
    access_key_id = key_id(head)
    authorization = head.text(b"authorization")
    if authorization:
        signature = authorization.partition(":")[2].strip()
        date_s = _date(head.text(b"x-amz-date") or head.text(b"date"))
        if not access_key_id or not signature or date_s is None:
            return None
        return SignatureV2(access_key_id, signature, head.text(b"x-amz-security-token"), date_s=date_s)
    query = dict(_pairs(head.query))
    expires = query.get("Expires", "")
    if not access_key_id or not query.get("Signature") or not expires.isdecimal():
        return None
    token = query.get("x-amz-security-token", "")
    return SignatureV2(access_key_id, query["Signature"], token, expires_s=int(expires))


def matches(signature: SignatureV2, head: Head, secret: str, domains: tuple[str, ...]) -> bool:
    """Whether the holder of `secret` signed this. `domains` are the node's further names, as for virtual hosts."""
    wanted = base64.b64encode(
        hmac.new(secret.encode(), _to_sign(signature, head, domains).encode(), hashlib.sha1).digest()
    )
    return hmac.compare_digest(wanted, signature.signature.encode())


def _to_sign(signature: SignatureV2, head: Head, domains: tuple[str, ...]) -> str:
    pairs = _pairs(head.query)
    amz: dict[str, list[str]] = {}
    for field, value in head.headers:
        name = field.decode("latin-1")
        if name.startswith("x-amz-"):
            amz.setdefault(name, []).append(value.decode("latin-1").strip())
    if signature.expires_s is not None:
        date = str(signature.expires_s)
        for name, value in pairs:
            if name.lower().startswith("x-amz-"):
                amz.setdefault(name.lower(), []).append(value)
    else:
        date = "" if "x-amz-date" in amz else head.text(b"date").strip()
    subresources = sorted((name, value) for name, value in pairs if name in _SUBRESOURCES)
    # A parameter without "=" is signed without it; one with an empty value is not told from it.
    query = "&".join(f"{name}={value}" if value else name for name, value in subresources)
    resource = s3_address(head.host, head.raw_path, domains).raw_path + (f"?{query}" if query else "")
    lines = [head.method, head.text(b"content-md5"), head.text(b"content-type"), date]
    lines += [f"{name}:{','.join(values)}" for name, values in sorted(amz.items())]
    return "\n".join((*lines, resource))


def _pairs(query: str) -> list[tuple[str, str]]:
    return [(unquote(name), unquote(value)) for name, _, value in (pair.partition("=") for pair in query.split("&"))]


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError):
        return None
