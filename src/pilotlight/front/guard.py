"""Keeps web pages and rebound DNS names out: a port on loopback is reachable from every page the user has open.

Three checks on every request from outside an environment, before anything else looks at it:
- Host must be a name that no stranger's DNS can point at this machine. A page can only be rebound under a name its
  owner controls, and that name is then in Host. Loopback names and addresses qualify; so does the very address the
  connection was accepted on (an address is not a name); so do AWS's own domains, which appear when a client's proxy
  settings lead here and whose DNS AWS alone controls.
- Origin, which browsers add to what scripts send, must be configured; none is by default. Same-origin is no
  exception: the node serves S3 objects, so a page from this origin may be anybody's.
- Sec-Fetch-Site: cross-site without an Origin (an image tag, a link, a form by GET) is refused.

The host of a function URL is checked as a name, and by nothing else: `check_url_host`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from pilotlight.errors import AccessDeniedException, BadRequestException
from pilotlight.settings import Settings, SettingsError

_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".on.aws")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_REMEMBERED_HOSTS, _REMEMBERED_LENGTH = 1024, 256
_PREFLIGHT_SECONDS = b"600"


def check_exposure(settings: Settings) -> None:
    """Refuse settings that would open the node to the network without authentication, lock everybody out, or let no
    function URL be found.

    Raises SettingsError with a sentence on what to set.
    """
    if settings.auth == "none" and not _is_loopback(settings.host):
        raise SettingsError(
            f'host = {settings.host!r} can be reached from other machines, and auth is "none": anybody there could run '
            'code here. Set auth = "sigv4" with access_keys, or host to a loopback address such as 127.0.0.1.'
        )
    if settings.auth == "sigv4" and not settings.access_keys:
        raise SettingsError(
            'auth = "sigv4" needs access_keys (access key id -> secret access key): with none, no client could sign in.'
        )
    if not _DOMAIN.fullmatch(settings.url_domain):
        raise SettingsError(
            f"url_domain = {settings.url_domain!r} is no domain name: give one without scheme, port and *, such as "
            "fn.example.org."
        )


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def split_host(authority: str) -> str:
    """The host name of an authority, lower case, without port, brackets or a trailing dot."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].rstrip(".").lower()


class Guard:
    """Admits or refuses by Host, Origin and Sec-Fetch-Site. `admitted` is the hot path's look-up: Host values seen
    before whose admission does not depend on the connection."""

    def __init__(self, settings: Settings) -> None:
        self.admitted: set[bytes | None] = set()
        self.admitted_urls: set[bytes] = set()
        self._url_domain = f".{settings.url_domain.lower()}"
        self._hosts = {host.lower().lstrip(".") for host in settings.allowed_hosts if not host.startswith("*")}
        self._suffixes = tuple(host.lower()[1:] for host in settings.allowed_hosts if host.startswith("*."))
        if not _is_loopback(settings.host):
            try:
                ipaddress.ip_address(settings.host.strip("[]"))
            except ValueError:
                self._hosts.add(settings.host.lower())
        self._origins = frozenset(settings.allowed_origins)

    def check(self, fields: Mapping[bytes, bytes], local_address: str, http_version: str) -> None:
        """Raise AccessDeniedException (or BadRequestException for no Host at all) unless the request may come in."""
        authority = fields.get(b"host")
        if authority is None:
            if http_version != "1.0":
                raise BadRequestException("The request has no Host header.")
        elif authority not in self.admitted:
            self._check_host(authority, local_address)
        origin = fields.get(b"origin")
        if origin is not None:
            if not self._origin_allowed(origin):
                raise AccessDeniedException(
                    f"The page {_shown(origin)} may not call this node: add its origin to the setting allowed_origins "
                    "to let it."
                )
        elif fields.get(b"sec-fetch-site", b"").lower() == b"cross-site":
            raise AccessDeniedException(
                "A page of another site may not call this node. Pages named in the setting allowed_origins may, with "
                "requests that carry their Origin (fetch with mode cors)."
            )

    def cors_headers(self, fields: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        """What an answer to an admitted page must carry, so that its browser lets it read the answer."""
        origin = fields.get(b"origin")
        if origin is None or not self._origin_allowed(origin):
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"*"),
            (b"vary", b"Origin"),
        ]

    def preflight_headers(self, fields: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        """What an admitted page's preflight is answered, beside `cors_headers`."""
        headers = [(b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE")]
        asked = fields.get(b"access-control-request-headers")
        if asked is not None:
            headers.append((b"access-control-allow-headers", asked))
        if fields.get(b"access-control-request-private-network") == b"true":
            headers.append((b"access-control-allow-private-network", b"true"))
        headers.append((b"access-control-max-age", _PREFLIGHT_SECONDS))
        return headers

    def _check_host(self, authority: bytes, local_address: str) -> None:
        name = split_host(authority.decode("latin-1"))
        if self._name_allowed(name):
            if len(self.admitted) >= _REMEMBERED_HOSTS:
                self.admitted.clear()
            if len(authority) <= _REMEMBERED_LENGTH:
                self.admitted.add(authority)
        elif name != local_address:
            raise _no_name(authority)

    def check_url_host(self, authority: bytes) -> None:
        """Raise AccessDeniedException when the host of a function URL is a name that a stranger could point here.

        Origin is not looked at: a URL is its function's public endpoint, and which pages may read its answers is in
        its own CORS settings.
        """
        name = split_host(authority.decode("latin-1"))
        if not self._name_allowed(name) and not name.endswith(self._url_domain):
            raise _no_name(authority)
        if len(self.admitted_urls) >= _REMEMBERED_HOSTS:
            self.admitted_urls.clear()
        if len(authority) <= _REMEMBERED_LENGTH:
            self.admitted_urls.add(authority)

    def _name_allowed(self, name: str) -> bool:
        return _is_loopback(name) or name.endswith(_AWS_DOMAINS) or name in self._hosts or name.endswith(self._suffixes)

    def _origin_allowed(self, origin: bytes) -> bool:
        return origin.decode("latin-1") in self._origins or "*" in self._origins


def _no_name(authority: bytes) -> AccessDeniedException:
    return AccessDeniedException(
        f"Host {_shown(authority)} is not a name of this node: add it to the setting allowed_hosts, or use localhost."
    )


def _shown(value: bytes) -> str:
    """A header's value as it may stand in a message: printable, short, quoted."""
    return repr(value.decode("latin-1"))[:120]
