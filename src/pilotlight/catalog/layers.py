"""Layers: one record per layer name, holding all of its versions, so that numbers are never given twice."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog.records import S3Object
from pilotlight.store.elf import NativeFile

LAYER = "lambda.layer"


class LayerVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    version: int
    description: str = ""
    created_ms: int = 0
    compatible_runtimes: tuple[str, ...] | None = None
    """None: not given."""
    compatible_architectures: tuple[str, ...] | None = None
    license_info: str | None = None
    code_blob: str
    """Hex SHA-256 of the stored package."""
    code_sha256: str
    """Base64 SHA-256."""
    code_size: int
    """Bytes as uploaded."""
    unzipped_size: int = 0
    s3_object: S3Object | None = None
    """Where the package is kept by its owner (S3ObjectStorageMode REFERENCE); None: it was copied."""
    native: NativeFile | None = None
    """One of its compiled files, when it has any: what an architecture can or cannot run."""
    statements: tuple[dict[str, Any], ...] = ()
    """Its resource policy, as the API shows it."""
    policy_revision_id: str = ""

    @property
    def stored_bytes(self) -> int:
        """What counts against the account's code storage."""
        return 0 if self.s3_object is not None else self.unzipped_size


class Layer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    region: str
    name: str
    next_version: int = 1
    versions: dict[int, LayerVersion] = {}

    @property
    def stored_bytes(self) -> int:
        return sum(version.stored_bytes for version in self.versions.values())
