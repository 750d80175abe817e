"""Cross-origin requests to a function URL, as its Cors settings say: preflights answered, headers added.

A preflight is answered here and never reaches the function, nor is a signature asked of it. A request from an origin
that is not allowed is served all the same: CORS keeps pages from reading answers, not from asking; only its answer
says nothing. Of a header that the settings provide, the function's own is dropped. Source: developer guide, "Creating
and managing Lambda function URLs" (Cross-origin resource sharing), API reference, Cors. `*` stands for every origin,
method or header; other wildcards mean nothing, as there.
"""

from __future__ import annotations

from typing import Any

from pilotlight.wire.http_messages import Headers

_VARY = (b"vary", b"Origin")


class Cors:
    """Of one URL. `settings` as the API shows them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._origins = frozenset(origin.encode() for origin in settings.get("AllowOrigins", ()))
        self._methods = _listed(settings, "AllowMethods")
        self._headers = _listed(settings, "AllowHeaders")
        self._exposed = _listed(settings, "ExposeHeaders")
        self._max_age: int | None = settings.get("MaxAge")
        self._credentials = bool(settings.get("AllowCredentials"))
        self.provided = frozenset(
            name
            for name, given in (
                (b"access-control-allow-origin", self._origins),
                (b"access-control-allow-methods", self._methods),
                (b"access-control-allow-headers", self._headers),
                (b"access-control-expose-headers", self._exposed),
                (b"access-control-allow-credentials", "AllowCredentials" in settings),
                (b"access-control-max-age", self._max_age is not None),
            )
            if given
        )
        """Names of headers that are the settings' affair: not the function's."""

    @staticmethod
    def is_preflight(fields: dict[bytes, bytes]) -> bool:
        """Whether an OPTIONS request with these headers is one."""
        return b"origin" in fields and b"access-control-request-method" in fields

    def preflight(self, fields: dict[bytes, bytes]) -> Headers:
        """Headers that only the answer to a preflight has; what every answer has is in `headers`."""
        if not self.headers(fields[b"origin"]):
            return []
        headers: Headers = []
        if self._methods:
            asked = fields[b"access-control-request-method"]
            headers.append((b"access-control-allow-methods", self._or_asked(self._methods, asked)))
        if self._headers:
            asked = fields.get(b"access-control-request-headers", b"")
            headers.append((b"access-control-allow-headers", self._or_asked(self._headers, asked)))
        if self._max_age is not None:
            headers.append((b"access-control-max-age", b"%d" % self._max_age))
        if fields.get(b"access-control-request-private-network") == b"true":
            headers.append((b"access-control-allow-private-network", b"true"))
        return headers

    def headers(self, origin: bytes) -> Headers:
        """What every answer to a page of `origin` carries; nothing unless the origin is allowed."""
        everybody = b"*" in self._origins
        if not everybody and origin not in self._origins:
            return []
        if everybody and not self._credentials:
            headers = [(b"access-control-allow-origin", b"*")]
        else:
            headers = [(b"access-control-allow-origin", origin), _VARY]
        if self._exposed:
            headers.append((b"access-control-expose-headers", self._exposed))
        if self._credentials:
            headers.append((b"access-control-allow-credentials", b"true"))
        return headers

    def _or_asked(self, allowed: bytes, asked: bytes) -> bytes:
        """To a request with credentials `*` is no wildcard: it is told what it asked for."""
        return asked if self._credentials and b"*" in allowed.split(b",") and asked else allowed


def _listed(settings: dict[str, Any], member: str) -> bytes:
    return ",".join(settings.get(member, ())).encode("utf-8")
