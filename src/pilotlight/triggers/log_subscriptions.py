"""Subscription filters of log groups: put, described and deleted by CloudWatch Logs' API, kept in the store.

A filter names a log group, a pattern and a Lambda function, which is to be invoked with the events that match
(log_deliveries.py). Rules and messages are those AWS answers with; other destinations than functions are refused.
Source: API reference (PutSubscriptionFilter), user guide ("Using subscription filters"), answers recorded by users.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pilotlight.clock import Clock
from pilotlight.errors import (
    AwsError,
    InvalidParameterException,
    LimitExceededException,
    LogsResourceNotFoundException,
    NotImplementedException,
)
from pilotlight.invoke.async_event import AsyncEvent
from pilotlight.observe.api_events import filter_of
from pilotlight.observe.database import GroupRow, LogDatabase
from pilotlight.observe.log_names import GroupName, decode_token, encode_token, no_group
from pilotlight.observe.logs import LogStore
from pilotlight.store.interface import Put, Remove, Store
from pilotlight.triggers.s3_notifications import MayInvoke, Resolve
from pilotlight.wire.messages import Call, Handler

RECORD_KIND = "log-subscriptions"
CURSOR_KIND = "log-subscription-cursors"
PRINCIPAL = "logs.amazonaws.com"
#: of one log group
MOST_FILTERS = 2
_NOT_HERE = ("fieldSelectionCriteria", "emitSystemFields", "applyOnTransformedLogs")


class Subscription(msgspec.Struct, frozen=True):
    account: str
    region: str
    group: str
    group_id: int
    group_created_ms: int
    """With its id: which group of that name. One made anew after a deletion has no filters."""
    name: str
    pattern: str
    destination_arn: str
    distribution: str
    created_ms: int

    @property
    def key(self) -> str:
        return f"{self.account}/{self.region}/{self.group}:{self.name}"

    @property
    def source_arn(self) -> str:
        """As policies have to name it."""
        return f"{GroupName(self.account, self.region, self.group).arn}:*"

    def is_of(self, group: GroupRow | None) -> bool:
        return group is not None and (group.id, group.created_ms) == (self.group_id, self.group_created_ms)


class LogSubscriptions:
    """One per node; `load` before use. `changed` is called when there is another set of filters."""

    def __init__(
        self, *, store: Store, log_store: LogStore, clock: Clock, resolve: Resolve, may_invoke: MayInvoke
    ) -> None:
        self._store = store
        self._log_store = log_store
        self._clock = clock
        self._resolve = resolve
        self._may_invoke = may_invoke
        self._by_key: dict[str, Subscription] = {}
        self.changed: Callable[[], None] = lambda: None

    async def load(self) -> None:
        after = ""
        while records := await self._store.scan(RECORD_KIND, after=after):
            for record in records:
                self._by_key[record.key] = msgspec.json.decode(record.body, type=Subscription)
            after = records[-1].key

    def all(self) -> list[Subscription]:
        return list(self._by_key.values())

    def handlers(self) -> dict[str, Handler]:
        return {
            "PutSubscriptionFilter": self._put,
            "DescribeSubscriptionFilters": self._describe,
            "DeleteSubscriptionFilter": self._delete,
        }

    def still_permitted(self, event: AsyncEvent) -> bool:
        """For the dispatcher, at delivery: whether CloudWatch Logs may still invoke the function.

        True for events of other sources. Raises ResourceNotFoundException when the function is gone.
        """
        if event.source != PRINCIPAL:
            return True
        function = f"{event.account}:function:{event.function}"
        return self._permitted(event.account, event.region, function, event.qualifier, event.source_arn)

    def loops(self, subscription: Subscription) -> bool:
        """Whether the function it invokes logs into the group it is of. Raises ResourceNotFoundException."""
        region, account, name, qualifier = _function(subscription.destination_arn)
        return self._resolve(account, region, name, qualifier).log_group_name == subscription.group

    async def forget(self, subscription: Subscription) -> None:
        """Its group is gone."""
        await self._store.transact([Remove(RECORD_KIND, subscription.key), Remove(CURSOR_KIND, subscription.key)])
        self._by_key.pop(subscription.key, None)
        self.changed()

    # -- the operations ----------------------------------------------------------------------------------------------

    async def _put(self, call: Call) -> None:
        params = call.params
        group = await self._group(call)
        filter_of(params["filterPattern"])
        for member in _NOT_HERE:
            if params.get(member):
                raise NotImplementedException(f"Subscription filters with {member} do not exist here.")
        wanted = Subscription(
            account=call.account,
            region=call.region,
            group=group.name,
            group_id=group.id,
            group_created_ms=group.created_ms,
            name=params["filterName"],
            pattern=params["filterPattern"],
            destination_arn=params["destinationArn"],
            distribution=params.get("distribution", "ByLogStream"),
            created_ms=self._clock.time_ms(),
        )
        self._check_destination(wanted, params.get("roleArn"))
        others = [held for held in self._of(call, group) if held.name != wanted.name]
        if len(others) >= MOST_FILTERS:
            raise LimitExceededException("Resource limit exceeded.")
        before = self._by_key.get(wanted.key)
        changes: list[Put | Remove] = []
        if before is not None and before.is_of(group):
            wanted = msgspec.structs.replace(wanted, created_ms=before.created_ms)
        else:  # from now on; an updated filter goes on where it is
            last_block = await self._log_store.read(lambda database: database.run("last_block")[0][0])
            changes.append(Put(CURSOR_KIND, wanted.key, str(last_block).encode()))
        changes.append(Put(RECORD_KIND, wanted.key, msgspec.json.encode(wanted)))
        await self._store.transact(changes)
        self._by_key[wanted.key] = wanted
        self.changed()

    async def _describe(self, call: Call) -> dict[str, Any]:
        params = call.params
        group = await self._group(call)
        prefix: str = params.get("filterNamePrefix", "")
        limit: int = params.get("limit", 50)
        (after,) = decode_token(params.get("nextToken"), str) or ("",)
        found = [held for held in self._of(call, group) if held.name.startswith(prefix) and held.name > after]
        described = [
            {
                "filterName": held.name,
                "logGroupName": held.group,
                "filterPattern": held.pattern,
                "destinationArn": held.destination_arn,
                "distribution": held.distribution,
                "applyOnTransformedLogs": False,
                "creationTime": held.created_ms,
            }
            for held in found[:limit]
        ]
        more = encode_token(found[limit - 1].name) if len(found) > limit else None
        return {"subscriptionFilters": described, "nextToken": more}

    async def _delete(self, call: Call) -> None:
        group = await self._group(call)
        for held in self._of(call, group):
            if held.name == call.params["filterName"]:
                await self.forget(held)
                return
        raise LogsResourceNotFoundException("The specified subscription filter does not exist.")

    async def _group(self, call: Call) -> GroupRow:
        def find(database: LogDatabase) -> GroupRow:
            group = database.group(call.account, call.region, call.params["logGroupName"])
            if group is None:
                raise no_group()
            return group

        return await self._log_store.read(find)

    def _of(self, call: Call, group: GroupRow) -> list[Subscription]:
        mine = [
            held
            for held in self._by_key.values()
            if (held.account, held.region) == (call.account, call.region) and held.is_of(group)
        ]
        return sorted(mine, key=lambda held: held.name)

    def _check_destination(self, wanted: Subscription, role_arn: str | None) -> None:
        parts = wanted.destination_arn.split(":", 6)
        if parts[0] != "arn" or len(parts) < 6:
            raise InvalidParameterException(f"Invalid destinationArn: {wanted.destination_arn}")
        vendor = parts[2]
        if vendor not in ("lambda", "kinesis", "firehose", "logs"):
            raise InvalidParameterException(
                f"PutSubscriptionFilter operation cannot work with destinationArn for vendor {vendor}"
            )
        if vendor in ("kinesis", "firehose") and role_arn is None:
            raise InvalidParameterException(f"destinationArn for vendor {vendor} cannot be used without roleArn")
        if vendor != "lambda":
            raise NotImplementedException(
                f"Subscription filters deliver to Lambda functions; destinations of {vendor} do not exist here."
            )
        if role_arn is not None:
            raise InvalidParameterException("destinationArn for vendor lambda cannot be used with roleArn")
        if len(parts) < 7 or parts[5] != "function" or (parts[3], parts[4]) != (wanted.region, wanted.account):
            raise InvalidParameterException(
                "The destination function must be in the same account and Region as the log group."
            )
        region, account, name, qualifier = _function(wanted.destination_arn)
        try:
            permitted = self._permitted(account, region, name, qualifier, wanted.source_arn)
        except AwsError:
            permitted = False
        if not permitted:
            raise InvalidParameterException(
                "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute "
                "your function."
            )
        if self.loops(wanted):
            raise InvalidParameterException(
                "The log group provided is reserved for the function logs of the destination function."
            )

    def _permitted(self, account: str, region: str, function: str, qualifier: str | None, source_arn: str) -> bool:
        """By either of the names that CloudWatch Logs goes by. Raises ResourceNotFoundException."""
        version = self._resolve(account, region, function, qualifier)
        owner = source_arn.split(":")[4]
        return any(
            self._may_invoke(version, qualifier, principal, source_arn, owner)
            for principal in (PRINCIPAL, f"logs.{region}.amazonaws.com")
        )


def _function(arn: str) -> tuple[str, str, str, str | None]:
    """Region, account, name and qualifier."""
    _, _, _, region, account, _, name = arn.split(":", 6)
    name, _, qualifier = name.partition(":")
    return region, account, name, qualifier or None
