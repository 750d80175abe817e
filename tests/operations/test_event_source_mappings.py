"""CreateEventSourceMapping, Get, List, Update and Delete: what each source's mapping shows, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.operations.event_source_mappings import warn_of_unpolled
from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.mapping_requests import (
    ACCOUNT,
    BASIC_AUTH,
    GONE,
    KMS_KEY,
    PATTERN,
    PROVISIONED,
    REGISTRY,
    SECRET,
    SOURCES,
    function_arn,
    queue_arn,
    request,
    shown,
)
from tests.operations.plane import Plane

Map = Callable[..., dict[str, Any]]


@pytest.fixture
def map_source(create: Create, client: Any, unique_name: str) -> Map:
    """Create the function, then a mapping of it; the source is named as the function is."""
    create()

    def create_mapping(**params: Any) -> dict[str, Any]:
        return client.create_event_source_mapping(**{"FunctionName": unique_name, **params})

    return create_mapping


@pytest.mark.parametrize("source", SOURCES)
def test_each_source(create: Create, client: Any, unique_name: str, source: str) -> None:
    create()
    arn, _, expected = SOURCES[source]
    answer = client.create_event_source_mapping(**request(source, unique_name))
    uuid = answer["UUID"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uuid)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert abs((datetime.now(UTC) - answer["LastModified"]).total_seconds()) < 60
    everything = {
        **expected,
        **({"EventSourceArn": arn(unique_name)} if arn else {}),
        "EventSourceMappingArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:{uuid}",
        "FunctionArn": function_arn(unique_name),
    }
    assert shown(answer) == {**everything, "State": "Creating"}
    got = client.get_event_source_mapping(UUID=uuid)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert shown(got) == {**everything, "State": "Enabled"}
    listed = client.list_event_source_mappings(FunctionName=unique_name)["EventSourceMappings"]
    assert listed == [{k: v for k, v in got.items() if k != "ResponseMetadata"}]


@pytest.mark.parametrize("source", ["msk", "kafka"])
def test_consumer_group_is_the_mapping_unless_given(create: Create, client: Any, unique_name: str, source: str) -> None:
    create()
    member = {"msk": "AmazonManagedKafkaEventSourceConfig", "kafka": "SelfManagedKafkaEventSourceConfig"}[source]
    answer = client.create_event_source_mapping(**request(source, unique_name, **{member: None}))
    assert answer[member] == {"ConsumerGroupId": answer["UUID"]}


#: further settings of a source, each shown as it is given
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "sqs": [
        {"BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 300},
        {"FilterCriteria": PATTERN, "KMSKeyArn": KMS_KEY},
        {"ScalingConfig": {"MaximumConcurrency": 2}},
        {"ProvisionedPollerConfig": PROVISIONED},
        {"MetricsConfig": {"Metrics": ["EventCount"]}},
    ],
    "kinesis": [
        {
            "BatchSize": 10_000,
            "ParallelizationFactor": 10,
            "MaximumRecordAgeInSeconds": 604_800,
            "MaximumRetryAttempts": 10_000,
            "BisectBatchOnFunctionError": True,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failed"}},
        },
        {"TumblingWindowInSeconds": 900, "MetricsConfig": {"Metrics": ["EventCount"]}},
    ],
    "consumer": [{}],
    "dynamodb": [{"MaximumRecordAgeInSeconds": 60, "MaximumBatchingWindowInSeconds": 1}],
    "msk": [
        {
            "ProvisionedPollerConfig": {**PROVISIONED, "PollerGroupName": "shared"},
            "MetricsConfig": {"Metrics": ["EventCount", "ErrorCount", "KafkaMetrics"]},
            "LoggingConfig": {"SystemLogLevel": "DEBUG"},
            "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group", "SchemaRegistryConfig": REGISTRY},
        },
        {"DestinationConfig": {"OnFailure": {"Destination": "kafka://failed-orders"}}, "MaximumRetryAttempts": 3},
        {"SourceAccessConfigurations": [{"Type": "CLIENT_CERTIFICATE_TLS_AUTH", "URI": SECRET}]},
    ],
    "kafka": [
        {
            "SourceAccessConfigurations": [
                {"Type": "VPC_SUBNET", "URI": "subnet:subnet-0123456789"},
                {"Type": "VPC_SECURITY_GROUP", "URI": "security_group:sg-0123456789"},
                {"Type": "OAUTHBEARER_AUTH", "URI": SECRET},
                {"Type": "OAUTHBEARER_SCOPE", "URI": "kafka"},
            ]
        },
        {
            "StartingPosition": None,
            "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g", "ConsumptionMode": "Queue"},
        },
    ],
    "mq": [{"SourceAccessConfigurations": [BASIC_AUTH, {"Type": "VIRTUAL_HOST", "URI": "/"}]}],
    "documentdb": [{"DocumentDBEventSourceConfig": {"DatabaseName": "shop", "FullDocument": "UpdateLookup"}}],
}


@pytest.mark.parametrize(
    ("source", "given"), [(source, given) for source, every in SETTINGS.items() for given in every]
)
def test_settings_are_shown_as_given_and_after_a_restart(held_plane: Plane, source: str, given: dict[str, Any]) -> None:
    client = held_plane.client()
    client.create_function(**function_params("fn"))
    params = request(source, "fn", **given)
    answer = client.create_event_source_mapping(**params)
    asked = {member: value for member, value in params.items() if member != "FunctionName"}
    assert {member: answer.get(member) for member in asked} == asked
    held_plane.restart()
    client = held_plane.client()
    assert shown(client.get_event_source_mapping(UUID=answer["UUID"])) == {**shown(answer), "State": "Enabled"}


@pytest.mark.parametrize("qualifier", ["", "$LATEST", "1", "live"])
@pytest.mark.parametrize("form", ["{name}", "function:{name}", "000000000000:function:{name}", "{arn}"])
def test_the_function_in_all_its_forms(
    map_source: Map, client: Any, unique_name: str, qualifier: str, form: str
) -> None:
    client.publish_version(FunctionName=unique_name)
    client.create_alias(FunctionName=unique_name, Name="live", FunctionVersion="1")
    arn = function_arn(unique_name, qualifier)
    reference = form.format(name=unique_name, arn=function_arn(unique_name)) + (f":{qualifier}" if qualifier else "")
    uuid = map_source(FunctionName=reference, EventSourceArn=queue_arn(unique_name))["UUID"]
    assert client.get_event_source_mapping(UUID=uuid)["FunctionArn"] == arn
    listed = client.list_event_source_mappings(FunctionName=reference)["EventSourceMappings"]
    assert [mapping["UUID"] for mapping in listed] == [uuid]
    others = {"", "$LATEST", "1", "live"} - {qualifier}
    for other in others:
        found = client.list_event_source_mappings(FunctionName=function_arn(unique_name, other))
        assert found["EventSourceMappings"] == []


def test_list_by_source_and_pages(map_source: Map, client: Any, unique_name: str) -> None:
    uuids = sorted(map_source(EventSourceArn=queue_arn(f"{unique_name}-{i}"))["UUID"] for i in range(5))
    pages: list[list[str]] = []
    marker: dict[str, str] = {}
    while True:
        answer = client.list_event_source_mappings(FunctionName=unique_name, MaxItems=2, **marker)
        pages.append([mapping["UUID"] for mapping in answer["EventSourceMappings"]])
        if "NextMarker" not in answer:
            break
        marker = {"Marker": answer["NextMarker"]}
    assert pages == [uuids[:2], uuids[2:4], uuids[4:]]
    paginator = client.get_paginator("list_event_source_mappings").paginate(FunctionName=unique_name)
    assert [mapping["UUID"] for page in paginator for mapping in page["EventSourceMappings"]] == uuids
    arn = queue_arn(f"{unique_name}-3")
    found = client.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    assert [mapping["EventSourceArn"] for mapping in found] == [arn]
    assert client.list_event_source_mappings(EventSourceArn=arn, FunctionName="another")["EventSourceMappings"] == []
    assert client.list_event_source_mappings(FunctionName="doesnotexist")["EventSourceMappings"] == []


def test_a_page_holds_a_hundred(held_plane: Plane) -> None:
    client = held_plane.client()
    client.create_function(**function_params("fn"))
    for i in range(101):
        client.create_event_source_mapping(FunctionName="fn", EventSourceArn=queue_arn(f"q{i}"))
    first = client.list_event_source_mappings(MaxItems=10_000)
    assert len(first["EventSourceMappings"]) == 100
    rest = client.list_event_source_mappings(Marker=first["NextMarker"])
    assert len(rest["EventSourceMappings"]) == 1
    assert "NextMarker" not in rest


def test_filters_under_a_key_are_not_listed(map_source: Map, client: Any, unique_name: str) -> None:
    uuid = map_source(EventSourceArn=queue_arn(unique_name), FilterCriteria=PATTERN, KMSKeyArn=KMS_KEY)["UUID"]
    assert client.get_event_source_mapping(UUID=uuid)["FilterCriteria"] == PATTERN
    (listed,) = client.list_event_source_mappings(FunctionName=unique_name)["EventSourceMappings"]
    assert "FilterCriteria" not in listed
    assert listed["KMSKeyArn"] == KMS_KEY
    plain = client.update_event_source_mapping(UUID=uuid, KMSKeyArn="")
    assert "KMSKeyArn" not in plain
    (listed,) = client.list_event_source_mappings(FunctionName=unique_name)["EventSourceMappings"]
    assert listed["FilterCriteria"] == PATTERN


def test_empty_values_are_no_settings(map_source: Map, unique_name: str) -> None:
    answer = map_source(
        EventSourceArn=queue_arn(unique_name),
        FilterCriteria={"Filters": []},
        ScalingConfig={},
        MetricsConfig={"Metrics": []},
        KMSKeyArn="",
    )
    assert not answer.keys() & {"FilterCriteria", "ScalingConfig", "MetricsConfig", "KMSKeyArn"}


def test_a_deleted_function_leaves_its_mapping(map_source: Map, client: Any, unique_name: str) -> None:
    uuid = map_source(EventSourceArn=queue_arn(unique_name))["UUID"]
    before = shown(client.get_event_source_mapping(UUID=uuid))
    client.delete_function(FunctionName=unique_name)
    assert shown(client.get_event_source_mapping(UUID=uuid)) == before
    assert client.update_event_source_mapping(UUID=uuid, BatchSize=2)["BatchSize"] == 2
    answer = client.delete_event_source_mapping(UUID=uuid)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["State"] == "Deleting"
    assert answer["FunctionArn"] == function_arn(unique_name)
    with refused("ResourceNotFoundException", GONE, 404):
        client.get_event_source_mapping(UUID=uuid)


def test_tags_are_its_own(map_source: Map, client: Any, unique_name: str) -> None:
    answer = map_source(EventSourceArn=queue_arn(unique_name), Tags={"team": "orders"})
    arn = answer["EventSourceMappingArn"]
    assert "Tags" not in answer
    assert client.list_tags(Resource=arn)["Tags"] == {"team": "orders"}
    client.tag_resource(Resource=arn, Tags={"stage": "test"})
    client.update_event_source_mapping(UUID=answer["UUID"], BatchSize=2)
    client.untag_resource(Resource=arn, TagKeys=["team"])
    assert client.list_tags(Resource=arn)["Tags"] == {"stage": "test"}


def test_of_one_account_and_region(plane: Plane, map_source: Map, unique_name: str) -> None:
    uuid = map_source(EventSourceArn=queue_arn(unique_name))["UUID"]
    for other in (plane.client(account="111111111111"), plane.client(region="eu-west-1")):
        with refused("ResourceNotFoundException", GONE, 404):
            other.get_event_source_mapping(UUID=uuid)
        assert other.list_event_source_mappings()["EventSourceMappings"] == []


def test_of_two_at_once_one_is_refused(map_source: Map, client: Any, unique_name: str) -> None:
    def attempt(_: int) -> Any:
        try:
            return map_source(EventSourceArn=queue_arn(unique_name))["UUID"]
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(attempt, range(8)))
    assert answers.count("ResourceConflictException") == 7
    (mapping,) = client.list_event_source_mappings(FunctionName=unique_name)["EventSourceMappings"]
    assert mapping["UUID"] in answers


def test_the_log_says_that_nothing_polls(
    plane: Plane, map_source: Map, client: Any, unique_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    uuid = map_source(EventSourceArn=queue_arn(unique_name))["UUID"]
    assert f"event source mapping {uuid} is held: polling SQS is not built yet" in caplog.messages


def test_a_node_that_starts_says_which_are_not_polled(held_plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    client = held_plane.client()
    client.create_function(**function_params("fn"))
    uuid = client.create_event_source_mapping(FunctionName="fn", EventSourceArn=queue_arn("q"))["UUID"]
    held_plane.restart()
    caplog.clear()
    warn_of_unpolled(held_plane.context)
    assert caplog.messages == [f"1 enabled event source mappings are held, polling is not built yet: {uuid}"]
    client = held_plane.client()
    client.update_event_source_mapping(UUID=uuid, Enabled=False)
    caplog.clear()
    warn_of_unpolled(held_plane.context)
    assert not caplog.messages
