"""CloudWatch Logs' API over the log store: log groups, streams, retention and tags. Events are in api_events.py.

Messages are those AWS answers with. Operations that change something return once it is committed; those that read see
every event appended before them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from pilotlight.clock import Clock
from pilotlight.errors import (
    InvalidParameterException,
    LogsResourceNotFoundException,
    ResourceAlreadyExistsException,
    TooManyTagsException,
    ValidationException,
)
from pilotlight.observe.api_events import EventHandlers
from pilotlight.observe.database import GroupProperties, GroupRow, LogDatabase, StreamRow, group_row
from pilotlight.observe.live_tail import live_tail_handler
from pilotlight.observe.log_names import GroupName, decode_token, encode_token, group_name, no_group, no_stream
from pilotlight.observe.logs import LogStore
from pilotlight.wire.messages import Call, Handler

# fmt: off
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)
# fmt: on

_MAX_TAGS = 50
_PAGE = 50


def logs_handlers(log_store: LogStore, clock: Clock) -> dict[str, Handler]:
    """Operation -> handler, for wire.ServiceApi("logs"); subscription filters are `triggers.log_subscriptions`'."""
    groups = GroupHandlers(log_store, clock)
    events = EventHandlers(log_store, clock)
    return {
        "CreateLogGroup": groups.create_log_group,
        "DeleteLogGroup": groups.delete_log_group,
        "DescribeLogGroups": groups.describe_log_groups,
        "CreateLogStream": groups.create_log_stream,
        "DeleteLogStream": groups.delete_log_stream,
        "DescribeLogStreams": groups.describe_log_streams,
        "PutRetentionPolicy": groups.put_retention_policy,
        "DeleteRetentionPolicy": groups.delete_retention_policy,
        "PutLogGroupDeletionProtection": groups.put_deletion_protection,
        "TagLogGroup": groups.tag_log_group,
        "UntagLogGroup": groups.untag_log_group,
        "ListTagsLogGroup": groups.list_tags_log_group,
        "TagResource": groups.tag_resource,
        "UntagResource": groups.untag_resource,
        "ListTagsForResource": groups.list_tags_for_resource,
        "DescribeMetricFilters": groups.describe_metric_filters,
        "PutLogEvents": events.put_log_events,
        "GetLogEvents": events.get_log_events,
        "FilterLogEvents": events.filter_log_events,
        "StartLiveTail": live_tail_handler(log_store, clock),
    }


