"""CloudWatch's embedded metric format: metrics that functions print, as Powertools does, are metrics.

A line counts when it is a JSON object with an `_aws` member that names metrics beside it; with anything wrong about it,
it is just a line, as on AWS. Only lines that begin with a brace and have `"_aws"` in them are parsed. What was found is
written once a second, so a killed node loses a second's. Source: user guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from pilotlight.clock import Clock
from pilotlight.errors import AwsError
from pilotlight.observe.metric_reports import reported
from pilotlight.observe.metric_store import Batch
from pilotlight.wire.messages import Call

_WRITE_EVERY_S = 1.0
_MOST_DIMENSIONS = 30
_MOST_METRICS = 100
_MOST_VALUES = 100
#: of one line, in all its sets of dimensions: a small line can name millions, and is read on the event loop
_MOST_IN_A_LINE = 20_000
_LARGEST = 2**360
#: metrics waiting to be written; beyond that a flood of lines brings no more
_MOST_WAITING = 50_000

_log = logging.getLogger(__name__)


class _Metric(msgspec.Struct):
    Name: str
    Unit: str = "None"
    StorageResolution: int = 60


class _Directive(msgspec.Struct):
    Namespace: str
    Metrics: list[_Metric]
    Dimensions: list[list[str]] = []


class _Metadata(msgspec.Struct):
    Timestamp: float
    CloudWatchMetrics: list[_Directive]


class _Line(msgspec.Struct, rename={"metadata": "_aws"}):
    metadata: _Metadata


_line = msgspec.json.Decoder(_Line)
_object = msgspec.json.Decoder(dict[str, Any])


class EmbeddedMetrics:
    """`write` is Counters.write. Fits `LogStore.embedded`; `stop` writes what is still waiting."""

    def __init__(self, write: Callable[[Batch], Awaitable[None]], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._waiting: Batch = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()

    def take(self, account: str, region: str, message: str) -> None:
        """A line that may have metrics in it."""
        if len(self._waiting) >= _MOST_WAITING:
            return
        for params in metrics_in(message):
            try:
                batch = reported(Call("PutMetricData", params, account, region, ""), self._clock.time_ms() // 1000)
            except AwsError as error:
                _log.debug("embedded metrics of %s are left out: %s", params["Namespace"], error)
                continue
            for key, values in batch.items():
                if key in self._waiting:
                    self._waiting[key].merge(values)
                else:
                    self._waiting[key] = values
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WRITE_EVERY_S, self._write_soon)

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._write_soon()
        await asyncio.gather(*self._writing)

    def _write_soon(self) -> None:
        self._timer = None
        task = asyncio.ensure_future(self._write_waiting())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_waiting(self) -> None:
        batch, self._waiting = self._waiting, {}
        try:
            await self._write(batch)
        except Exception:
            _log.exception("embedded metrics of the last second could not be stored and are lost")


def metrics_in(message: str) -> list[dict[str, Any]]:
    """The parameters of PutMetricData for each namespace, and set of dimensions, that a line names."""
    try:
        metadata = _line.decode(message).metadata
        members = _object.decode(message)
        at = datetime.fromtimestamp(metadata.Timestamp / 1000, UTC)
    except (msgspec.DecodeError, ValueError, OverflowError, OSError, RecursionError):
        return []
    if _size(metadata.CloudWatchMetrics, members) > _MOST_IN_A_LINE:
        return []
    return [
        {"Namespace": directive.Namespace, "MetricData": data}
        for directive in metadata.CloudWatchMetrics
        for names in directive.Dimensions or [[]]
        if (data := _data(directive, names, members, at))
    ]


def _size(directives: list[_Directive], members: dict[str, Any]) -> int:
    """How much work a line is: its values, in each set of dimensions, and the dimensions of each metric."""
    total = 0
    for directive in directives:
        given = [members.get(metric.Name) for metric in directive.Metrics[:_MOST_METRICS]]
        values = sum(min(len(one), _MOST_VALUES) if isinstance(one, list) else 1 for one in given)  # pyright: ignore[reportUnknownArgumentType]
        sets = len(directive.Dimensions) or 1
        names = sum(map(len, directive.Dimensions))
        total += sets * max(1, values) + names * max(1, len(given))
    return total


def _data(directive: _Directive, names: list[str], members: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
    """Of one set of dimensions; empty when one of them has no value."""
    values = [members.get(name) for name in names]
    if len(names) > _MOST_DIMENSIONS or not all(isinstance(value, str) for value in values):
        return []
    dimensions = [{"Name": name, "Value": value} for name, value in zip(names, values, strict=True)]
    data: list[dict[str, Any]] = []
    for metric in directive.Metrics[:_MOST_METRICS]:
        given = members.get(metric.Name)
        numbers: list[Any] = given if isinstance(given, list) else [given]  # pyright: ignore[reportUnknownVariableType]
        if not 0 < len(numbers) <= _MOST_VALUES or not all(map(_is_value, numbers)):
            continue
        data.append(
            {
                "MetricName": metric.Name,
                "Dimensions": dimensions,
                "Timestamp": at,
                "Unit": metric.Unit,
                "StorageResolution": 1 if metric.StorageResolution == 1 else 60,
                "Values": [float(number) for number in numbers],
            }
        )
    return data


def _is_value(number: Any) -> bool:
    """What CloudWatch takes for one; JSON has integers that no float can hold."""
    return type(number) in (int, float) and -_LARGEST <= number <= _LARGEST
