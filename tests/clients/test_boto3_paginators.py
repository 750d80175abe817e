"""boto3 pages through every list of Lambda's API that has a paginator, one item at a time, and misses none.

What is driven is held against the model: a paginator that AWS adds fails here until somebody says how its list is
filled. Durable executions are made as an engine would make them, for there is none yet: on a control plane alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore import xform_name

from tests.operations.durable import Durable, Run, step
from tests.operations.plane import Plane
from tests.support import NodeProcess, make_zip

ROLE = "arn:aws:iam::000000000000:role/lambda-role"
CODE = make_zip("def handler(event, context):\n    return event\n")
PUBLISHER = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/profile/abcdefghij"


def model() -> dict[str, dict[str, Any]]:
    session = boto3.session.Session()._session
    return session.get_component("data_loader").load_service_model("lambda", "paginators-1")["pagination"]


PAGINATORS = model()


class Account:
    """An account of a test's own, so that its lists hold what the test made and nothing else."""

    def __init__(self, node: NodeProcess) -> None:
        self.id = str(uuid.uuid4().int)[:12]
        self.client = node.client("lambda", aws_access_key_id=self.id)
        self.queues = node.client("sqs", aws_access_key_id=self.id)

    def function(self, name: str = "f") -> str:
        self.client.create_function(
            FunctionName=name, Runtime="python3.11", Role=ROLE, Handler="app.handler", Code={"ZipFile": CODE}
        )
        return name

    def functions(self) -> list[str]:
        return [self.function(name) for name in ("f1", "f2", "f3")]

    def versions(self, count: int = 3) -> str:
        """A function with so many published versions, each of its own."""
        name = self.function()
        for number in range(count):
            self.client.update_function_configuration(FunctionName=name, Description=str(number))
            self.client.publish_version(FunctionName=name)
        return name


Filled = tuple[dict[str, Any], list[str]]


def functions(account: Account) -> Filled:
    return {}, sorted(account.functions())


def versions(account: Account) -> Filled:
    return {"FunctionName": account.versions(2)}, ["$LATEST", "1", "2"]


def aliases(account: Account) -> Filled:
    name = account.versions(1)
    for alias in ("blue", "green", "red"):
        account.client.create_alias(FunctionName=name, Name=alias, FunctionVersion="1")
    return {"FunctionName": name}, ["blue", "green", "red"]


def publish_layer(account: Account, name: str) -> str:
    return account.client.publish_layer_version(LayerName=name, Content={"ZipFile": CODE})["LayerVersionArn"]


def layers(account: Account) -> Filled:
    for name in ("l1", "l2", "l3"):
        publish_layer(account, name)
    return {}, ["l1", "l2", "l3"]


def layer_versions(account: Account) -> Filled:
    return {"LayerName": "l"}, sorted((publish_layer(account, "l") for _ in range(3)), reverse=True)


def event_invoke_configs(account: Account) -> Filled:
    name = account.versions(2)
    arns = []
    for qualifier in ("$LATEST", "1", "2"):
        made = account.client.put_function_event_invoke_config(
            FunctionName=name, Qualifier=qualifier, MaximumRetryAttempts=1
        )
        arns.append(made["FunctionArn"])
    return {"FunctionName": name}, sorted(arns)


def provisioned_concurrency_configs(account: Account) -> Filled:
    name = account.versions(2)
    arn = account.client.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    for qualifier in ("1", "2"):
        account.client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=1
        )
    return {"FunctionName": name}, [f"{arn}:1", f"{arn}:2"]


def function_urls(account: Account) -> Filled:
    name = account.versions(1)
    arns = []
    for qualifier in (None, "blue", "green"):
        if qualifier:
            account.client.create_alias(FunctionName=name, Name=qualifier, FunctionVersion="1")
        members = {"Qualifier": qualifier} if qualifier else {}
        made = account.client.create_function_url_config(FunctionName=name, AuthType="NONE", **members)
        arns.append(made["FunctionArn"])
    return {"FunctionName": name}, sorted(arns)


def signing_config(account: Account) -> str:
    made = account.client.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": [PUBLISHER]})
    return made["CodeSigningConfig"]["CodeSigningConfigArn"]


def code_signing_configs(account: Account) -> Filled:
    return {}, sorted(signing_config(account) for _ in range(3))


def functions_by_code_signing_config(account: Account) -> Filled:
    config = signing_config(account)
    names = account.functions()
    for name in names:
        account.client.put_function_code_signing_config(FunctionName=name, CodeSigningConfigArn=config)
    return {"CodeSigningConfigArn": config}, [
        f"arn:aws:lambda:us-east-1:{account.id}:function:{name}" for name in names
    ]


def event_source_mappings(account: Account) -> Filled:
    name = account.function()
    made = []
    for queue in ("q1", "q2", "q3"):
        account.queues.create_queue(QueueName=queue)
        source = f"arn:aws:sqs:us-east-1:{account.id}:{queue}"
        made.append(account.client.create_event_source_mapping(FunctionName=name, EventSourceArn=source)["UUID"])
    return {"FunctionName": name}, made