class GroupHandlers:
    def __init__(self, log_store: LogStore, clock: Clock) -> None:
        self._store = log_store
        self._clock = clock

    # groups

    async def create_log_group(self, call: Call) -> None:
        params = call.params
        name: str = params["logGroupName"]
        if name.lower().startswith("aws/"):
            raise InvalidParameterException("Log groups starting with AWS/ are reserved for AWS.")
        properties = GroupProperties(
            tags=params.get("tags", {}),
            log_group_class=params.get("logGroupClass", "STANDARD"),
            kms_key_id=params.get("kmsKeyId", ""),
            deletion_protection=params.get("deletionProtectionEnabled", False),
        )
        now_ms = self._clock.time_ms()
        if not await self._store.change(
            lambda database: database.create_group(call.account, call.region, name, now_ms, properties)
        ):
            raise ResourceAlreadyExistsException("The specified log group already exists")

    async def delete_log_group(self, call: Call) -> None:
        def delete(database: LogDatabase) -> None:
            group = _group(database, _named(call))
            if group.properties.deletion_protection:
                raise ValidationException("The specified log group has deletion protection enabled.")
            database.delete_group(group.id)

        await self._store.change(delete)
        self._store.collect_soon()

    async def describe_log_groups(self, call: Call) -> dict[str, Any]:
        params = call.params
        prefix, part = params.get("logGroupNamePrefix", ""), params.get("logGroupNamePattern", "")
        if prefix and part:
            raise InvalidParameterException(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
            )
        limit: int = params.get("limit", _PAGE)
        (after,) = decode_token(params.get("nextToken"), str) or ("",)
        wanted = {group_name(call, given).name for given in params.get("logGroupIdentifiers", [])}
        log_class: str = params.get("logGroupClass", "STANDARD" if not wanted else "")
        accounts: list[str] = params.get("accountIdentifiers", [])

        def page(database: LogDatabase) -> list[GroupRow]:
            values = {"account": call.account, "region": call.region, "prefix": prefix, "part": part}
            # Groups that other conditions leave out do not count towards the limit.
            kept: list[GroupRow] = []
            for row in database.rows("list_groups", **values, after=after, limit=-1):
                group = group_row(row)
                if (not wanted or group.name in wanted) and log_class in ("", group.properties.log_group_class):
                    kept.append(group)
                    if len(kept) > limit:
                        break
            return kept

        groups = await self._store.read(page) if not accounts or call.account in accounts else []
        result: dict[str, Any] = {"logGroups": [_describe_group(call, group) for group in groups[:limit]]}
        if len(groups) > limit:
            result["nextToken"] = encode_token(groups[limit - 1].name)
        return result

    async def put_retention_policy(self, call: Call) -> None:
        days: int = call.params["retentionInDays"]
        if days not in RETENTION_DAYS:
            allowed = ", ".join(map(str, RETENTION_DAYS))
            raise InvalidParameterException(
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{allowed}]"
            )
        await self._retain(call, days)

    async def delete_retention_policy(self, call: Call) -> None:
        await self._retain(call, 0)

    async def _retain(self, call: Call, days: int) -> None:
        await self._store.change(
            lambda database: database.run("set_retention", group_id=_group(database, _named(call)).id, days=days)
        )
        self._store.collect_soon()

    async def put_deletion_protection(self, call: Call) -> None:
        enabled: bool = call.params["deletionProtectionEnabled"]
        name = group_name(call, call.params["logGroupIdentifier"])
        await self._replace(name, lambda held: msgspec.structs.replace(held, deletion_protection=enabled))

    async def describe_metric_filters(self, call: Call) -> dict[str, Any]:
        """None can exist: PutMetricFilter is not among the operations here."""
        if "logGroupName" in call.params:
            await self._store.read(lambda database: _group(database, _named(call)))
        return {"metricFilters": []}

    # tags

    async def tag_log_group(self, call: Call) -> None:
        await self._tag(_named(call), call.params["tags"])

    async def untag_log_group(self, call: Call) -> None:
        await self._untag(_named(call), call.params["tags"])

    async def list_tags_log_group(self, call: Call) -> dict[str, Any]:
        group = await self._store.read(lambda database: _group(database, _named(call)))
        return {"tags": group.properties.tags}

    async def tag_resource(self, call: Call) -> None:
        await self._tag(_resource(call), call.params["tags"])

    async def untag_resource(self, call: Call) -> None:
        await self._untag(_resource(call), call.params["tagKeys"])

    async def list_tags_for_resource(self, call: Call) -> dict[str, Any]:
        group = await self._store.read(lambda database: _group(database, _resource(call)))
        return {"tags": group.properties.tags}

    async def _tag(self, name: GroupName, tags: dict[str, str]) -> None:
        def add(held: GroupProperties) -> GroupProperties:
            if any(key.lower().startswith("aws:") for key in tags):
                raise InvalidParameterException("Tag keys starting with 'aws:' are reserved for system use.")
            together = {**held.tags, **tags}
            if len(together) > _MAX_TAGS:
                raise TooManyTagsException(f"A resource can have no more than {_MAX_TAGS} tags.")
            return msgspec.structs.replace(held, tags=together)

        await self._replace(name, add)

    async def _untag(self, name: GroupName, keys: list[str]) -> None:
        def remove(held: GroupProperties) -> GroupProperties:
            return msgspec.structs.replace(held, tags={k: v for k, v in held.tags.items() if k not in keys})

        await self._replace(name, remove)

    async def _replace(self, name: GroupName, new: Callable[[GroupProperties], GroupProperties]) -> None:
        def replace(database: LogDatabase) -> None:
            group = _group(database, name)
            body = msgspec.msgpack.encode(new(group.properties))
            database.run("set_properties", group_id=group.id, properties=body)

        await self._store.change(replace)

    # streams

    async def create_log_stream(self, call: Call) -> None:
        stream_name: str = call.params["logStreamName"]
        now_ms = self._clock.time_ms()

        def create(database: LogDatabase) -> bool:
            return database.create_stream(_group(database, _named(call)).id, stream_name, now_ms)

        if not await self._store.change(create):
            raise ResourceAlreadyExistsException("The specified log stream already exists")

    async def delete_log_stream(self, call: Call) -> None:
        stream_name: str = call.params["logStreamName"]

        def delete(database: LogDatabase) -> None:
            group = _group(database, _named(call))
            stream = database.stream(group.id, stream_name)
            if stream is None:
                raise no_stream()
            database.delete_stream(group.id, stream.id)

        await self._store.change(delete)
        self._store.collect_soon()

    async def describe_log_streams(self, call: Call) -> dict[str, Any]:
        params = call.params
        by_time = params.get("orderBy") == "LastEventTime"
        prefix: str = params.get("logStreamNamePrefix", "")
        if by_time and prefix:
            raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
        limit: int = params.get("limit", _PAGE)
        name = group_name(call)
        query = "streams_by_last" if by_time else "streams_by_name"
        if params.get("descending", False):
            query += "_descending"
        after_ms, after = decode_token(params.get("nextToken"), int, str) or (-1, "")
        values = {"after_ms": after_ms, "after": after} if by_time else {"after": after, "prefix": prefix}

        def page(database: LogDatabase) -> list[StreamRow]:
            group = _group(database, name)
            return [StreamRow(*row) for row in database.run(query, group_id=group.id, limit=limit + 1, **values)]

        streams = await self._store.read(page)
        result: dict[str, Any] = {"logStreams": [_describe_stream(name, stream) for stream in streams[:limit]]}
        if len(streams) > limit:
            last = streams[limit - 1]
            result["nextToken"] = encode_token(last.last_ms, last.name)
        return result


