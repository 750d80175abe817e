"""UpdateEventSourceMapping: each setting replaced, merged or taken away, as AWS does; and what an update may not be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.conftest import Create
from tests.operations.errors import refused
from tests.operations.mapping_requests import (
    BASIC_AUTH,
    INVALID,
    NO_WINDOW,
    PATTERN,
    PROVISIONED,
    REGISTRY,
    SECRET,
    function_arn,
    provisioned_only,
    queue_arn,
    request,
    shown,
    unsupported,
)

#: source, what it was created with, what is changed, what then is shown (None: nothing)
CHANGES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("sqs", {}, {"BatchSize": 1}, {"BatchSize": 1}),
    (
        "sqs",
        {},
        {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 1},
        {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 1},
    ),
    ("sqs", {"FilterCriteria": PATTERN}, {"FilterCriteria": {}}, {"FilterCriteria": None}),
    ("sqs", {"ScalingConfig": {"MaximumConcurrency": 7}}, {"ScalingConfig": {}}, {"ScalingConfig": None}),
    ("sqs", {"MetricsConfig": {"Metrics": ["EventCount"]}}, {"MetricsConfig": {}}, {"MetricsConfig": None}),
    (
        "sqs",
        {"ScalingConfig": {"MaximumConcurrency": 7}},
        {"ScalingConfig": {}, "ProvisionedPollerConfig": {"MinimumPollers": 2}},
        {"ScalingConfig": None, "ProvisionedPollerConfig": {"MinimumPollers": 2, "MaximumPollers": 200}},
    ),
    (
        "sqs",
        {"FunctionResponseTypes": ["ReportBatchItemFailures"]},
        {"FunctionResponseTypes": []},
        {"FunctionResponseTypes": []},
    ),
    (
        "kinesis",
        {"DestinationConfig": {"OnFailure": {"Destination": queue_arn("failed")}}},
        {"DestinationConfig": {"OnFailure": {"Destination": ""}}},
        {"DestinationConfig": {"OnFailure": {}}},
    ),
    ("kinesis", {}, {"MaximumRecordAgeInSeconds": 60, "ParallelizationFactor": 2}, {"MaximumRecordAgeInSeconds": 60}),
    (
        "mq",
        {"SourceAccessConfigurations": [BASIC_AUTH, {"Type": "VIRTUAL_HOST", "URI": "/"}]},
        {"SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": f"{SECRET}-2"}]},
        {
            "SourceAccessConfigurations": [
                {"Type": "BASIC_AUTH", "URI": f"{SECRET}-2"},
                {"Type": "VIRTUAL_HOST", "URI": "/"},
            ]
        },
    ),
    (
        "msk",
        {"ProvisionedPollerConfig": PROVISIONED},
        {"AmazonManagedKafkaEventSourceConfig": {"SchemaRegistryConfig": REGISTRY}},
        {"AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group", "SchemaRegistryConfig": REGISTRY}},
    ),
    (
        "msk",
        {
            "ProvisionedPollerConfig": PROVISIONED,
            "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group", "SchemaRegistryConfig": REGISTRY},
        },
        {"AmazonManagedKafkaEventSourceConfig": {}},
        {"AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group", "SchemaRegistryConfig": REGISTRY}},
    ),
    (
        "msk",
        {
            "ProvisionedPollerConfig": PROVISIONED,
            "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group", "SchemaRegistryConfig": REGISTRY},
        },
        {"AmazonManagedKafkaEventSourceConfig": {"SchemaRegistryConfig": {}}},
        {"AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group"}},
    ),
    (
        "documentdb",
        {},
        {"DocumentDBEventSourceConfig": {"FullDocument": "UpdateLookup"}},
        {
            "DocumentDBEventSourceConfig": {
                "DatabaseName": "shop",
                "CollectionName": "orders",
                "FullDocument": "UpdateLookup",
            }
        },
    ),
]


@pytest.mark.parametrize(("source", "given", "change", "expected"), CHANGES)
def test_update(
    create: Create,
    client: Any,
    unique_name: str,
    source: str,
    given: dict[str, Any],
    change: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    create()
    before = client.create_event_source_mapping(**request(source, unique_name, **given))
    answer = client.update_event_source_mapping(UUID=before["UUID"], **change)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["State"] == "Updating"
    after = {**shown(before), **change, **expected, "State": "Enabled"}
    got = client.get_event_source_mapping(UUID=before["UUID"])
    assert shown(got) == {member: value for member, value in after.items() if value is not None}


def test_update_to_another_function(create: Create, client: Any, unique_name: str) -> None:
    create()
    create(FunctionName=f"{unique_name}-2")
    uuid = client.create_event_source_mapping(**request("sqs", unique_name))["UUID"]
    answer = client.update_event_source_mapping(UUID=uuid, FunctionName=f"{unique_name}-2")
    assert answer["FunctionArn"] == function_arn(f"{unique_name}-2")
    with refused("InvalidParameterValueException", "Function does not exist"):
        client.update_event_source_mapping(UUID=uuid, FunctionName="doesnotexist")
    assert client.get_event_source_mapping(UUID=uuid)["FunctionArn"] == function_arn(f"{unique_name}-2")


def test_provisioned_pollers_are_filled_in(create: Create, client: Any, unique_name: str) -> None:
    create()
    answer = client.create_event_source_mapping(
        **request("sqs", unique_name, ProvisionedPollerConfig={"MinimumPollers": 5})
    )
    assert answer["ProvisionedPollerConfig"] == {"MinimumPollers": 5, "MaximumPollers": 200}
    update = client.update_event_source_mapping
    changed = update(UUID=answer["UUID"], ProvisionedPollerConfig={"MaximumPollers": 20})
    assert changed["ProvisionedPollerConfig"] == {"MinimumPollers": 5, "MaximumPollers": 20}
    assert "ProvisionedPollerConfig" not in update(UUID=answer["UUID"], ProvisionedPollerConfig={})


@pytest.mark.parametrize(
    ("source", "given", "change", "message"),
    [
        ("sqs", {}, {"BatchSize": 11}, NO_WINDOW),
        (
            "sqs",
            {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 1},
            {"MaximumBatchingWindowInSeconds": 0},
            NO_WINDOW,
        ),
        ("fifo", {}, {"MaximumBatchingWindowInSeconds": 1}, "Batching window is not supported for FIFO queues"),
        (
            "sqs",
            {"ScalingConfig": {"MaximumConcurrency": 5}},
            {"ProvisionedPollerConfig": PROVISIONED},
            "Provisioned mode for SQS ESM does not support maximum concurrency feature. "
            "Use MaximumPollers as the control mechanism and remove maximum concurrency.",
        ),
        (
            "msk",
            {"ProvisionedPollerConfig": PROVISIONED, "LoggingConfig": {"SystemLogLevel": "INFO"}},
            {"ProvisionedPollerConfig": {}},
            provisioned_only("LoggingConfig"),
        ),
        (
            "msk",
            {},
            {"AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group"}},
            unsupported("amazonManagedKafkaEventSourceConfig.consumerGroupId"),
        ),
        (
            "kafka",
            {},
            {"SelfManagedKafkaEventSourceConfig": {"ConsumptionMode": "Stream"}},
            unsupported("selfManagedKafkaEventSourceConfig.consumptionMode"),
        ),
        (
            "mq",
            {},
            {"SourceAccessConfigurations": [BASIC_AUTH, {"Type": "VIRTUAL_HOST", "URI": "/"}]},
            unsupported("sourceAccessConfigurations.VIRTUAL_HOST"),
        ),
        (
            "kafka",
            {},
            {"SourceAccessConfigurations": [{"Type": "VIRTUAL_HOST"}]},
            unsupported("sourceAccessConfigurations.VIRTUAL_HOST"),
        ),
        ("kinesis", {}, {"MaximumRecordAgeInSeconds": 1}, "MaximumRecordAgeInSeconds must be -1 or at least 60."),
        ("kinesis", {}, {"FilterCriteria": {"Filters": [{"Pattern": "x"}]}}, "Invalid filter pattern definition."),
    ],
)
def test_an_update_is_judged_with_what_it_leaves(
    create: Create,
    client: Any,
    unique_name: str,
    source: str,
    given: dict[str, Any],
    change: dict[str, Any],
    message: str,
) -> None:
    create()
    uuid = client.create_event_source_mapping(**request(source, unique_name, **given))["UUID"]
    before = client.get_event_source_mapping(UUID=uuid)
    with refused(INVALID, message):
        client.update_event_source_mapping(UUID=uuid, **change)
    after = client.get_event_source_mapping(UUID=uuid)
    assert {**after, "ResponseMetadata": 0} == {**before, "ResponseMetadata": 0}
