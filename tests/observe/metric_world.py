"""Metrics with all their real parts and a clock that stands still: store, recorder, and CloudWatch's API on top."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.catalog.views import FunctionView
from pilotlight.clock import ManualClock
from pilotlight.environments.invocation import Outcome
from pilotlight.observe.counters import Counters
from pilotlight.observe.logs import LogStore
from pilotlight.observe.monitoring import monitoring_handlers
from pilotlight.settings import Settings
from pilotlight.wire import ServiceApi
from tests.wire import oracle

ACCOUNT, REGION = "111122223333", "eu-west-1"  # those that the oracle's requests come from
LAMBDA = "AWS/Lambda"
HELLO = {"FunctionName": "hello"}


class Refused(Exception):
    """What a client sees of an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class MetricWorld:
    def __init__(self, store: LogStore, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.functions: dict[str, FunctionView] = {}
        self.counters = Counters(store, clock, lambda account, region, name: self.functions.get(name))
        self.api = ServiceApi("cloudwatch", monitoring_handlers(self.counters, store, clock))

    async def call(self, operation: str, protocol: str = "smithy-rpc-v2-cbor", **params: Any) -> dict[str, Any]:
        """As botocore would send it and read the answer; raises Refused."""
        model = oracle.service_model("cloudwatch").operation_model(operation)
        response = await self.api.handle(oracle.serialize(model, params, validate=False, protocol=protocol))
        parsed = oracle.parse(model, response, protocol)
        if response.status >= 300:
            raise Refused(parsed["Error"]["Code"], parsed["Error"]["Message"])
        return parsed

    async def refused(self, operation: str, **params: Any) -> Refused:
        try:
            answer = await self.call(operation, **params)
        except Refused as refusal:
            return refusal
        raise AssertionError(f"it was not refused: {answer}")

    async def values(self, name: str, stat: str = "Sum", period: int = 60, hours: float = 1, **dimensions: str) -> Any:
        """Of a metric of Lambda's, or of `namespace`: its values in the last hours, oldest first."""
        namespace = dimensions.pop("namespace", LAMBDA)
        metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dims(**dimensions)}
        answer = await self.call(
            "GetMetricData",
            MetricDataQueries=[{"Id": "m", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}}],
            StartTime=self.at(-3600 * hours),
            EndTime=self.at(3600),
            ScanBy="TimestampAscending",
        )
        return answer["MetricDataResults"][0]["Values"]

    def at(self, seconds: float = 0) -> datetime:
        """A moment from now."""
        return datetime.fromtimestamp(self.clock.time_ms() / 1000 + seconds, UTC)


def dims(**dimensions: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def version(name: str = "hello", number: str = "$LATEST", memory_mib: int = 1024) -> FunctionVersion:
    return FunctionVersion(
        account=ACCOUNT,
        region=REGION,
        name=name,
        version=number,
        runtime="python3.12",
        handler="app.handler",
        role="arn:aws:iam::000000000000:role/r",
        memory_mib=memory_mib,
        code_blob="",
        code_sha256="",
        code_size=0,
    )


def view(**members: Any) -> FunctionView:
    """A function without versions, which is all that metrics look at."""
    return FunctionView(Function(account=ACCOUNT, region=REGION, name="hello", **members), 1, {}, {})


def ended(duration_ms: float = 1.0, *, failed: bool = False, cold: bool = False) -> Outcome:
    error = "Unhandled" if failed else ""
    return Outcome(b"", error, duration_ms=duration_ms, billed_ms=2, init_ms=9.0 if cold else None)


def stat(name: str, metric: str, statistic: str = "Sum", namespace: str = "Mine", period: int = 60, **more: Any) -> Any:
    metric_stat = {"Metric": {"Namespace": namespace, "MetricName": metric}, "Period": period, "Stat": statistic}
    return {"Id": name, "MetricStat": metric_stat, **more}


async def put(world: MetricWorld, metric: str, *values: float, **more: Any) -> None:
    await world.call(
        "PutMetricData", Namespace="Mine", MetricData=[{"MetricName": metric, "Values": [*values], **more}]
    )


async def data(world: MetricWorld, *queries: Any, seconds: float = 3600, **more: Any) -> dict[str, Any]:
    span = {"StartTime": world.at(-seconds), "EndTime": world.at(60)}
    return await world.call("GetMetricData", MetricDataQueries=[*queries], **{**span, **more})


async def statistics(world: MetricWorld, metric: str, names: list[str], **dimensions: str) -> dict[str, Any]:
    namespace = dimensions.pop("namespace", LAMBDA)
    return await world.call(
        "GetMetricStatistics",
        Namespace=namespace,
        MetricName=metric,
        Dimensions=dims(**dimensions),
        StartTime=world.at(-3600),
        EndTime=world.at(60),
        Period=60,
        Statistics=names,
    )


@asynccontextmanager
async def metric_world(path: Path, clock: ManualClock | None = None) -> AsyncIterator[MetricWorld]:
    clock = clock or ManualClock()
    store = LogStore(path, clock, Settings())
    await store.start()
    try:
        yield MetricWorld(store, clock)
    finally:
        await store.stop()
