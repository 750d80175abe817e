"""Durable executions for tests: started and invoked as the engine will, on a plane whose clock the test holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotlight.catalog import durable_life
from pilotlight.catalog.durable import DurableExecution
from pilotlight.catalog.durable_start import start_execution
from pilotlight.catalog.durable_tokens import checkpoint_token
from pilotlight.catalog.records import FunctionVersion
from tests.operations.conftest import function_params
from tests.operations.plane import Plane

ACCOUNT, REGION = "000000000000", "us-east-1"
CONFIG = {"ExecutionTimeout": 3600, "RetentionPeriodInDays": 7}


class Durable:
    """One durable function, and what an engine would do with it."""

    def __init__(self, plane: Plane, function: str = "thumb", **config: Any) -> None:
        self.plane = plane
        self.function = function
        self.client = plane.client()
        self.client.create_function(**function_params(function, Publish=True, DurableConfig={**CONFIG, **config}))

    def version(self, number: str = "1") -> FunctionVersion:
        view = self.plane.catalog.function(ACCOUNT, REGION, self.function)
        assert view is not None
        return view.versions[number]

    def start(
        self, name: str | None = None, input: str | None = '{"a": 1}', *, number: str = "1", synchronous: bool = False
    ) -> DurableExecution:
        return self.plane.run(
            start_execution(
                self.plane.catalog,
                self.version(number),
                name=name,
                input=input,
                synchronous=synchronous,
                now_ms=self.plane.clock.time_ms(),
            )
        )

    def invoke(self, execution: DurableExecution) -> str:
        """An invocation begins; its checkpoint token."""
        now_ms = self.plane.clock.time_ms()
        return checkpoint_token(self._change(execution, lambda found: durable_life.invocation_begun(found, now_ms)))

    def complete(self, execution: DurableExecution, error: dict[str, Any] | None = None) -> None:
        now_ms = self.plane.clock.time_ms()
        self._change(execution, lambda found: durable_life.invocation_completed(found, "request-1", error, now_ms))

    def running(self, name: str | None = None, **options: Any) -> Run:
        execution = self.start(name, **options)
        return Run(self, execution, self.invoke(execution))

    def _change(
        self, execution: DurableExecution, change: Callable[[DurableExecution], DurableExecution]
    ) -> DurableExecution:
        def decide(found: DurableExecution | None) -> tuple[DurableExecution, DurableExecution]:
            now = durable_life.as_of(found, self.plane.clock.time_ms()) if found else None
            assert now is not None
            changed = change(now)
            return changed, changed

        executions = self.plane.catalog.durable_executions
        return self.plane.run(executions.change(ACCOUNT, REGION, execution.key, decide))


class Run:
    """An execution with an invocation in progress, and the function's side of it."""

    def __init__(self, durable: Durable, execution: DurableExecution, token: str) -> None:
        self.durable = durable
        self.client = durable.client
        self.execution = execution
        self.arn = execution.arn
        self.token = token

    def checkpoint(self, *updates: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        """The operations that are news; the token that comes with them is kept for the next."""
        answer = self.client.checkpoint_durable_execution(
            DurableExecutionArn=self.arn, **{"CheckpointToken": self.token, "Updates": list(updates), **options}
        )
        self.token = answer.get("CheckpointToken", "")
        return answer["NewExecutionState"]["Operations"]

    def get(self, **options: Any) -> dict[str, Any]:
        return self.client.get_durable_execution(DurableExecutionArn=self.arn, **options)

    def history(self, **options: Any) -> list[dict[str, Any]]:
        return self.client.get_durable_execution_history(DurableExecutionArn=self.arn, **options)["Events"]

    def event_types(self) -> list[str]:
        return [event["EventType"] for event in self.history()]

    def state(self, **options: Any) -> list[dict[str, Any]]:
        return self.client.get_durable_execution_state(
            DurableExecutionArn=self.arn, **{"CheckpointToken": self.token, **options}
        )["Operations"]


def update(id: str, type: str, action: str, **members: Any) -> dict[str, Any]:
    return {"Id": id, "Type": type, "Action": action, **members}


def step(id: str, action: str, **members: Any) -> dict[str, Any]:
    return update(id, "STEP", action, **members)
