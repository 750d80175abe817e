"""Whatever is sent to an operation: never a 500, never a hang, always an AWS error or an answer of the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import OperationModel
from hypothesis import given
from hypothesis import strategies as st

from tests.operations.plane import Plane
from tests.property.conftest import settings
from tests.property.inputs import params
from tests.property.judge import judge
from tests.property.requests import Sender, path_is_of, spoiled, written
from tests.property.world import World
from tests.wire.oracle import service_model

#: the front takes these past the control plane: test_invocations.py
IN_FRONT = ("Invoke", "InvokeAsync", "InvokeWithResponseStream")
OPERATIONS = [name for name in service_model("lambda").operation_names if name not in IN_FRONT]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Plane(tmp_path_factory.mktemp("world")) as plane:
        yield World(plane)


@pytest.fixture(scope="module")
def sender(world: World) -> Iterator[Sender]:
    opened = Sender(world.plane.port)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", OPERATIONS)
def test_any_input_gets_an_aws_answer(name: str, world: World, sender: Sender) -> None:
    operation: OperationModel = service_model("lambda").operation_model(name)
    world.mend()

    @settings()
    @given(data=st.data())
    def answered(data: st.DataObject) -> None:
        drawn: dict[str, Any] = data.draw(params(operation), label="params")
        request = written(operation, world.resolved(drawn))
        if data.draw(st.integers(0, 2), label="spoil") == 2:
            request = data.draw(spoiled(operation, request), label="request")
        answer = sender.send(request)
        if path_is_of(operation, request):
            judge(operation, request, answer)
        else:
            assert answer.status < 500, f"{request}\n{answer}"
        if answer.status < 300 and not name.startswith(("Get", "List")):
            world.mend()

    answered()
