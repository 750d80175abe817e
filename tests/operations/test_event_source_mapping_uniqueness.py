"""One mapping for a source and a function: who is in the way, and what keeps two apart."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.conftest import Create
from tests.operations.errors import refused
from tests.operations.mapping_requests import (
    function_arn,
    request,
)

CONFLICTS: dict[str, str] = {
    "sqs": 'An event source mapping with SQS arn (" {arn} ") and function (" {name} ") already exists.',
    "kinesis": 'The event source arn (" {arn} ") and function (" {name} ") provided mapping already exists.',
    "dynamodb": 'The event source arn (" {arn} ") and function (" {name} ") provided mapping already exists.',
    "msk": (
        'An event source mapping with event source ("{arn}"), function ("{function}"), topics ("orders") '
        "already exists."
    ),
    "kafka": (
        'An event source mapping with event source ("one.example.com:9092,two.example.com:9092"), '
        'function ("{function}"), topics ("orders") already exists.'
    ),
    "mq": (
        'An event source mapping with event source ("{arn}"), function ("{function}"), queues ("ExampleQueue") '
        "already exists."
    ),
    "documentdb": 'An event source mapping with event source ("{arn}"), function ("{function}") already exists.',
}


@pytest.mark.parametrize("source", CONFLICTS)
def test_one_mapping_for_a_source_and_a_function(create: Create, client: Any, unique_name: str, source: str) -> None:
    create()
    create(FunctionName=f"{unique_name}-2")
    client.publish_version(FunctionName=unique_name)
    params = request(source, unique_name)
    uuid = client.create_event_source_mapping(**params)["UUID"]
    sentence = CONFLICTS[source].format(
        arn=params.get("EventSourceArn"), name=unique_name, function=function_arn(unique_name)
    )
    message = f"{sentence} Please update or delete the existing mapping with UUID {uuid}"
    with refused("ResourceConflictException", message, 409):
        client.create_event_source_mapping(**params)
    client.create_event_source_mapping(**{**params, "FunctionName": f"{unique_name}:1"})
    other = client.create_event_source_mapping(**{**params, "FunctionName": f"{unique_name}-2"})["UUID"]
    with refused("ResourceConflictException", message, 409):
        client.update_event_source_mapping(UUID=other, FunctionName=unique_name)


@pytest.mark.parametrize(
    ("source", "apart"),
    [
        ("msk", {"Topics": ["invoices"]}),
        ("kafka", {"SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["third.example.com:9092"]}}}),
        ("mq", {"Queues": ["other"]}),
        ("documentdb", {"DocumentDBEventSourceConfig": {"DatabaseName": "shop", "CollectionName": "invoices"}}),
    ],
)
def test_what_keeps_mappings_apart(
    create: Create, client: Any, unique_name: str, source: str, apart: dict[str, Any]
) -> None:
    create()
    client.create_event_source_mapping(**request(source, unique_name))
    client.create_event_source_mapping(**request(source, unique_name, **apart))
    assert len(client.list_event_source_mappings(FunctionName=unique_name)["EventSourceMappings"]) == 2


def test_clusters_that_share_a_server_are_one(create: Create, client: Any, unique_name: str) -> None:
    create()
    client.create_event_source_mapping(**request("kafka", unique_name))
    servers = ["two.example.com:9092", "three.example.com:9092"]
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.create_event_source_mapping(
            **request(
                "kafka",
                unique_name,
                SelfManagedEventSource={"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": servers}},
            )
        )
