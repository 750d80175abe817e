"""Where GetFunction says a function's package can be downloaded: a signed URL on the node, good for ten minutes.

AWS gives a presigned S3 URL; tools fetch it with a plain GET and no credentials, so the signature is in the query.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs

from pilotlight.clock import Clock
from pilotlight.store.blobs import Blobs
from pilotlight.wire.messages import WireResponse

PREFIX = "/_pilotlight/code/"
LIFETIME_MS = 10 * 60 * 1000

_PIECE_BYTES = 256 * 1024
_PATH = re.compile(re.escape(PREFIX) + r"([0-9a-f]{64})")


class CodeLocation:
    """Signs with the node's secret `key` (any length), so that links outlive a restart."""

    def __init__(self, key: bytes, clock: Clock, blobs: Blobs) -> None:
        self._key = hmac.new(key, b"code-location", hashlib.sha256).digest()
        self._clock = clock
        self._blobs = blobs

    def url(self, host: str, sha256_hex: str) -> str:
        """`host` is the authority the client used, so that the link works from where the client is."""
        expires_ms = self._clock.time_ms() + LIFETIME_MS
        return f"http://{host}{PREFIX}{sha256_hex}?sig={self._sign(sha256_hex, expires_ms)}&expires={expires_ms}"

    async def download(self, path: str, query: str) -> WireResponse:
        """Serve a signed URL: 200 with the zip, 403 when the signature is wrong or has expired, 404 when it is gone."""
        match = _PATH.fullmatch(path)
        given = {name: values[0] for name, values in parse_qs(query).items()}
        expires = given.get("expires", "")
        if match is None or not expires.isdecimal():
            return _refused(403, "AccessDenied", "Access Denied")
        sha256_hex, expires_ms = match[1], int(expires)
        if not hmac.compare_digest(self._sign(sha256_hex, expires_ms).encode(), given.get("sig", "").encode()):
            return _refused(403, "SignatureDoesNotMatch", "The signature of this link does not match.")
        if expires_ms <= self._clock.time_ms():
            return _refused(403, "AccessDenied", "Request has expired")
        file = self._blobs.path(sha256_hex)
        try:
            size = (await asyncio.to_thread(file.stat)).st_size
        except FileNotFoundError:
            return _refused(404, "NoSuchKey", "The specified key does not exist.")
        headers = {"content-type": "application/zip", "content-length": str(size)}
        return WireResponse(200, headers, _pieces(file))

    def _sign(self, sha256_hex: str, expires_ms: int) -> str:
        return hmac.new(self._key, f"{sha256_hex}:{expires_ms}".encode(), hashlib.sha256).hexdigest()


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    opened = await asyncio.to_thread(file.open, "rb")
    try:
        while piece := await asyncio.to_thread(opened.read, _PIECE_BYTES):
            yield piece
    finally:
        opened.close()


def _refused(status: int, code: str, message: str) -> WireResponse:
    """S3's shape of an error, since the client believes to be talking to S3."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return WireResponse(status, {"content-type": "application/xml"}, body.encode())
