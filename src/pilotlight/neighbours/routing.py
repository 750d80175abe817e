"""Which endpoint answers for a service: the one that `endpoints` names, otherwise the embedded one.

An endpoint may carry credentials, `http://ACCESS_KEY:SECRET@host:9000`. Then every request to it is signed with them
(see signing.py), because the backend knows neither the node's clients nor the functions' temporary credentials.
Without credentials a request goes on as the client signed it, its Host header untouched, so that the signature holds.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import msgspec

from pilotlight.errors import ServiceUnavailableException
from pilotlight.settings import Settings, SettingsError

#: signing names of one service: what DynamoDB Streams, S3 Express and the like are signed with
_ALIASES = {"s3express": "s3", "s3-object-lambda": "s3", "eventbridge": "events"}


class KeyPair(msgspec.Struct, frozen=True):
    access_key_id: str
    secret_access_key: str


class Endpoint(msgspec.Struct, frozen=True):
    """Where a service is. `base` is scheme and authority, without credentials; `prefix` a path before every path."""

    service: str
    embedded: bool
    scheme: str = "http"
    authority: str = "localhost"
    prefix: str = ""
    keys: KeyPair | None = None

    @property
    def name(self) -> str:
        """For messages: never with credentials."""
        return "the embedded one" if self.embedded else f"{self.scheme}://{self.authority}{self.prefix}"


class Routing:
    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError when an endpoint is not a URL."""
        self._embedded = settings.neighbours
        self._named = {service: _endpoint(service, url) for service, url in settings.endpoints.items()}

    def endpoint(self, service: str) -> Endpoint:
        """The endpoint of a service by its signing name.

        Raises ServiceUnavailableException, naming the setting, when there is none.
        """
        named = self._named.get(service) or self._named.get(_ALIASES.get(service, ""))
        if named is not None:
            return named
        if self._embedded:
            return Endpoint(service, embedded=True)
        raise ServiceUnavailableException(
            f'No endpoint for the service "{service}": the embedded neighbours are off (neighbours = false). '
            f"Set endpoints.{service} to the URL of a server for it."
        )

    def has(self, service: str) -> bool:
        return self._embedded or service in self._named or _ALIASES.get(service, "") in self._named


def _endpoint(service: str, url: str) -> Endpoint:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"endpoints.{service}: not an endpoint URL such as http://127.0.0.1:9000")
    keys = None
    if parts.username is not None:
        keys = KeyPair(unquote(parts.username), unquote(parts.password or ""))
    authority = parts.netloc.rpartition("@")[2]
    return Endpoint(
        service, embedded=False, scheme=parts.scheme, authority=authority, prefix=parts.path.rstrip("/"), keys=keys
    )
