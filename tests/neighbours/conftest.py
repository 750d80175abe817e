"""One front with the embedded neighbours per worker; tests keep apart by bucket names of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.neighbours.harness import Front


@pytest.fixture(scope="session")
def front() -> Iterator[Front]:
    with Front() as shared:
        yield shared
