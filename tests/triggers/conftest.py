"""A front per worker and S3 server: the embedded one, and Versity's gateway where its binary is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.neighbours.harness import KEYS, Front, other_s3, other_s3_server


@pytest.fixture(scope="session", params=["embedded", "versity"])
def front(request: pytest.FixtureRequest) -> Iterator[Front]:
    if request.param == "embedded":
        with Front() as shared:
            yield shared
        return
    binary = other_s3_server()
    if binary is None:
        pytest.skip("no other S3 server: versitygw is neither on PATH nor in .cache/bin")
    with other_s3(binary) as authority, Front(endpoints={"s3": f"http://{KEYS[0]}:{KEYS[1]}@{authority}"}) as shared:
        yield shared


@pytest.fixture(scope="session")
def embedded() -> Iterator[Front]:
    with Front() as shared:
        yield shared
