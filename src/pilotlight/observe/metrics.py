"""What a metric is: a series of distributions in time; and which metrics Lambda has.

Names, units and dimensions are AWS's. Source: developer guide, "Types of metrics for Lambda functions", "Viewing
metrics for Lambda functions" (dimensions) and "Monitoring Lambda function URLs".
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from pilotlight.observe.histogram import Histogram, add, index_of

NAMESPACE = "AWS/Lambda"

Dimensions = tuple[tuple[str, str], ...]
"""(name, value), sorted by name."""


class Series(msgspec.Struct, frozen=True, gc=False):
    """What tells one series from another."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: Dimensions
    unit: str


class Period(msgspec.Struct, frozen=True, gc=False):
    """When: `length_s` seconds from `start_s` (epoch) on."""

    start_s: int
    length_s: int = 60


class Distribution:
    """Values of a metric, added up. Percentiles are known when the histogram has all of them (`complete`)."""

    __slots__ = ("count", "histogram", "maximum", "minimum", "sum")

    def __init__(
        self,
        count: float = 0,
        sum: float = 0.0,
        minimum: float = math.inf,
        maximum: float = -math.inf,
        histogram: Histogram | None = None,
    ) -> None:
        self.count = count
        self.sum = sum
        self.minimum = minimum
        self.maximum = maximum
        self.histogram: Histogram = {} if histogram is None else histogram

    def record(self, value: float, times: float = 1) -> None:
        self.count += times
        self.sum += value * times
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        if value >= 0:
            index = index_of(value)
            self.histogram[index] = self.histogram.get(index, 0) + times

    def merge(self, other: Distribution) -> None:
        self.count += other.count
        self.sum += other.sum
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        add(self.histogram, other.histogram)

    @property
    def complete(self) -> bool:
        """Whether every value is in the histogram: not so when one was negative, or only a sum of several was given."""
        return math.isclose(sum(self.histogram.values()), self.count)


def encoded_histogram(values: Distribution) -> bytes:
    """As it is kept: MessagePack, or nothing where minimum and maximum say it all."""
    return b"" if values.minimum == values.maximum else msgspec.msgpack.encode(values.histogram)


def distribution(count: float, sum: float, minimum: float, maximum: float, histogram: bytes) -> Distribution:
    """What is kept of a period, as a value."""
    if histogram:
        buckets = _histogram_decoder.decode(histogram)
    else:
        buckets: Histogram = {index_of(minimum): count} if minimum == maximum >= 0 else {}
    return Distribution(count, sum, minimum, maximum, buckets)


def merged_histogram(*row: Any) -> bytes:
    """SQL's merged_histogram(count, minimum, maximum, histogram, and the same of the other)."""
    values = distribution(row[0], 0.0, *row[1:4])
    values.merge(distribution(row[4], 0.0, *row[5:8]))
    return encoded_histogram(values)


_histogram_decoder = msgspec.msgpack.Decoder(dict[int, int | float])


Unit = Literal["Count", "Milliseconds", "Percent", "None", "Bytes"]
Statistic = Literal["Sum", "Maximum", "Average"]


class Metric(msgspec.Struct, frozen=True):
    unit: Unit
    statistic: Statistic
    """The one to look at."""
    recorded: bool = True
    """False: AWS has it, and what it would count does not exist here yet."""


#: what is counted of every invocation, by Counters.invoked and throttled
INVOCATIONS, ERRORS, THROTTLES, DURATION = "Invocations", "Errors", "Throttles", "Duration"
#: of function URLs; each latency is a request
URL_LATENCY, URL_REQUESTS = "UrlRequestLatency", "UrlRequestCount"

METRICS: dict[str, Metric] = {
    INVOCATIONS: Metric("Count", "Sum"),
    ERRORS: Metric("Count", "Sum"),
    THROTTLES: Metric("Count", "Sum"),
    DURATION: Metric("Milliseconds", "Average"),
    "PostRuntimeExtensionsDuration": Metric("Milliseconds", "Average", recorded=False),
    "ConcurrentExecutions": Metric("Count", "Maximum"),
    "UnreservedConcurrentExecutions": Metric("Count", "Maximum"),
    "ClaimedAccountConcurrency": Metric("Count", "Maximum"),
    "ProvisionedConcurrentExecutions": Metric("Count", "Maximum"),
    "ProvisionedConcurrencyInvocations": Metric("Count", "Sum"),
    "ProvisionedConcurrencySpilloverInvocations": Metric("Count", "Sum"),
    "ProvisionedConcurrencyUtilization": Metric("Count", "Maximum"),
    "AsyncEventsReceived": Metric("Count", "Sum"),
    "AsyncEventAge": Metric("Milliseconds", "Average"),
    "AsyncEventsDropped": Metric("Count", "Sum"),
    "DeadLetterErrors": Metric("Count", "Sum"),
    "DestinationDeliveryFailures": Metric("Count", "Sum"),
    "RecursiveInvocationsDropped": Metric("Count", "Sum"),
    URL_LATENCY: Metric("Milliseconds", "Average"),
    URL_REQUESTS: Metric("Count", "Sum"),
    "Url4xxCount": Metric("Count", "Sum"),
    "Url5xxCount": Metric("Count", "Sum"),
    "SignatureValidationErrors": Metric("Count", "Sum", recorded=False),
    "OversizedRecordCount": Metric("Count", "Sum", recorded=False),
    "IteratorAge": Metric("Milliseconds", "Average", recorded=False),
    "OffsetLag": Metric("Count", "Maximum", recorded=False),
    "MaxOffsetLag": Metric("Count", "Maximum", recorded=False),
    "SumOffsetLag": Metric("Count", "Sum", recorded=False),
    "PolledEventCount": Metric("Count", "Sum", recorded=False),
    "FilteredOutEventCount": Metric("Count", "Sum", recorded=False),
    "InvokedEventCount": Metric("Count", "Sum", recorded=False),
    "FailedInvokeEventCount": Metric("Count", "Sum", recorded=False),
    "DroppedEventCount": Metric("Count", "Sum", recorded=False),
    "OnFailureDestinationDeliveredEventCount": Metric("Count", "Sum", recorded=False),
    "DeletedEventCount": Metric("Count", "Sum", recorded=False),
    "CommittedEventCount": Metric("Count", "Sum", recorded=False),
    "PollingErrorCount": Metric("Count", "Sum", recorded=False),
    "InvokeErrorCount": Metric("Count", "Sum", recorded=False),
    "OnFailureDestinationDeliveryErrorCount": Metric("Count", "Sum", recorded=False),
    "SchemaRegistryErrorCount": Metric("Count", "Sum", recorded=False),
    "CommitErrorCount": Metric("Count", "Sum", recorded=False),
    "ProvisionedPollers": Metric("Count", "Maximum", recorded=False),
}
