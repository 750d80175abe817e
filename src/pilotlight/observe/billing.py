"""What a use would cost on AWS: the list prices, and the sum of a month. Nothing here bills anybody.

Prices are those of us-east-1 as AWS's price list of 2025-10-01 has them (https://aws.amazon.com/lambda/pricing/); the
setting `prices` has others. Requests and duration on provisioned concurrency are outside of the free tier, as there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pilotlight.settings import SettingsError

_GIB = 1 << 30
_MIB_MS_PER_GB_S = 1_024_000
#: of each streamed response so much is free
FREE_STREAMED_BYTES = 6 << 20
#: of /tmp so much is free
FREE_TMP_MIB = 512

Tiers = tuple[tuple[float, float], ...]
"""(from so many GB-seconds a month on, US dollars for each), from 0 up."""


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars, and the free amounts of one month."""

    of: str = "us-east-1, 2025-10-01"
    """Where and when they hold: shown beside every bill."""
    million_requests: float = 0.20
    x86_64: Tiers = ((0, 0.0000166667), (6e9, 0.0000150000), (15e9, 0.0000133334))
    arm64: Tiers = ((0, 0.0000133334), (7.5e9, 0.0000120001), (18.75e9, 0.0000106667))
    provisioned_x86_64: float = 0.0000041667
    """A GB-second of provisioned concurrency, used or not."""
    provisioned_arm64: float = 0.0000033334
    provisioned_duration_x86_64: float = 0.0000097222
    """A GB-second of running on it."""
    provisioned_duration_arm64: float = 0.0000077778
    storage_gb_second: float = 0.0000000309
    """Of /tmp beyond 512 MB, while the function runs."""
    streamed_gb: float = 0.008
    """Of responses beyond 6 MB each."""
    free_requests: float = 1_000_000
    free_gb_seconds: float = 400_000
    free_streamed_gb: float = 100


PRICES = Prices()


def prices_of(given: Mapping[str, Any]) -> Prices:
    """The prices with those that are given in place of AWS's. Raises SettingsError."""
    try:
        prices = msgspec.convert(given, Prices)
    except msgspec.ValidationError as error:
        raise SettingsError(f"prices: {error}") from error
    for name in ("x86_64", "arm64"):
        starts = [start for start, _ in getattr(prices, name)]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise SettingsError(f"prices.{name}: tiers are [[0, price], [from_gb_seconds, price], ...], lowest first")
    return prices


def gb_seconds(memory_mib: int, billed_ms: int) -> float:
    """The measure of compute: memory in GB (1,024 MB) times billed seconds."""
    return memory_mib * billed_ms / _MIB_MS_PER_GB_S


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What one version of a function used in a time, on one architecture. `mib_ms` is memory times milliseconds."""

    region: str
    function: str
    version: str
    architecture: str
    requests: int = 0
    mib_ms: int = 0
    """Of what ran on demand: invocations, and initialisations where they are billed."""
    provisioned_requests: int = 0
    provisioned_mib_ms: int = 0
    """Of what ran on provisioned concurrency."""
    kept_mib_ms: int = 0
    """Of the provisioned concurrency itself."""
    tmp_mib_ms: int = 0
    """Beyond the free 512 MB."""
    streamed_bytes: int = 0
    """Beyond the free 6 MB of each response."""


class Line(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of a bill: amounts, and what they cost at the prices of the whole bill, before the free tier."""

    region: str
    function: str
    version: str
    architecture: str
    requests: int
    gb_seconds: float
    """On demand."""
    provisioned_requests: int
    provisioned_gb_seconds: float
    """Of running on provisioned concurrency."""
    kept_gb_seconds: float
    """Of provisioned concurrency, used or not."""
    storage_gb_seconds: float
    streamed_gb: float
    request_cost: float
    compute_cost: float
    provisioned_cost: float
    storage_cost: float
    streaming_cost: float
    cost: float


