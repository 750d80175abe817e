"""The coverage page is what the code says, and the code has all of the model."""

from __future__ import annotations

import pytest

from pilotlight.operations.api import OPERATIONS
from pilotlight.operations.authorization import REQUIRED
from tests.docs.api_coverage import IN_FRONT, PAGE, implementation, named_in, operations, page

OPERATION_NAMES = operations()


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == page(), "docs/api-coverage.md is stale: run `make docs`"


def test_nothing_is_left_out() -> None:
    assert len(OPERATION_NAMES) == 91
    assert "**91 of 91** operations" in page()


@pytest.mark.parametrize("operation", OPERATION_NAMES)
def test_operation_is_implemented_and_tested(operation: str) -> None:
    assert implementation(operation), f"{operation} is not implemented"
    assert named_in(operation), f"no test names {operation}"


def test_no_operation_exists_that_the_model_does_not_have() -> None:
    assert set(OPERATIONS) | set(IN_FRONT) == set(OPERATION_NAMES) == set(REQUIRED)
    assert not set(OPERATIONS) & set(IN_FRONT)
