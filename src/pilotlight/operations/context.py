"""What operations work with: the parts of the node they are handed, as one value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pilotlight.catalog.catalog import Catalog
from pilotlight.clock import Clock
from pilotlight.environments.provisioned import Allocation
from pilotlight.operations.code_location import CodeLocation
from pilotlight.settings import Settings
from pilotlight.store.blobs import Blobs
from pilotlight.store.packages import Packages
from pilotlight.wire.messages import Call


class RuntimesCheck(Protocol):
    def check(self, runtime: str, architecture: str) -> None:
        """Raise InvalidParameterValueException, with a sentence, when this machine cannot run `runtime`."""
        ...


class Provisioned(Protocol):
    def allocation(self, account: str, region: str, name: str, qualifier: str) -> Allocation:
        """How far the provisioned concurrency of an existing function's qualifier has come."""
        ...


class EventSources(Protocol):
    """What event source mappings read from, as far as it stands next door and can be asked."""

    async def queue_attributes(self, arn: str) -> Mapping[str, str] | None:
        """By SQS's names; None when there is no SQS to ask. InvalidParameterValueException, as Lambda words it, when
        SQS refuses."""
        ...

    async def has_stream(self, arn: str) -> bool:
        """Of Kinesis (a stream, or a consumer of one) or DynamoDB; True when there is nobody to ask."""
        ...


CodeFromS3 = Callable[[str, str, str, str, "str | None"], AsyncIterator[bytes]]
"""(account, region, bucket, key, object version) -> the object's bytes, in pieces. What S3 refuses is raised while
iterating, as Lambda words it: InvalidParameterValueException, or AccessDeniedException."""


@dataclass(frozen=True)
class OperationsContext:
    settings: Settings
    clock: Clock
    catalog: Catalog
    blobs: Blobs
    packages: Packages
    runtimes: RuntimesCheck
    code_from_s3: CodeFromS3
    code_location: CodeLocation
    event_sources: EventSources
    provisioned: Provisioned
    concurrency_changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever divides an account's concurrency, so that no two give away the last of it."""

    def host(self, call: Call) -> str:
        """The authority the client used, for addresses that are to work from where it is."""
        return call.host or f"{self.settings.host}:{self.settings.port}"