def _group(database: LogDatabase, name: GroupName) -> GroupRow:
    group = database.group(name.account, name.region, name.name)
    if group is None:
        raise no_group()
    return group


def _named(call: Call) -> GroupName:
    return GroupName(call.account, call.region, call.params["logGroupName"])


_GROUP_ARN = re.compile(r"arn:[^:]+:logs:[^:]*:[^:]*:log-group:[^:]+$")


def _resource(call: Call) -> GroupName:
    """The log group that a `resourceArn` names; other taggable resources of CloudWatch Logs do not exist here."""
    arn: str = call.params["resourceArn"]
    if not _GROUP_ARN.match(arn):
        raise LogsResourceNotFoundException("The specified resource does not exist.")
    return group_name(call, arn)


def _describe_group(call: Call, group: GroupRow) -> dict[str, Any]:
    arn = GroupName(call.account, call.region, group.name).arn
    described: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "storedBytes": group.stored_bytes,
        "logGroupClass": group.properties.log_group_class,
        "logGroupArn": arn,
        "deletionProtectionEnabled": group.properties.deletion_protection,
    }
    if group.retention_days:
        described["retentionInDays"] = group.retention_days
    if group.properties.kms_key_id:
        described["kmsKeyId"] = group.properties.kms_key_id
    return described


def _describe_stream(group: GroupName, stream: StreamRow) -> dict[str, Any]:
    described: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "arn": f"{group.arn}:log-stream:{stream.name}",
        # AWS has reported 0 for every stream since 2019.
        "storedBytes": 0,
    }
    if stream.last_ingested_ms:
        described["firstEventTimestamp"] = stream.first_ms
        described["lastEventTimestamp"] = stream.last_ms
        described["lastIngestionTime"] = stream.last_ingested_ms
        described["uploadSequenceToken"] = f"{stream.last_ingested_ms:056d}"
    return described