class FreeTier(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What of a month is free, how much of that was used, and what it takes off the bill."""

    requests: float
    free_requests: float
    gb_seconds: float
    free_gb_seconds: float
    streamed_gb: float
    free_streamed_gb: float
    discount: float


class Bill(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A month of one account, dearest function first."""

    account: str
    month: str
    """As 2026-11, in UTC."""
    over: bool
    """The month is; otherwise it is what has been used so far."""
    prices_of: str
    lines: list[Line]
    cost: float
    """Before the free tier."""
    free_tier: FreeTier
    total: float


def bill(
    used: Sequence[Used], prices: Prices = PRICES, *, account: str = "", month: str = "", over: bool = True
) -> Bill:
    """What it would cost. Tiers are of the sums of a region and architecture; each line has its share of them."""
    compute: dict[tuple[str, str], float] = {}
    for one in used:
        key = (one.region, one.architecture)
        compute[key] = compute.get(key, 0) + one.mib_ms / _MIB_MS_PER_GB_S
    average = {key: _tiered(_tiers(prices, key[1]), amount) / amount for key, amount in compute.items() if amount}
    lines = [_line(one, prices, average.get((one.region, one.architecture), 0.0)) for one in used]
    by_function: dict[tuple[str, str], float] = {}
    for line in lines:
        by_function[line.region, line.function] = by_function.get((line.region, line.function), 0.0) + line.cost
    lines.sort(
        key=lambda line: (
            -by_function[line.region, line.function],
            line.region,
            line.function,
            line.version.isdecimal(),
            int(line.version) if line.version.isdecimal() else 0,
            line.architecture,
        )
    )
    cost = sum(line.cost for line in lines)
    free = _free_tier(lines, compute, prices)
    return Bill(
        account=account,
        month=month,
        over=over,
        prices_of=prices.of,
        lines=lines,
        cost=cost,
        free_tier=free,
        total=max(0.0, cost - free.discount),
    )


def _line(used: Used, prices: Prices, average: float) -> Line:
    arm = used.architecture == "arm64"
    on_demand = used.mib_ms / _MIB_MS_PER_GB_S
    ran = used.provisioned_mib_ms / _MIB_MS_PER_GB_S
    kept = used.kept_mib_ms / _MIB_MS_PER_GB_S
    storage = used.tmp_mib_ms / _MIB_MS_PER_GB_S
    streamed = used.streamed_bytes / _GIB
    costs = (
        (used.requests + used.provisioned_requests) * prices.million_requests / 1e6,
        on_demand * average,
        ran * (prices.provisioned_duration_arm64 if arm else prices.provisioned_duration_x86_64)
        + kept * (prices.provisioned_arm64 if arm else prices.provisioned_x86_64),
        storage * prices.storage_gb_second,
        streamed * prices.streamed_gb,
    )
    return Line(
        region=used.region,
        function=used.function,
        version=used.version,
        architecture=used.architecture,
        requests=used.requests,
        gb_seconds=on_demand,
        provisioned_requests=used.provisioned_requests,
        provisioned_gb_seconds=ran,
        kept_gb_seconds=kept,
        storage_gb_seconds=storage,
        streamed_gb=streamed,
        request_cost=costs[0],
        compute_cost=costs[1],
        provisioned_cost=costs[2],
        storage_cost=costs[3],
        streaming_cost=costs[4],
        cost=sum(costs),
    )


def _free_tier(lines: list[Line], compute: Mapping[tuple[str, str], float], prices: Prices) -> FreeTier:
    """Of all regions and architectures together; compute is given away in proportion, at the first tier's price."""
    requests = sum(line.requests for line in lines)
    seconds = sum(compute.values())
    streamed = sum(line.streamed_gb for line in lines)
    share = min(1.0, prices.free_gb_seconds / seconds) if seconds else 0.0
    discount = min(requests, prices.free_requests) * prices.million_requests / 1e6
    discount += sum(_tiers(prices, key[1])[0][1] * amount * share for key, amount in compute.items())
    discount += min(streamed, prices.free_streamed_gb) * prices.streamed_gb
    return FreeTier(
        requests=requests,
        free_requests=prices.free_requests,
        gb_seconds=seconds,
        free_gb_seconds=prices.free_gb_seconds,
        streamed_gb=streamed,
        free_streamed_gb=prices.free_streamed_gb,
        discount=discount,
    )


def _tiers(prices: Prices, architecture: str) -> Tiers:
    return prices.arm64 if architecture == "arm64" else prices.x86_64


def _tiered(tiers: Tiers, amount: float) -> float:
    ends = [start for start, _ in tiers[1:]] + [amount]
    return sum(max(0.0, min(amount, end) - start) * price for (start, price), end in zip(tiers, ends, strict=True))
