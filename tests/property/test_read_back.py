"""What is accepted reads back equal after a restart: sequences of changes over all kinds of resources, compared by
every answer of every operation that reads.

Each example has a node of its own that begins with one of everything (world.py) and is given a sequence of generated
changes; what is refused changes nothing, and that shows as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tests.operations.plane import Plane
from tests.property.conftest import settings
from tests.property.inputs import params
from tests.property.test_every_operation import OPERATIONS
from tests.property.world import World
from tests.wire.oracle import service_model

CHANGES = [name for name in OPERATIONS if not name.startswith(("Get", "List"))]
#: of each function, and of each of its versions and aliases
OF_FUNCTION = {
    "get_function": "Qualifier",
    "get_function_configuration": "Qualifier",
    "get_policy": "Qualifier",
    "get_function_event_invoke_config": "Qualifier",
    "get_provisioned_concurrency_config": "Qualifier",
    "get_runtime_management_config": "Qualifier",
    "get_function_scaling_config": "Qualifier",
    "get_function_url_config": "Qualifier",
    "get_alias": "Name",
    "get_function_concurrency": "",
    "get_function_code_signing_config": "",
    "get_function_recursion_config": "",
    "list_aliases": "",
    "list_versions_by_function": "",
    "list_function_url_configs": "",
    "list_function_event_invoke_configs": "",
    "list_provisioned_concurrency_configs": "",
    "list_durable_executions_by_function": "",
}
OF_ACCOUNT = (
    "get_account_settings",
    "list_functions",
    "list_layers",
    "list_event_source_mappings",
    "list_code_signing_configs",
    "list_capacity_providers",
)

Answers = dict[tuple[str, ...], Any]


def test_every_reading_operation_is_compared() -> None:
    reading = {name for name in OPERATIONS if name.startswith(("Get", "List"))}
    assert {xform_name(name) for name in reading} == {*OF_FUNCTION, *OF_ACCOUNT, *ELSEWHERE}


#: of layers, mappings and so on: `everything` names them where it reads them
ELSEWHERE = (
    "list_tags",
    "get_resource_policy",
    "list_layer_versions",
    "get_layer_version",
    "get_layer_version_by_arn",
    "get_layer_version_policy",
    "get_event_source_mapping",
    "get_code_signing_config",
    "list_functions_by_code_signing_config",
    "get_capacity_provider",
    "list_function_versions_by_capacity_provider",
    "get_durable_execution",
    "get_durable_execution_history",
    "get_durable_execution_state",
)


def everything(client: Any) -> Answers:
    """Every answer of every operation that reads, errors too, by operation and arguments."""
    reader = Reader(client)
    for method in OF_ACCOUNT:
        reader.ask(method)
    for function in reader.pages("list_functions", "Functions"):
        _read_function(reader, function["FunctionName"])
    for layer in reader.pages("list_layers", "Layers"):
        for version in reader.pages("list_layer_versions", "LayerVersions", LayerName=layer["LayerName"]):
            named = {"LayerName": layer["LayerName"], "VersionNumber": version["Version"]}
            reader.ask("get_layer_version", **named)
            reader.ask("get_layer_version_policy", **named)
            reader.ask("get_layer_version_by_arn", Arn=version["LayerVersionArn"])
    for mapping in reader.pages("list_event_source_mappings", "EventSourceMappings"):
        reader.ask("get_event_source_mapping", UUID=mapping["UUID"])
        reader.ask("list_tags", Resource=mapping["EventSourceMappingArn"])
    for config in reader.pages("list_code_signing_configs", "CodeSigningConfigs"):
        reader.ask("get_code_signing_config", CodeSigningConfigArn=config["CodeSigningConfigArn"])
        reader.ask("list_functions_by_code_signing_config", CodeSigningConfigArn=config["CodeSigningConfigArn"])
        reader.ask("list_tags", Resource=config["CodeSigningConfigArn"])
    for provider in reader.pages("list_capacity_providers", "CapacityProviders"):
        name = provider["CapacityProviderArn"].rpartition(":")[2]
        reader.ask("get_capacity_provider", CapacityProviderName=name)
        reader.ask("list_function_versions_by_capacity_provider", CapacityProviderName=name)
        reader.ask("list_tags", Resource=provider["CapacityProviderArn"])
    return reader.answers


def _read_function(reader: Reader, name: str) -> None:
    arn = reader.ask("get_function", FunctionName=name)["Configuration"]["FunctionArn"]
    reader.ask("list_tags", Resource=arn)
    reader.ask("get_resource_policy", ResourceArn=arn)
    versions = [
        version["Version"] for version in reader.pages("list_versions_by_function", "Versions", FunctionName=name)
    ]
    aliases = [alias["Name"] for alias in reader.pages("list_aliases", "Aliases", FunctionName=name)]
    for method, qualifier in OF_FUNCTION.items():
        if qualifier != "Name":
            reader.ask(method, FunctionName=name)
        for value in [*versions, *aliases] if qualifier else []:
            reader.ask(method, FunctionName=name, **{qualifier: value})
    executions = "list_durable_executions_by_function"
    for execution in reader.pages(executions, "DurableExecutions", FunctionName=name):
        reader.ask("get_durable_execution", DurableExecutionArn=execution["DurableExecutionArn"])
        reader.ask("get_durable_execution_history", DurableExecutionArn=execution["DurableExecutionArn"])
        reader.ask(
            "get_durable_execution_state", DurableExecutionArn=execution["DurableExecutionArn"], CheckpointToken="abcd"
        )


class Reader:
    """Asks and keeps the answers."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.answers: Answers = {}

    def ask(self, method: str, **arguments: Any) -> Any:
        try:
            answer = getattr(self._client, method)(**arguments)
        except ClientError as error:
            answer = error.response
        answer.pop("ResponseMetadata")
        self.answers[method, *(f"{name}={value}" for name, value in arguments.items())] = _without_location(answer)
        return answer

    def pages(self, method: str, member: str, **arguments: Any) -> list[dict[str, Any]]:
        pages = self._client.get_paginator(method).paginate(**arguments)
        found = [item for page in pages for item in page[member]]
        self.answers["all pages of", method, *map(str, arguments.values())] = found
        return found


