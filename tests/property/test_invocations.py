"""Whatever an invocation is asked with, a real node answers it as AWS would; what cannot run says so, with a 501."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import OperationModel
from hypothesis import given
from hypothesis import strategies as st

from tests.operations.conftest import function_params
from tests.property.conftest import settings
from tests.property.inputs import params
from tests.property.judge import judge
from tests.property.requests import Answer, Sender, path_is_of, spoiled, written
from tests.property.test_every_operation import IN_FRONT
from tests.support import NodeProcess
from tests.wire.oracle import service_model

DURABLE = {"ExecutionTimeout": 60}


@pytest.fixture(scope="module")
def sender(node: NodeProcess) -> Iterator[Sender]:
    """To a node that has what the pools name, and keeps it."""
    client = node.client("lambda")
    for name, members in (
        ("p-full", {"Publish": True}),
        ("p-plain", {}),
        ("p-durable", {"DurableConfig": DURABLE, "Publish": True}),
    ):
        client.create_function(**function_params(name, Runtime="python3.11", **members))
    client.create_alias(FunctionName="p-full", Name="prod", FunctionVersion="1")
    opened = Sender(node.port)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", IN_FRONT)
def test_any_invocation_gets_an_aws_answer(name: str, sender: Sender) -> None:
    operation: OperationModel = service_model("lambda").operation_model(name)

    @settings(2)
    @given(data=st.data())
    def answered(data: st.DataObject) -> None:
        drawn: dict[str, Any] = data.draw(params(operation), label="params")
        request = written(operation, drawn)
        if data.draw(st.integers(0, 2), label="spoil") == 2:
            request = data.draw(spoiled(operation, request), label="request")
        answer = sender.send(request)
        if answer.status == 501:
            assert_held(answer)
        elif path_is_of(operation, request):
            judge(operation, request, answer)
        else:
            assert answer.status < 500, f"{request}\n{answer}"

    answered()


def assert_held(answer: Answer) -> None:
    assert answer.headers["x-amzn-errortype"] == "NotImplementedException"
    assert "cannot be invoked by this version of Pilotlight" in json.loads(answer.body)["message"]
