"""The bill of a month, made from what functions used by day (used_days.py): for `pilotlight bill`. Months are UTC's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec

from pilotlight.clock import Clock
from pilotlight.observe.billing import Bill, Prices, Used, bill
from pilotlight.observe.counters import Counters
from pilotlight.observe.logs import LogStore
from pilotlight.wire.messages import WireResponse

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class Bills:
    """Reads what `Counters` writes."""

    def __init__(self, store: LogStore, counters: Counters, clock: Clock, prices: Prices, account: str) -> None:
        """`account` is whose bill is shown unless another is asked for."""
        self._store = store
        self._counters = counters
        self._clock = clock
        self._prices = prices
        self._account = account

    async def month(self, month: str = "", account: str = "", function: str = "") -> Bill:
        """The bill of a month (as 2026-11; "" for this one): of all functions, or the lines of one of them, which
        have their share of the account's tiers. Raises ValueError when there is no such month."""
        now_ms = self._clock.time_ms()
        month = month or f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m}"
        from_ms, before_ms = _bounds(month)
        await self._counters.flush()
        account = account or self._account
        rows = await self._store.read(
            lambda database: database.run("sum_used", account=account, from_ms=from_ms, before_ms=before_ms)
        )
        used = [Used(**dict(zip(Used.__struct_fields__, row, strict=True))) for row in rows]
        whole = bill(used, self._prices, account=account, month=month, over=now_ms >= before_ms)
        if not function:
            return whole
        lines = [line for line in whole.lines if line.function == function]
        cost = sum(line.cost for line in lines)
        return msgspec.structs.replace(whole, lines=lines, cost=cost)

    async def page(self, query: str) -> WireResponse:
        """`GET /_pilotlight/bill?month=2026-11&function=hello&account=000000000000`, all of them optional."""
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        try:
            made = await self.month(asked.get("month", ""), asked.get("account", ""), asked.get("function", ""))
        except ValueError as error:
            return _json(400, {"message": str(error)})
        return _json(200, made)


def _json(status: int, body: object) -> WireResponse:
    return WireResponse(status, {"content-type": "application/json"}, msgspec.json.encode(body))


def _bounds(month: str) -> tuple[int, int]:
    """From when and before when it is, in epoch milliseconds."""
    found = _MONTH.fullmatch(month)
    if found is None:
        raise ValueError(f"{month!r} is no month: months are written like 2026-11.")
    year, number = int(found[1]), int(found[2])
    try:
        first = datetime(year, number, 1, tzinfo=UTC)
        after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{month!r} is no month: it lies outside of the calendar.") from None
    return int(first.timestamp() * 1000), int(after.timestamp() * 1000)
