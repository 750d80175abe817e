"""What has no engine yet is refused with a sentence, in every way it can be asked for, and never run without it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.catalog.held import HELD, not_runnable
from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import ManualClock
from tests.e2e.functions import ROLE, create, invoke
from tests.support import RunningNode, eventually_async, make_zip, running_node

ECHO = "def handler(e, c):\n    return e\n"
VPC = {"SubnetIds": ["subnet-0123456789abcdef0"], "SecurityGroupIds": ["sg-0123456789abcdef0"]}


@pytest.fixture
async def node() -> AsyncIterator[RunningNode]:
    async with running_node(clock=ManualClock(), state_delay_ms=0, neighbours=False) as running:
        yield running


async def _refused(node: RunningNode, call: Any, **members: Any) -> str:
    """The sentence with which it is."""
    with pytest.raises(ClientError) as caught:
        await node.call(call, **members)
    answer = caught.value.response
    assert answer["Error"]["Code"] == "NotImplementedException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
    return answer["Error"]["Message"]


async def test_every_way_of_invoking_is_refused(node: RunningNode) -> None:
    client = node.client("lambda")
    await node.call(create, client, "a", ECHO, VpcConfig=VPC)
    sentence = (
        "The function arn:aws:lambda:us-east-1:000000000000:function:a cannot be invoked by this version of "
        "Pilotlight: its VpcConfig has subnets, and there is no VPC networking yet."
    )
    for kind in ("RequestResponse", "Event", "DryRun"):
        assert await _refused(node, client.invoke, FunctionName="a", InvocationType=kind) == sentence
    assert await _refused(node, client.invoke_async, FunctionName="a", InvokeArgs=b"{}") == sentence
    assert await _refused(node, client.invoke_with_response_stream, FunctionName="a") == sentence
    assert await node.node.store.queue_depth("async/000000000000/us-east-1/a") == 0, "nothing was queued"
    assert sum(node.node.pool.statistics().values()) == 0
    await node.call(
        client.update_function_configuration, FunctionName="a", VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}
    )
    assert await node.call(invoke, client, "a", 1) == 1, "without subnets it runs"


async def test_an_image_and_another_language(node: RunningNode) -> None:
    client = node.client("lambda")
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/repository:tag"
    await node.call(
        client.create_function, FunctionName="image", PackageType="Image", Code={"ImageUri": image}, Role=ROLE
    )
    await node.call(create, client, "script", {"index.js": "exports.handler = 1"}, Runtime="nodejs22.x")
    assert "its PackageType is Image" in await _refused(node, client.invoke, FunctionName="image")
    assert "its Runtime is nodejs22.x" in await _refused(node, client.invoke, FunctionName="script")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, ""),
        ({"held": {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}, "KMSKeyArn": "arn"}}, ""),
        ({"held": {"VpcConfig": {"SubnetIds": ["subnet-1"]}}}, "VpcConfig"),
        ({"held": {"FileSystemConfigs": [{"Arn": "arn", "LocalMountPath": "/mnt/x"}]}}, "FileSystemConfigs"),
        ({"held": {"FileSystemConfigs": []}}, ""),
        ({"held": {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}}, "TenancyConfig"),
        ({"held": {"DurableConfig": {"ExecutionTimeout": 60}}}, "DurableConfig"),
        ({"held": {"CapacityProviderConfig": {"x": 1}}}, "CapacityProviderConfig"),
        ({"held": {"RuntimeConfig": {"RuntimeArn": "arn"}}, "runtime": "custom"}, "RuntimeConfig"),
        ({"runtime": "custom"}, "Runtime is custom"),
        ({"runtime": "java21"}, "Runtime is java21"),
        ({"runtime": "python3.14"}, ""),
        ({"package_type": "Image", "runtime": ""}, "PackageType is Image"),
    ],
)
def test_which_member_keeps_it_from_running(values: dict[str, Any], names: str) -> None:
    version = FunctionVersion(
        **{
            "account": "000000000000",
            "region": "us-east-1",
            "name": "a",
            "runtime": "python3.12",
            "handler": "app.handler",
            "role": ROLE,
            "code_blob": "",
            "code_sha256": "",
            "code_size": 0,
            **values,
        }
    )
    sentence = not_runnable(version)
    assert bool(sentence) == bool(names)
    assert names in sentence


def test_the_table_says_what_is_refused() -> None:
    refused = [member for member, sentence in HELD.items() if "NotImplementedException" in sentence]
    assert len(refused) == 8
    assert all(sentence.endswith(".") for sentence in HELD.values())


async def test_events_for_it_wait_like_throttled_ones(node: RunningNode) -> None:
    """An event that was accepted before the function came to depend on what does not exist."""
    client, clock = node.client("lambda"), node.node._clock
    await node.call(create, client, "a", "def handler(e, c):\n    raise ValueError\n")
    await node.call(client.invoke, FunctionName="a", InvocationType="Event", Payload=b"1")
    queue = "async/000000000000/us-east-1/a"
    await eventually_async(lambda: node.node.in_flight_events == 0 and node.node.pool.statistics()["idle"] == 1)
    await node.call(client.update_function_configuration, FunctionName="a", VpcConfig=VPC)
    clock.advance(60_000)

    async def put_back() -> bool:
        due_ms = await node.node.store.next_due(queue)
        return due_ms is not None and due_ms == clock.time_ms() + 1_000

    await eventually_async(put_back)
    await node.call(client.update_function_code, FunctionName="a", ZipFile=make_zip(ECHO))
    await node.call(
        client.update_function_configuration, FunctionName="a", VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}
    )
    clock.advance(1_000)

    async def done() -> bool:
        return await node.node.store.queue_depth(queue) == 0

    await eventually_async(done)


async def test_tenants_and_durable_names(node: RunningNode) -> None:
    client = node.client("lambda")
    await node.call(create, client, "plain", ECHO)
    await node.call(create, client, "tenants", ECHO, TenancyConfig={"TenantIsolationMode": "PER_TENANT"})
    await node.call(create, client, "durable", ECHO, DurableConfig={"ExecutionTimeout": 60})

    async def message(**members: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            await node.call(client.invoke, **members)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    invalid = "InvalidParameterValueException"
    assert await message(FunctionName="tenants") == (
        invalid,
        "The invoked function is enabled with tenancy configuration. "
        "Add a valid tenant ID in your request and try again.",
    )
    assert (await message(FunctionName="tenants", TenantId="blue"))[0] == "NotImplementedException"
    assert await message(FunctionName="plain", TenantId="blue") == (
        invalid,
        "The invoked function is not enabled with tenancy configuration. "
        "Remove the tenant ID from your request and try again.",
    )
    assert await message(FunctionName="plain", TenantId="{}") == (
        "ValidationException",
        "1 validation error detected: Value '{}' at 'tenantId' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [a-zA-Z0-9\._:\/=+\-@ ]+",
    )
    assert await message(FunctionName="durable") == (
        invalid,
        "You cannot invoke a durable function using an unqualified ARN.",
    )
    assert (await message(FunctionName="durable", Qualifier="$LATEST"))[0] == "NotImplementedException"
    assert (await message(FunctionName="plain", DurableExecutionName="x"))[0] == invalid
    assert json.loads((await node.call(client.invoke, FunctionName="plain", Payload=b"2"))["Payload"].read()) == 2
