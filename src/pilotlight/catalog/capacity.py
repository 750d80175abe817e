"""Capacity providers: the machines that functions on managed instances would run on. Held; nothing runs on them yet.

A provider is Pending until it is Active, and Deleting until it is gone; nothing here makes one Failed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog.names import capacity_provider_arn

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
    """When Pending or Deleting ends; 0 when settled."""
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return capacity_provider_arn(self.account, self.region, self.name)


def settled(provider: CapacityProvider) -> CapacityProvider | None:
    """None: gone."""
    if provider.state == "Deleting":
        return None
    return msgspec.structs.replace(provider, state="Active", settles_at_ms=0)
