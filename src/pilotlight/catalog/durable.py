"""Durable executions as records: what each was started with, its operations so far, its history.

One record per execution, a new value with every change. What happens to it stands beside it, pure, so that whoever
executes durable functions can call it from any room: `durable_life` (start, invocations, pause, end, and what the
clock brings), `durable_updates` (checkpoints), `durable_tokens`; `durable_start` makes the record. Nothing
executes them yet.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog.names import durable_execution_arn, function_arn

DURABLE_EXECUTION = "lambda.durable-execution"

#: the statuses of an execution, and those each may be followed by
STATUSES: dict[str, frozenset[str]] = {
    "RUNNING": frozenset({"PAUSING", "PAUSED", "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"}),
    "PAUSING": frozenset({"RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"}),
    "PAUSED": frozenset({"RUNNING", "TIMED_OUT", "STOPPED"}),
    "SUCCEEDED": frozenset({"DELETING"}),
    "FAILED": frozenset({"DELETING"}),
    "TIMED_OUT": frozenset({"DELETING"}),
    "STOPPED": frozenset({"DELETING"}),
    "DELETING": frozenset(),
}
ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"})

DAY_MS = 86_400_000
#: an execution whose timeout is paused still ends so long after its start (PauseDurableExecution)
LONGEST_MS = 366 * DAY_MS

#: ErrorObject of the model, by its member names
Error = dict[str, Any]


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step, a wait, a callback and so on; a default means that the API leaves the member out."""

    id: str
    type: str
    status: str
    started_ms: int
    ended_ms: int = 0
    parent_id: str = ""
    name: str = ""
    sub_type: str = ""
    changed: int = 0
    """Counts up over all changes of the execution: what changed after its `seen` is news to the function."""
    result: str | None = None
    error: Error | None = None
    replay_children: bool | None = None
    """CONTEXT: its children belong to the state although it has ended."""
    attempt: int = 0
    """STEP: attempts that have ended."""
    next_attempt_ms: int = 0
    """STEP, PENDING: when it becomes READY."""
    scheduled_end_ms: int = 0
    """WAIT."""
    callback_id: str = ""
    callback_due_ms: int = 0
    """CALLBACK: when it times out; 0 is never."""
    heartbeat_s: int = 0
    heartbeat_due_ms: int = 0
    """CALLBACK: when it times out unless a heartbeat comes; 0 is never."""
    function_name: str = ""
    """CHAINED_INVOKE: what to invoke, as the function named it."""
    tenant_id: str = ""
    trace_id: str = ""
    input: str | None = None
    """EXECUTION and CHAINED_INVOKE."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of the history."""

    id: int
    """1, 2, 3 ..."""
    type: str
    at_ms: int
    operation_id: str = ""
    name: str = ""
    sub_type: str = ""
    parent_id: str = ""
    details: dict[str, Any] = {}
    """Members of its ...Details by their model names; timestamps in epoch ms. Without the one below."""
    data_name: str = ""
    """Input, Result, Error or Reason: the member that is execution data, and so may be asked to be left out."""
    data: Any = None
    """Its Payload."""


class Pause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    requested_ms: int
    paused_ms: int = 0
    """When it took effect; 0 while an invocation has not come to its next checkpoint."""
    reason: str | None = None
    timeout_paused: bool = True


class Repeatable(msgspec.Struct, frozen=True):
    """A call with a ClientToken: the same one, within 15 minutes, is answered and not carried out again."""

    client_token: str
    digest: str
    """Of its parameters."""
    at_ms: int
    answer: dict[str, Any] = {}
    operations: tuple[Operation, ...] = ()


class DurableExecution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    region: str
    id: str
    """Unique; the last part of its ARN."""
    function: str
    version: str
    """A published version or $LATEST: pinned for all of its invocations."""
    name: str
    """Given by the client, or made up; one execution of a function has it at a time."""
    status: str = "RUNNING"
    started_ms: int
    ended_ms: int = 0
    input: str | None = None
    result: str | None = None
    error: Error | None = None
    trace_id: str = ""
    timeout_s: int
    retention_days: int
    kms_key_arn: str = ""
    synchronous: bool = False
    """Started by a RequestResponse invocation: its result may be larger."""
    operations: dict[str, Operation] = {}
    """By id, in the order they were started; the first is the execution itself."""
    events: tuple[Event, ...] = ()
    written_bytes: int = 0
    """Payloads and errors written so far, the input with them."""
    change: int = 0
    """The last number given to a change of an operation."""
    seen: int = 0
    """The last change the function has been told of."""
    invocation: str = ""
    """The secret of the invocation that runs now and may write checkpoints; "" when none does."""
    invocation_started_ms: int = 0
    sequence: int = 0
    """Of the checkpoint token that is valid now."""
    last_checkpoint: Repeatable | None = None
    last_pause: Repeatable | None = None
    last_resume: Repeatable | None = None
    pause: Pause | None = None
    paused_total_ms: int = 0
    """Time spent in pauses that also paused the timeout."""
    deletion_requested_ms: int = 0
    settles_at_ms: int = 0
    """When DELETING ends; 0 otherwise."""

    @property
    def key(self) -> str:
        """Its name among the records of its account and region: what makes names unique for a function."""
        return key(self.function, self.name)

    @property
    def arn(self) -> str:
        return durable_execution_arn(self.account, self.region, self.function, self.version, self.name, self.id)

    @property
    def function_arn(self) -> str:
        """Of the version that runs: qualified even by $LATEST."""
        return function_arn(self.account, self.region, self.function, self.version)

    @property
    def times_out_ms(self) -> int:
        """When it times out, as things stand."""
        longest_ms = self.started_ms + LONGEST_MS
        if self.pause is not None and self.pause.paused_ms and self.pause.timeout_paused:
            return longest_ms
        return min(self.started_ms + self.timeout_s * 1000 + self.paused_total_ms, longest_ms)

    @property
    def forgotten_ms(self) -> int:
        """When its retention ends; 0 while it has not ended."""
        return self.ended_ms + self.retention_days * DAY_MS if self.ended_ms else 0


def key(function: str, name: str) -> str:
    return f"{function}:{name}"


def settled(execution: DurableExecution) -> None:
    """What settles is being deleted, and then gone."""
    return
