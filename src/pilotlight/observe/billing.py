"""What a use would cost on AWS: the list prices, and the sum. Nothing here bills anybody.

Prices are those of us-east-1, x86_64, first tier (https://aws.amazon.com/lambda/pricing/, as the project's issue
states them); a monthly free tier covers the first million requests and 400,000 GB-seconds.
"""

from __future__ import annotations

import msgspec


class Prices(msgspec.Struct, frozen=True):
    """US dollars, and the free amounts of one month."""

    per_million_requests: float = 0.20
    per_gb_second: float = 0.0000166667
    free_requests: int = 1_000_000
    free_gb_seconds: float = 400_000.0


PRICES = Prices()


class Cost(msgspec.Struct, frozen=True):
    """US dollars."""

    requests: float
    compute: float

    @property
    def total(self) -> float:
        return self.requests + self.compute


def gb_seconds(memory_mib: int, billed_ms: int) -> float:
    """The measure of compute: memory in GB (1,024 MB) times billed seconds."""
    return memory_mib * billed_ms / 1_024_000


def cost(requests: int, gb_seconds: float, *, free_tier: bool = False, prices: Prices = PRICES) -> Cost:
    """The price of `requests` and `gb_seconds`; with `free_tier`, less what a month gives away."""
    if free_tier:
        requests = max(0, requests - prices.free_requests)
        gb_seconds = max(0.0, gb_seconds - prices.free_gb_seconds)
    return Cost(requests * prices.per_million_requests / 1_000_000, gb_seconds * prices.per_gb_second)
