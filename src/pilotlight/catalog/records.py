"""Control-plane records: what operations write, what the data plane reads. Frozen; a change is a new value.

A `FunctionVersion` is one row of `ListVersionsByFunction` ($LATEST or a number) and at once everything the data plane
needs to run it. A `Function` is what belongs to the name: policies, tags, the next version number.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import msgspec

from pilotlight.catalog.attached import (
    Alias,
    EventInvokeConfig,
    ProvisionedConcurrency,
    RuntimeManagement,
    ScalingConfig,
    UrlConfig,
)
from pilotlight.catalog.names import LATEST, LATEST_PUBLISHED, function_arn, partition
from pilotlight.store.elf import NativeFile

__all__ = ["LATEST", "LATEST_PUBLISHED", "RUNTIME_VERSION", "Function", "FunctionLayer", "FunctionVersion", "S3Object"]

#: AWS counts the builds of a runtime; here there is one
RUNTIME_VERSION = "v1"


class FunctionLayer(msgspec.Struct, frozen=True):
    """One layer version as a function uses it: kept whole, so that deleting the layer version changes nothing here."""

    arn: str
    """Of the layer version."""
    code_size: int
    """Bytes of the package as uploaded."""
    code_blob: str
    """Hex SHA-256 of the stored package."""
    unzipped_size: int = 0
    native: NativeFile | None = None
    """One of its compiled files, when it has any."""


class S3Object(msgspec.Struct, frozen=True):
    """One version of an object: what a function that only refers to its package (S3ObjectStorageMode) refers to."""

    bucket: str
    key: str
    version: str


class FunctionVersion(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    account: str
    region: str
    name: str
    version: str = LATEST
    runtime: str = ""
    """Empty for a container image, as `handler` is."""
    handler: str = ""
    role: str
    description: str = ""
    package_type: str = "Zip"
    architecture: str = "x86_64"
    memory_mib: int = 128
    timeout_s: int = 3
    tmp_mib: int = 512
    environment: dict[str, str] = {}
    environment_given: bool = False
    """The API shows Environment once a client has given one, even an empty one, and leaves it out before."""
    layers: tuple[FunctionLayer, ...] = ()
    """In the order in which they are laid over /opt."""
    code_blob: str
    """Hex SHA-256 of the stored package: its name in the blob store; "" for a container image."""
    code_sha256: str
    """As the API shows it: base64 SHA-256 of a package, the hex digest of a container image."""
    code_size: int
    """Bytes of the package as uploaded; 0 for a container image."""
    unzipped_size: int = 0
    """Bytes of the package unpacked."""
    s3_object: S3Object | None = None
    """Where the package is kept by its owner (S3ObjectStorageMode REFERENCE); None: it was copied."""
    source_kms_key_arn: str = ""
    image_uri: str = ""
    """As given; "" for a zip package."""
    resolved_image_uri: str = ""
    """The same image by its digest."""
    snap_start: str = "None"
    """SnapStart.ApplyOn."""
    log_group: str = ""
    log_format: str = "Text"
    application_log_level: str = ""
    system_log_level: str = ""
    tracing: str = "PassThrough"
    state: str = "Active"
    state_reason: str = ""
    state_reason_code: str = ""
    last_update_status: str = "Successful"
    last_update_status_reason: str = ""
    last_update_status_reason_code: str = ""
    settles_at_ms: int = 0
    """When Pending / InProgress ends; 0 when settled."""
    revision_id: str = ""
    last_modified_ms: int = 0
    generation: int = 0
    """Grows with each change of code or configuration: environments of an older generation are retired."""
    published_from: str = ""
    """Of a published version: the `fingerprint` $LATEST had then, so that an unchanged one is not published again."""
    held: dict[str, Any] = {}
    """Members of FunctionConfiguration held and shown as they stand here, whose engine, where they have one, does not
    exist yet (`catalog/held.py` says which of them keep the function from running): VpcConfig, DeadLetterConfig ..."""

    @property
    def number(self) -> int:
        """What versions of a function are listed by: $LATEST, $LATEST.PUBLISHED, then 1 and so on."""
        if self.version == LATEST:
            return -1
        return 0 if self.version == LATEST_PUBLISHED else int(self.version)

    @property
    def stored_bytes(self) -> int:
        """What counts against the account's code storage: nothing when its owner keeps the package."""
        return 0 if self.s3_object is not None else self.unzipped_size

    @property
    def function_arn(self) -> str:
        """The unqualified ARN."""
        return function_arn(self.account, self.region, self.name)

    @property
    def qualified_arn(self) -> str:
        return f"{self.function_arn}:{self.version}"

    @property
    def runtime_version_arn(self) -> str:
        """An ARN of AWS's form, the same for the same runtime and the one INIT_START logs: AWS's own hash names an
        image we do not have."""
        digest = hashlib.sha256(f"{self.runtime}:{RUNTIME_VERSION}".encode()).hexdigest()
        return f"arn:{partition(self.region)}:lambda:{self.region}::runtime:{digest}"

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of code and configuration: what publishing compares. States, dates and revisions are left out."""
        neutral = msgspec.structs.replace(
            self,
            version="",
            state="",
            state_reason="",
            state_reason_code="",
            last_update_status="",
            last_update_status_reason="",
            last_update_status_reason_code="",
            settles_at_ms=0,
            revision_id="",
            last_modified_ms=0,
            generation=0,
            published_from="",
        )
        return hashlib.sha256(msgspec.msgpack.encode(neutral, order="deterministic")).hexdigest()

    @property
    def log_group_name(self) -> str:
        return self.log_group or f"/aws/lambda/{self.name}"

    def log_stream_name(self, started_ms: int, environment_id: str) -> str:
        """Of an environment started then; in a group that functions may share, with the function's name."""
        day = time.strftime("%Y/%m/%d", time.gmtime(started_ms / 1000))
        if self.log_group:
            return f"{day}/{self.name}[{self.version}][{environment_id}]"
        return f"{day}/[{self.version}]{environment_id}"


class Function(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    region: str
    name: str
    next_version: int = 1
    created_ms: int = 0
    tags: dict[str, str] = {}
    policies: dict[str, tuple[dict[str, Any], ...]] = {}
    """Qualifier ("" for the unqualified function) -> the statements of its resource policy, as the API shows them."""
    policy_heads: dict[str, dict[str, Any]] = {}
    """Of policies given as whole documents: what these hold beside the statements (Version, Id)."""
    aliases: dict[str, Alias] = {}
    urls: dict[str, UrlConfig] = {}
    """By alias, "" for the unqualified function."""
    event_invokes: dict[str, EventInvokeConfig] = {}
    """By version or alias, $LATEST for the unqualified function."""
    reserved_concurrency: int | None = None
    provisioned: dict[str, ProvisionedConcurrency] = {}
    """By version or alias."""
    runtime_management: dict[str, RuntimeManagement] = {}
    """By version."""
    recursive_loop: str = "Terminate"
    scaling: dict[str, ScalingConfig] = {}
    """By version ($LATEST.PUBLISHED included)."""
    code_signing_config_arn: str = ""
    generation: int = 0