def capacity_provider(account: Account, name: str) -> str:
    made = account.client.create_capacity_provider(
        CapacityProviderName=name,
        VpcConfig={"SubnetIds": ["subnet-0123456789abcdef0"], "SecurityGroupIds": ["sg-0123456789abcdef0"]},
        PermissionsConfig={"CapacityProviderOperatorRoleArn": ROLE},
    )
    return made["CapacityProvider"]["CapacityProviderArn"]


def capacity_providers(account: Account) -> Filled:
    return {}, sorted(capacity_provider(account, name) for name in ("c1", "c2", "c3"))


def function_versions_by_capacity_provider(account: Account) -> Filled:
    provider = {"CapacityProviderArn": capacity_provider(account, "c")}
    made = [
        account.client.create_function(
            FunctionName=name,
            PackageType="Image",
            Role=ROLE,
            Code={"ImageUri": f"{account.id}.dkr.ecr.us-east-1.amazonaws.com/images:latest"},
            CapacityProviderConfig={"LambdaManagedInstancesCapacityProviderConfig": provider},
        )
        for name in ("f1", "f2", "f3")
    ]
    return {"CapacityProviderName": "c"}, [f"{function['FunctionArn']}:$LATEST" for function in made]


# Each paginator: how its list is filled, and the member that tells its items apart (none: the item itself).
PAGED: dict[str, tuple[Callable[[Account], Filled], str]] = {
    "ListAliases": (aliases, "Name"),
    "ListCapacityProviders": (capacity_providers, "CapacityProviderArn"),
    "ListCodeSigningConfigs": (code_signing_configs, "CodeSigningConfigArn"),
    "ListEventSourceMappings": (event_source_mappings, "UUID"),
    "ListFunctionEventInvokeConfigs": (event_invoke_configs, "FunctionArn"),
    "ListFunctionUrlConfigs": (function_urls, "FunctionArn"),
    "ListFunctionVersionsByCapacityProvider": (function_versions_by_capacity_provider, "FunctionArn"),
    "ListFunctions": (functions, "FunctionName"),
    "ListFunctionsByCodeSigningConfig": (functions_by_code_signing_config, ""),
    "ListLayerVersions": (layer_versions, "LayerVersionArn"),
    "ListLayers": (layers, "LayerName"),
    "ListProvisionedConcurrencyConfigs": (provisioned_concurrency_configs, "FunctionArn"),
    "ListVersionsByFunction": (versions, "Version"),
}


# Of durable executions: the request and the identity, given three executions, the first with three operations.
DURABLE: dict[str, tuple[Callable[[Run], dict[str, Any]], str]] = {
    "GetDurableExecutionHistory": (lambda run: {"DurableExecutionArn": run.arn}, "EventId"),
    "GetDurableExecutionState": (
        lambda run: {"DurableExecutionArn": run.arn, "CheckpointToken": run.token},
        "Id",
    ),
    "ListDurableExecutionsByFunction": (lambda run: {"FunctionName": run.durable.function}, "DurableExecutionName"),
}


def test_every_paginator_of_the_model_is_driven() -> None:
    assert {*PAGED, *DURABLE} == set(PAGINATORS)


def pages_of_one(client: Any, operation: str, request: dict[str, Any], identity: str) -> list[str]:
    """Page through one at a time; whole and with an interruption it must be the same. The items' identities."""
    paginator = client.get_paginator(xform_name(operation))
    result_key = PAGINATORS[operation]["result_key"]

    def identities(pages: list[dict[str, Any]]) -> list[str]:
        return [item[identity] if identity else item for page in pages for item in page[result_key]]

    whole = identities(list(paginator.paginate(**request)))
    pages = list(paginator.paginate(**request, PaginationConfig={"PageSize": 1}))
    assert [len(page[result_key]) for page in pages] == [1] * len(whole)
    assert identities(pages) == whole
    assert not pages[-1].get("NextMarker")

    begun = paginator.paginate(**request, PaginationConfig={"PageSize": 1, "MaxItems": 1}).build_full_result()
    rest = paginator.paginate(**request, PaginationConfig={"StartingToken": begun["NextToken"]}).build_full_result()
    assert identities([begun, rest]) == whole
    return whole


@pytest.mark.parametrize("operation", sorted(PAGED))
def test_pages(node: NodeProcess, operation: str) -> None:
    account = Account(node)
    fill, identity = PAGED[operation]
    request, expected = fill(account)
    assert sorted(pages_of_one(account.client, operation, request, identity)) == sorted(expected)


@pytest.fixture(scope="module")
def execution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with Plane(tmp_path_factory.mktemp("durable")) as plane:
        durable = Durable(plane)
        run, _, _ = (durable.running(name) for name in ("e1", "e2", "e3"))
        run.checkpoint(*(step(id, "START") for id in ("s1", "s2")))
        yield run


@pytest.mark.parametrize("operation", sorted(DURABLE))
def test_pages_of_durable_executions(execution: Run, operation: str) -> None:
    request, identity = DURABLE[operation]
    assert len(pages_of_one(execution.client, operation, request(execution), identity)) == 3
