"""Distributions that can be added up: how often each value came, to within one per cent.

A value falls into the bucket `index_of` names: buckets grow by 2 %, so that what a bucket says of a value is at most
`RELATIVE_ERROR` away from it, whatever its size. That is DDSketch (https://arxiv.org/abs/1908.10693) without its limit
on buckets: durations from a microsecond to fifteen minutes are a thousand of them at most, and a function uses few.
Minutes, functions and nodes are merged by adding counts, with no further loss: averaging percentiles cannot do that.
"""

from __future__ import annotations

import math

Histogram = dict[int, float]
"""Bucket -> how many values fell into it; a count may be a fraction only where a client gave one."""

RELATIVE_ERROR = 0.01
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
BUCKETS_PER_E = 1 / math.log(_GROWTH)
"""What the natural logarithm of a value is multiplied by; rounded up, that is its bucket."""

ZERO = -(2**31)
"""The bucket of the value 0. Negative values have none."""


def index_of(value: float) -> int:
    """The bucket of a value that is not negative."""
    return math.ceil(math.log(value) * BUCKETS_PER_E) if value > 0 else ZERO


def value_of(index: int) -> float:
    """What stands for every value of a bucket: never further than RELATIVE_ERROR from any of them."""
    return 0.0 if index == ZERO else 2 * math.exp(index / BUCKETS_PER_E) / (_GROWTH + 1)


def add(into: Histogram, other: Histogram) -> None:
    """Count what `other` has counted."""
    for index, count in other.items():
        into[index] = into.get(index, 0) + count
