"""Log groups, streams, retention and tags, as boto3 sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.observe.logs import LogStream

GROUP = "/aws/lambda/hello"
ARN = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"


async def call(operation: Callable[..., dict[str, Any]], **params: Any) -> dict[str, Any]:
    return await asyncio.to_thread(operation, **params)


async def refused(operation: Callable[..., dict[str, Any]], **params: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        await call(operation, **params)
    response = caught.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


async def test_a_group_is_made_described_and_deleted(logs_client: Any) -> None:
    await call(logs_client.create_log_group, logGroupName=GROUP, tags={"team": "photos"})
    (group,) = (await call(logs_client.describe_log_groups))["logGroups"]
    assert group["logGroupName"] == GROUP
    assert group["arn"] == f"{ARN}:*"
    assert group["logGroupArn"] == ARN
    assert group["logGroupClass"] == "STANDARD"
    assert group["storedBytes"] == 0
    assert "retentionInDays" not in group
    await call(logs_client.delete_log_group, logGroupName=GROUP)
    assert (await call(logs_client.describe_log_groups))["logGroups"] == []


async def test_errors_of_groups_and_streams_are_aws_own(logs_client: Any) -> None:
    await call(logs_client.create_log_group, logGroupName=GROUP)
    await call(logs_client.create_log_stream, logGroupName=GROUP, logStreamName="s")
    assert await refused(logs_client.create_log_group, logGroupName=GROUP) == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
        400,
    )
    assert await refused(logs_client.create_log_stream, logGroupName=GROUP, logStreamName="s") == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
        400,
    )
    no_group = ("ResourceNotFoundException", "The specified log group does not exist.", 400)
    no_stream = ("ResourceNotFoundException", "The specified log stream does not exist.", 400)
    assert await refused(logs_client.delete_log_group, logGroupName="no") == no_group
    assert await refused(logs_client.create_log_stream, logGroupName="no", logStreamName="s") == no_group
    assert await refused(logs_client.describe_log_streams, logGroupName="no") == no_group
    assert await refused(logs_client.put_retention_policy, logGroupName="no", retentionInDays=1) == no_group
    assert await refused(logs_client.get_log_events, logGroupName="no", logStreamName="s") == no_group
    assert await refused(logs_client.filter_log_events, logGroupName="no") == no_group
    assert await refused(logs_client.delete_log_stream, logGroupName=GROUP, logStreamName="no") == no_stream
    assert await refused(logs_client.get_log_events, logGroupName=GROUP, logStreamName="no") == no_stream
    assert await refused(logs_client.filter_log_events, logGroupName=GROUP, logStreamNames=["no"]) == no_stream
    assert (
        await refused(
            logs_client.put_log_events,
            logGroupName=GROUP,
            logStreamName="no",
            logEvents=[{"timestamp": 1, "message": "m"}],
        )
        == no_stream
    )


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("create_log_group", {"logGroupName": "aws/x"}, "Log groups starting with AWS/ are reserved for AWS."),
        (
            "describe_log_groups",
            {"logGroupNamePrefix": "a", "logGroupNamePattern": "b"},
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ),
        ("describe_log_groups", {"nextToken": "?"}, "The specified nextToken is invalid."),
        (
            "get_log_events",
            {"logGroupName": GROUP, "logStreamName": "s", "nextToken": "f/1/s"},
            "The specified nextToken is invalid.",
        ),
        (
            "describe_log_streams",
            {"logGroupName": GROUP, "orderBy": "LastEventTime", "logStreamNamePrefix": "a"},
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ),
        ("filter_log_events", {"logGroupName": GROUP, "filterPattern": "a:b"}, "Invalid character(s) in term ':'"),
        (
            "describe_log_groups",
            {"limit": 51},
            "1 validation error detected: Value '51' at 'limit' failed to satisfy constraint: "
            "Member must have value less than or equal to 50",
        ),
    ],
)
async def test_bad_parameters(logs_client: Any, operation: str, params: dict[str, Any], message: str) -> None:
    code, text, status = await refused(getattr(logs_client, operation), **params)
    assert (code, text, status) == ("InvalidParameterException", message, 400)


async def test_groups_come_in_pages_by_prefix_and_by_pattern(logs_client: Any) -> None:
    names = [f"/aws/lambda/f{number:02d}" for number in range(7)]
    for name in [*reversed(names), "/other_1%"]:
        await call(logs_client.create_log_group, logGroupName=name) if "%" not in name else None
    await call(logs_client.create_log_group, logGroupName="/other")
    pages = await asyncio.to_thread(
        lambda: [
            [group["logGroupName"] for group in page["logGroups"]]
            for page in logs_client.get_paginator("describe_log_groups").paginate(
                logGroupNamePrefix="/aws/", PaginationConfig={"PageSize": 3}
            )
        ]
    )
    assert pages == [names[:3], names[3:6], names[6:]]
    found = await call(logs_client.describe_log_groups, logGroupNamePattern="f03")
    assert [group["logGroupName"] for group in found["logGroups"]] == [names[3]]
    found = await call(logs_client.describe_log_groups, logGroupIdentifiers=[names[5], ARN])
    assert [group["logGroupName"] for group in found["logGroups"]] == [names[5]]


async def test_streams_by_name_and_by_last_event(logs_client: Any, stream_of: Callable[..., LogStream]) -> None:
    now = 1_800_000_000_000
    for index, name in enumerate(["b", "a", "d", "c"]):
        stream_of(name).append(now + index, "x\n")
    await call(logs_client.describe_log_groups)
    await call(logs_client.create_log_stream, logGroupName=GROUP, logStreamName="empty")

    async def names(**params: Any) -> list[str]:
        def collect() -> list[str]:
            paginator = logs_client.get_paginator("describe_log_streams")
            pages = paginator.paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 2}, **params)
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

        return await asyncio.to_thread(collect)

    assert await names() == ["a", "b", "c", "d", "empty"]
    assert await names(descending=True) == ["empty", "d", "c", "b", "a"]
    assert await names(orderBy="LastEventTime", descending=True) == ["c", "d", "a", "b", "empty"]
    assert await names(orderBy="LastEventTime") == ["empty", "b", "a", "d", "c"]
    assert await names(logStreamNamePrefix="e") == ["empty"]
    found = await call(logs_client.describe_log_streams, logGroupIdentifier=ARN, logStreamNamePrefix="d")
    (stream,) = found["logStreams"]
    assert stream["firstEventTimestamp"] == stream["lastEventTimestamp"] == now + 2
    assert stream["arn"] == f"{ARN}:log-stream:d"
    assert stream["lastIngestionTime"] > 0


async def test_retention_is_put_and_taken_away(logs_client: Any) -> None:
    await call(logs_client.create_log_group, logGroupName=GROUP)
    await call(logs_client.put_retention_policy, logGroupName=GROUP, retentionInDays=14)
    (group,) = (await call(logs_client.describe_log_groups))["logGroups"]
    assert group["retentionInDays"] == 14
    code, message, _ = await refused(logs_client.put_retention_policy, logGroupName=GROUP, retentionInDays=2)
    assert code == "InvalidParameterException"
    assert message.startswith(
        "1 validation error detected: Value '2' at 'retentionInDays' failed to satisfy constraint"
    )
    await call(logs_client.delete_retention_policy, logGroupName=GROUP)
    (group,) = (await call(logs_client.describe_log_groups))["logGroups"]
    assert "retentionInDays" not in group


async def test_tags_by_name_and_by_arn(logs_client: Any) -> None:
    await call(logs_client.create_log_group, logGroupName=GROUP, tags={"a": "1"})
    await call(logs_client.tag_resource, resourceArn=ARN, tags={"b": "2"})
    await call(logs_client.tag_log_group, logGroupName=GROUP, tags={"c": "3"})
    assert (await call(logs_client.list_tags_for_resource, resourceArn=ARN))["tags"] == {"a": "1", "b": "2", "c": "3"}
    await call(logs_client.untag_resource, resourceArn=ARN, tagKeys=["a"])
    await call(logs_client.untag_log_group, logGroupName=GROUP, tags=["b"])
    assert (await call(logs_client.list_tags_log_group, logGroupName=GROUP))["tags"] == {"c": "3"}
    code, _, _ = await refused(logs_client.tag_resource, resourceArn=ARN, tags={str(n): "" for n in range(50)})
    assert code == "TooManyTagsException"
    assert (await refused(logs_client.tag_resource, resourceArn="arn:aws:s3:::b", tags={"a": "1"}))[0] == (
        "ResourceNotFoundException"
    )


async def test_a_protected_group_is_not_deleted(logs_client: Any) -> None:
    await call(logs_client.create_log_group, logGroupName=GROUP, deletionProtectionEnabled=True)
    assert (await refused(logs_client.delete_log_group, logGroupName=GROUP))[0] == "ValidationException"
    await call(logs_client.put_log_group_deletion_protection, logGroupIdentifier=GROUP, deletionProtectionEnabled=False)
    await call(logs_client.delete_log_group, logGroupName=GROUP)


async def test_a_deleted_group_comes_back_empty_when_its_function_prints_again(
    logs_client: Any, stream_of: Callable[..., LogStream]
) -> None:
    stream = stream_of("s")
    stream.append(1, "before\n")
    await call(logs_client.delete_log_group, logGroupName=GROUP)
    stream.append(2, "after\n")
    found = await call(logs_client.filter_log_events, logGroupName=GROUP)
    assert [event["message"] for event in found["events"]] == ["after\n"]
