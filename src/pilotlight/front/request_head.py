"""The head of one HTTP request, as it was on the wire: what guard, router and signature check look at.

Names are lower case, values are bytes untouched; `raw_path` and `query` are percent-encoded as the client sent them,
because signatures are over exactly that, and because what is passed on must be passed on byte for byte.
"""

from __future__ import annotations

import msgspec

from pilotlight.catalog.credentials import Identity


class Head(msgspec.Struct, gc=False):
    """One request's head. `fields` is `headers` by name, the last one of a repeated name."""

    method: str
    raw_path: str
    query: str
    headers: list[tuple[bytes, bytes]]
    fields: dict[bytes, bytes]
    request_id: str
    identity: Identity | None = None
    """Set when the request came from inside an environment: who its environment is."""
    extra_headers: list[tuple[bytes, bytes]] = []
    """Headers the answer must carry (CORS)."""

    def text(self, name: bytes) -> str:
        """A header's value, or "" when it is absent."""
        return self.fields.get(name, b"").decode("latin-1")

    @property
    def host(self) -> str:
        return self.text(b"host")
