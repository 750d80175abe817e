"""A control plane with one of everything, kept so: what generated calls delete is made again."""

from __future__ import annotations

import contextlib
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.catalog.durable import DurableExecution
from pilotlight.catalog.durable_tokens import checkpoint_token
from tests.operations.conftest import CODE, OTHER_CODE, ROLE, function_params
from tests.operations.durable import Durable, update
from tests.operations.plane import Plane
from tests.property.inputs import ACCOUNT, ARN, REGION, Ref

#: what is made with each function and can be deleted by itself
_VERSIONS = {"p-full": {"1", "2"}, "p-durable": {"1"}, "p-managed": {"$LATEST.PUBLISHED"}}


class World:
    """`mend` it before a test, and after whatever may have taken something away."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.client = plane.client()
        plane.buckets.objects["p-bucket", "p-key.zip", None] = CODE
        self._durable: Durable | None = None
        self._running: DurableExecution | None = None
        self._ended = ""
        self._starts = 0

    def mend(self) -> None:
        """Make what is missing, and take away what there is too much of."""
        for view in self.plane.catalog.functions(ACCOUNT, REGION):
            # A version that has gone never comes back: the function is made anew.
            if view.function.name.startswith("p-new") or not _VERSIONS.get(view.function.name, set()) <= set(
                view.versions
            ):
                self.client.delete_function(FunctionName=view.function.name)
        layer = self.plane.catalog.layers.get(ACCOUNT, REGION, "p-layer")
        if layer is None or not layer.versions or not layer.versions[max(layer.versions)].statements:
            self._layer()
        if not self.plane.catalog.code_signing_configs.all(ACCOUNT, REGION):
            profile = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p/abcdefghij"
            self.client.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": [profile]})
        if not self.plane.catalog.capacity_providers.get(ACCOUNT, REGION, "p-provider"):
            self.client.create_capacity_provider(
                CapacityProviderName="p-provider",
                VpcConfig={"SubnetIds": ["subnet-0123456789abcdef0"], "SecurityGroupIds": ["sg-0123456789abcdef0"]},
                PermissionsConfig={"CapacityProviderOperatorRoleArn": ROLE},
            )
        self._functions()
        if not self.plane.catalog.event_source_mappings.all(ACCOUNT, REGION):
            queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:p-first-queue"
            self.client.create_event_source_mapping(FunctionName="p-plain", EventSourceArn=queue)
        self._executions()

    def resolved(self, value: Any) -> Any:
        """`value` with what exists now in the place of each `Ref`."""
        if isinstance(value, Ref):
            return self._find(value.name)
        if isinstance(value, dict):
            return {self.resolved(key): self.resolved(inside) for key, inside in value.items()}
        if isinstance(value, list):
            return [self.resolved(inside) for inside in value]
        return value

    def _find(self, name: str) -> Any:
        catalog = self.plane.catalog
        match name:
            case "mapping" | "mapping arn":
                mappings = catalog.event_source_mappings.all(ACCOUNT, REGION)
                uuid = mappings[0].uuid if mappings else "00000000-0000-0000-0000-000000000000"
                return uuid if name == "mapping" else f"{ARN}:event-source-mapping:{uuid}"
            case "code signing":
                configs = catalog.code_signing_configs.all(ACCOUNT, REGION)
                return f"{ARN}:code-signing-config:{configs[0].id if configs else 'csc-0123456789abcdef0'}"
            case "provider arn":
                return f"{ARN}:capacity-provider:p-provider"
            case "layer version" | "layer version number":
                layer = catalog.layers.get(ACCOUNT, REGION, "p-layer")
                number = max(layer.versions, default=1) if layer else 1
                return number if name == "layer version number" else f"{ARN}:layer:p-layer:{number}"
            case "revision":
                view = catalog.function(ACCOUNT, REGION, "p-full")
                return view.latest.revision_id if view else "none"
            case "execution" | "checkpoint token" | "callback":
                running = self._current()
                return {
                    "execution": running.arn,
                    "checkpoint token": checkpoint_token(running),
                    "callback": running.operations["p-callback"].callback_id,
                }[name]
            case "paused execution":
                return self._paused()
            case _:
                return self._ended

    def _functions(self) -> None:
        client, catalog = self.client, self.plane.catalog
        view = catalog.function(ACCOUNT, REGION, "p-full")
        if view is None:
            client.create_function(**function_params("p-full", Publish=True, Environment={"Variables": {"AB": "c"}}))
        else:
            client.delete_function_concurrency(FunctionName="p-full")
            client.delete_function_code_signing_config(FunctionName="p-full")
        with contextlib.suppress(ClientError):
            client.add_permission(
                FunctionName="p-full", StatementId="s1", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
            )
        with contextlib.suppress(ClientError):  # whatever was done to it, what can be made again is
            self._second_version()
        for alias, version in (("prod", "1"), ("canary", "2")):
            with contextlib.suppress(ClientError):
                client.create_alias(FunctionName="p-full", Name=alias, FunctionVersion=version)
        with contextlib.suppress(ClientError):
            client.put_provisioned_concurrency_config(
                FunctionName="p-full", Qualifier="canary", ProvisionedConcurrentExecutions=1
            )
        for function in ("p-full", "p-full:prod"):
            client.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=1)
        with contextlib.suppress(ClientError):
            client.create_function_url_config(FunctionName="p-full", AuthType="NONE")
        if catalog.function(ACCOUNT, REGION, "p-plain") is None:
            client.create_function(**function_params("p-plain"))

        if catalog.function(ACCOUNT, REGION, "p-managed") is None:
            client.create_function(
                **function_params(
                    "p-managed",
                    Runtime="python3.13",
                    MemorySize=2048,
                    Publish=True,
                    PublishTo="LATEST_PUBLISHED",
                    CapacityProviderConfig={
                        "LambdaManagedInstancesCapacityProviderConfig": {
                            "CapacityProviderArn": f"{ARN}:capacity-provider:p-provider"
                        }
                    },
                )
            )

    def _second_version(self) -> None:
        view = self.plane.catalog.function(ACCOUNT, REGION, "p-full")
        if view is not None and view.function.next_version < 3:
            self.client.update_function_code(FunctionName="p-full", ZipFile=OTHER_CODE)
            self.client.publish_version(FunctionName="p-full")

    def _layer(self) -> None:
        published = self.client.publish_layer_version(LayerName="p-layer", Content={"ZipFile": CODE})
        self.client.add_layer_version_permission(
            LayerName="p-layer",
            VersionNumber=published["Version"],
            StatementId="s1",
            Action="lambda:GetLayerVersion",
            Principal="*",
        )

    # -- durable executions -------------------------------------------------------------------------------------------

    def _executions(self) -> None:
        if self.plane.catalog.function(ACCOUNT, REGION, "p-durable") is None:
            self._durable = Durable(self.plane, "p-durable")
            self._running = None
        if not self._ended or not self._exists(self._ended):
            ended = self._started()
            self.client.stop_durable_execution(DurableExecutionArn=ended.arn)
            self._ended = ended.arn
        self._current()

    def _paused(self) -> str:
        paused = self._started()
        self.client.pause_durable_execution(DurableExecutionArn=paused.arn)
        return paused.arn

    def _exists(self, arn: str) -> bool:
        return any(found.arn == arn for found in self.plane.catalog.durable_executions.all(ACCOUNT, REGION))

    def _current(self) -> DurableExecution:
        """One that runs, with an invocation in progress and a callback."""
        found = self._running and self.plane.catalog.durable_executions.get(ACCOUNT, REGION, self._running.key)
        if not found or not _is_usable(found):
            found = self._started()
        self._running = found
        return found

    def _started(self) -> DurableExecution:
        assert self._durable is not None
        self._starts += 1
        run = self._durable.running(f"p-run-{self._starts}")
        run.checkpoint(update("p-callback", "CALLBACK", "START"))
        found = self.plane.catalog.durable_executions.get(ACCOUNT, REGION, run.execution.key)
        assert found is not None
        return found


def _is_usable(execution: DurableExecution) -> bool:
    """It runs, may be written to, has room, and its callback still waits."""
    waits = execution.operations["p-callback"].status == "STARTED"
    return execution.status == "RUNNING" and bool(execution.invocation) and waits and len(execution.operations) < 100
