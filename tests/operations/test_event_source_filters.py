"""What is a filter pattern, and how many there may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.operations.event_sources.filters import is_pattern
from tests.operations.conftest import function_params
from tests.operations.errors import refused
from tests.operations.mapping_requests import (
    INVALID,
    KMS_KEY,
    PATTERN,
    request,
)
from tests.operations.plane import Plane

PATTERNS = (
    '{"body": {"testItem": ["test24", "test45"], "test2": ["go"]}}',
    '{"body": {"test2": [{"exists": true}]}}',
    '{"body": {"test2": [{"numeric": [">=", 100, "<", 200]}]}}',
    '{"body": {"test2": [{"prefix": "us-1"}, {"suffix": ".png"}, {"equals-ignore-case": "A"}]}}',
    '{"body": {"test2": [{"prefix": {"equals-ignore-case": "A"}}]}}',
    '{"a": [null, "", 1, true]}',
    '{"a": [{"anything-but": ["x", 1]}], "b": [{"anything-but": "x"}], "c": [{"anything-but": {"prefix": "x"}}]}',
    '{"$or": [{"a": [1]}, {"b": [2]}]}',
)
NO_PATTERNS = (
    "",
    "null",
    '"simple string"',
    "[1]",
    "{}",
    '{"eventSource": "aws:sqs"}',
    '{"eventSource": []}',
    '{"a": {}}',
    '{"a": [[1]]}',
    '{"a": [{}]}',
    '{"a": [{"prefix": "x", "suffix": "y"}]}',
    '{"a": [{"prefix": 1}]}',
    '{"a": [{"suffix": {"prefix": "x"}}]}',
    '{"a": [{"unknown": "x"}]}',
    '{"a": [{"exists": "true"}]}',
    '{"a": [{"numeric": [">"]}]}',
    '{"a": [{"numeric": ["~", 1]}]}',
    '{"a": [{"numeric": [">", "1"]}]}',
    '{"a": [{"numeric": [">", true]}]}',
    '{"a": [{"anything-but": []}]}',
    '{"a": [{"anything-but": {"exists": true}}]}',
    '{"$or": [{"a": [1]}]}',
    '{"$or": {"a": [1]}}',
    '{"a":' * 2000 + "[1]" + "}" * 2000,
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern(pattern: str) -> None:
    assert is_pattern(pattern)


@pytest.mark.parametrize("pattern", NO_PATTERNS, ids=range(len(NO_PATTERNS)))
def test_no_pattern(pattern: str) -> None:
    assert not is_pattern(pattern)


def test_more_filters_by_a_setting(tmp_path: Path) -> None:
    with Plane(tmp_path, max_event_filters=10) as plane:
        client = plane.client()
        client.create_function(**function_params("fn"))
        filters = {"Filters": PATTERN["Filters"] * 10}
        answer = client.create_event_source_mapping(**request("sqs", "fn", FilterCriteria=filters, KMSKeyArn=KMS_KEY))
        assert answer["FilterCriteria"] == filters
        with refused(INVALID, "The number of filters exceeds the limit of 10."):
            client.update_event_source_mapping(UUID=answer["UUID"], FilterCriteria={"Filters": PATTERN["Filters"] * 11})
