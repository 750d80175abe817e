"""Capacity providers: the machines that functions on managed instances would run on. Held; nothing runs on them yet."""

from __future__ import annotations

from typing import Any

import msgspec

CAPACITY_PROVIDER = "lambda.capacity-provider"


class CapacityProvider(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    region: str
    name: str
    settings: dict[str, Any] = {}
    """Further members of the API's CapacityProvider, as it shows them."""
    state: str = "Pending"
    last_modified_ms: int = 0
    settles_at_ms: int = 0
    tags: dict[str, str] = {}


def settled(provider: CapacityProvider) -> CapacityProvider | None:
    raise NotImplementedError
