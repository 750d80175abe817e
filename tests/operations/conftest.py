"""One control plane for the tests of a worker, whose states settle at once; tests keep apart by function names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from pilotlight.clock import ManualClock
from tests.operations.plane import Plane
from tests.support import make_zip

ROLE = "arn:aws:iam::000000000000:role/lambda-role"
CODE = make_zip("def handler(event, context):\n    return event\n")
OTHER_CODE = make_zip("def handler(event, context):\n    return 2\n")

Create = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with Plane(tmp_path_factory.mktemp("plane")) as opened:
        yield opened


@pytest.fixture
def held_plane(tmp_path: Path) -> Iterator[Plane]:
    """A plane of the test's own whose clock stands still: states settle after 100 ms of it."""
    with Plane(tmp_path, clock=ManualClock(), state_delay_ms=100) as opened:
        yield opened


@pytest.fixture(scope="session")
def client(plane: Plane) -> Any:
    return plane.client()


@pytest.fixture(scope="session")
def lenient(plane: Plane) -> Any:
    """A client that sends what it is told, as those of other languages do."""
    return plane.client(config=Config(parameter_validation=False))


@pytest.fixture
def create(client: Any, unique_name: str) -> Create:
    """Create a function (named by `unique_name` unless said); parameters given as None are left out."""

    def create_function(**changes: Any) -> dict[str, Any]:
        return client.create_function(**function_params(unique_name, **changes))

    return create_function


def function_params(name: str, **changes: Any) -> dict[str, Any]:
    params: dict[str, Any] = {
        "FunctionName": name,
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Role": ROLE,
        "Code": {"ZipFile": CODE},
        **changes,
    }
    return {member: value for member, value in params.items() if value is not None}
