"""What operations work with: the parts of the node they are handed, as one value."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from pilotlight.catalog.catalog import Catalog
from pilotlight.clock import Clock
from pilotlight.operations.code_location import CodeLocation
from pilotlight.settings import Settings
from pilotlight.store.blobs import Blobs
from pilotlight.store.packages import Packages


class RuntimesCheck(Protocol):
    def check(self, runtime: str, architecture: str) -> None:
        """Raise InvalidParameterValueException, with a sentence, when this machine cannot run `runtime`."""
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
