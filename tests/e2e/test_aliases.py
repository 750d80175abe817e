"""Aliases as the data plane sees them: which version runs, what the function is told, moving under load."""

from __future__ import annotations

import collections
import concurrent.futures
import json
from typing import Any

from tests.e2e.functions import create, invoke
from tests.support import NodeProcess, eventually, make_zip

SOURCE = (
    "import time\ndef handler(e, c):\n    time.sleep(e or 0)\n    return [c.function_version, c.invoked_function_arn]\n"
)


def _two_versions(client: Any, name: str) -> str:
    """`live` to version 1 of 2; the ARN of the alias."""
    create(client, name, SOURCE, Publish=True)
    client.update_function_code(FunctionName=name, ZipFile=make_zip(SOURCE + "# two\n"), Publish=True)
    client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="2", WaiterConfig={"Delay": 0.05})
    return client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")["AliasArn"]


def test_the_number_ran_and_the_alias_was_invoked(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    arn = _two_versions(client, unique_name)
    for members in ({"FunctionName": unique_name, "Qualifier": "live"}, {"FunctionName": arn}):
        answer = client.invoke(**members)
        assert answer["ExecutedVersion"] == "1"
        assert json.loads(answer["Payload"].read()) == ["1", arn]


def test_moving_an_alias_moves_new_invocations_and_lets_the_others_finish(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    arn = _two_versions(client, unique_name)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        running = threads.submit(invoke, node.client("lambda"), unique_name, 1.0, Qualifier="live")
        eventually(lambda: _concurrent(node) == 1)
        client.update_alias(FunctionName=unique_name, Name="live", FunctionVersion="2")
        assert invoke(client, unique_name, Qualifier="live") == ["2", arn], "at once"
        assert running.result() == ["1", arn]
    client.delete_alias(FunctionName=unique_name, Name="live")
    try:
        client.invoke(FunctionName=unique_name, Qualifier="live")
    except client.exceptions.ResourceNotFoundException as error:
        assert error.response["Error"]["Message"] == f"Function not found: {arn}"
    else:
        raise AssertionError("the alias is gone")


def _concurrent(node: NodeProcess) -> int:
    from tests.e2e.functions import health

    return health(node)["concurrentExecutions"]


def test_a_weight_divides_the_invocations(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    _two_versions(client, unique_name)
    counts: dict[float, int] = {}
    for weight in (0.0, 0.5, 1.0):
        client.update_alias(
            FunctionName=unique_name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": weight}}
        )
        ran = collections.Counter(
            client.invoke(FunctionName=unique_name, Qualifier="live")["ExecutedVersion"] for _ in range(200)
        )
        counts[weight] = ran["2"]
    assert counts[0.0] == 0
    assert 60 < counts[0.5] < 140, "seven standard deviations"
    assert counts[1.0] == 200
