"""Where in an S3 request the bucket and the key are: in the path, or the bucket in the host name.

Both the forward proxy and the notification tap need it, and both must read it alike. A host is virtual-host style
when something stands before one of the node's own names: `photos.localhost`, `photos.s3.localhost`,
`photos.s3.us-east-1.amazonaws.com`. IP addresses and bare names are path style.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

import msgspec

_REGION = r"[a-z]{2}(?:-[a-z]+)+-\d+"
#: the labels of an S3 endpoint itself: `s3`, `s3.us-east-1`, `s3-us-west-2`, `s3.dualstack.us-east-1`
_ENDPOINT = re.compile(rf"(?:(?P<bucket>.+)\.)?s3(?:[.-](?:dualstack\.)?{_REGION})?")
_ALWAYS = ("localhost",)
_AWS = ("amazonaws.com", "amazonaws.com.cn")


class S3Address(msgspec.Struct, frozen=True, gc=False):
    """`bucket` is "" for a request to the service itself; `key` is decoded, "" for a request to the bucket."""

    bucket: str
    key: str
    raw_path: str
    """The path in path style, percent-encoded as the client sent it: `/bucket/key`."""


def s3_address(host: str, raw_path: str, domains: Iterable[str] = ()) -> S3Address:
    """Read `host` (an authority, with or without port) and `raw_path`. `domains` are further names of the node."""
    bucket = bucket_in_host(host, domains)
    path = raw_path if not bucket else f"/{bucket}{raw_path if raw_path.startswith('/') else '/' + raw_path}"
    raw_bucket, _, raw_key = path.removeprefix("/").partition("/")
    return S3Address(unquote(raw_bucket), unquote(raw_key), path)


def object_path(bucket: str, key: str = "") -> str:
    """The path of a bucket or an object in path style, percent-encoded."""
    return f"/{quote(bucket, safe='-_.~')}" + (f"/{quote(key, safe='/-_.~')}" if key else "")


def bucket_in_host(host: str, domains: Iterable[str] = ()) -> str:
    """The bucket that a virtual-host style authority names; "" when it names none."""
    name = _host_name(host)
    if not name or _is_address(name):
        return ""
    for domain in _AWS:
        if name.endswith("." + domain):
            found = _ENDPOINT.fullmatch(name[: -len(domain) - 1])
            return (found["bucket"] or "") if found else ""
    for domain in (*_ALWAYS, *domains):
        if name.endswith("." + domain.lower()):
            labels = name[: -len(domain) - 1]
            found = _ENDPOINT.fullmatch(labels)
            return (found["bucket"] or "") if found else labels
    return ""


def _host_name(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