def _without_location(value: Any) -> Any:
    """Links to code are signed for a time, and differ each time they are asked for."""
    if isinstance(value, dict):
        return {name: _without_location(inside) for name, inside in value.items() if name != "Location"}
    return value


@pytest.fixture
def directories(tmp_path: Path) -> Iterator[Path]:
    """A new directory for each example."""
    return (tmp_path / str(number) for number in range(10**6))


def test_what_is_accepted_reads_back_equal_after_a_restart(directories: Iterator[Path]) -> None:
    model = service_model("lambda")
    change = st.sampled_from(CHANGES).flatmap(
        lambda name: st.tuples(st.just(name), params(model.operation_model(name)))
    )

    @settings(0.15)
    @given(changes=st.lists(change, min_size=25, max_size=40))
    def reads_back(changes: list[tuple[str, dict[str, Any]]]) -> None:
        with Plane(next(directories)) as plane:
            world = World(plane)
            world.mend()
            client = plane.client(config=Config(parameter_validation=False))
            for name, drawn in changes:
                _make(client, name, world.resolved(drawn))
            before = everything(client)
            plane.restart()
            after = everything(plane.client(config=Config(parameter_validation=False)))
        assert after.keys() == before.keys()
        for asked, answer in before.items():
            assert after[asked] == answer, asked

    reads_back()


def _make(client: Any, name: str, arguments: dict[str, Any]) -> None:
    try:
        getattr(client, xform_name(name))(**arguments)
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] < 500, (name, arguments, error.response)
