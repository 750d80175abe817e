"""A function's code: fetched from the request or from S3, checked, and stored before anything refers to it.

A package whose function is then refused stays behind as an unreferenced blob; `collection.py` removes those. Source:
CreateFunction and UpdateFunctionCode, quotas, errors recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from pilotlight.catalog.records import S3Object
from pilotlight.errors import (
    CodeStorageExceededException,
    InvalidParameterValueException,
    RequestEntityTooLargeException,
    ServiceException,
)
from pilotlight.operations.context import OperationsContext
from pilotlight.store.blobs import BlobTooLarge
from pilotlight.store.elf import NativeFile
from pilotlight.store.interface import StoreError
from pilotlight.store.zips import PackageInfo
from pilotlight.wire.messages import Call

Params = Mapping[str, Any]

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class StoredCode(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a `FunctionVersion` that new code sets, all of them: what a client does not name is reset."""

    code_blob: str
    code_sha256: str
    code_size: int
    unzipped_size: int
    s3_object: S3Object | None = None
    source_kms_key_arn: str = ""
    image_uri: str = ""
    resolved_image_uri: str = ""

    @property
    def stored_bytes(self) -> int:
        """What counts against the account's code storage."""
        return 0 if self.s3_object is not None else self.unzipped_size


async def store_package(
    context: OperationsContext, call: Call, code: Params, check: Callable[[PackageInfo], None] = lambda info: None
) -> tuple[StoredCode, PackageInfo]:
    """Fetch, check and store the zip that `code` (FunctionCode, or LayerVersionContentInput) names; `check` raises when
    what is in it will not do."""
    source = _source(context, call, code)
    try:
        if isinstance(source, bytes):
            info = await context.packages.check(source)
            check(info)
            blob = await context.blobs.put(source)
        else:
            blob = await context.blobs.put(source, limit_bytes=context.settings.max_unzipped_bytes)
            info = await context.packages.check(context.blobs.path(blob.sha256_hex))
            check(info)
    except BlobTooLarge as error:
        raise InvalidParameterValueException(f"Unzipped size must be smaller than {error.limit_bytes} bytes") from error
    except StoreError as error:
        raise ServiceException(f"The code could not be stored: {error}") from error
    stored = StoredCode(
        code_blob=blob.sha256_hex,
        code_sha256=blob.sha256_base64,
        code_size=blob.size,
        unzipped_size=info.unzipped_size,
    )
    return stored, info


def referred_to(code: Params, *, of_layer: bool = False) -> S3Object | None:
    """The object a package is to be referred to in, instead of copied (S3ObjectStorageMode REFERENCE).

    What is held here: which object it is, so that GetFunction names it and its size is not counted, and a copy of the
    package, read once, that the function runs from. AWS reads the object again when it starts environments, and makes
    the function Inactive once it may not; here it goes on running. A layer's object needs no version.
    """
    if code.get("S3ObjectStorageMode", "COPY") != "REFERENCE":
        return None
    bucket, key, version = code.get("S3Bucket"), code.get("S3Key"), code.get("S3ObjectVersion")
    if not bucket or not key or not (version or of_layer):
        needed = "S3Bucket and S3Key" if of_layer else "S3Bucket, S3Key and S3ObjectVersion"
        raise InvalidParameterValueException(f"{needed} are required when S3ObjectStorageMode is REFERENCE.")
    return S3Object(bucket, key, version or "")


def _source(context: OperationsContext, call: Call, code: Params) -> bytes | AsyncIterator[bytes]:
    zip_file: bytes | None = code.get("ZipFile")
    bucket, key = code.get("S3Bucket"), code.get("S3Key")
    if zip_file is not None and (bucket or key or code.get("S3ObjectVersion")):
        raise InvalidParameterValueException(
            "Please do not provide other FunctionCode parameters when providing a ZipFile."
        )
    if zip_file:
        limit = context.settings.max_zipped_bytes
        if len(zip_file) > limit:
            raise RequestEntityTooLargeException(f"Zipped size must be smaller than {limit} bytes")
        return zip_file
    if not bucket or not key:
        raise InvalidParameterValueException("Please provide a source for function code.")
    return context.code_from_s3(call.account, call.region, bucket, key, code.get("S3ObjectVersion"))


def check_architecture(native: Sequence[NativeFile], architecture: str) -> None:
    """A function for the other architecture may run here when nothing in its package is compiled; else refuse it."""
    machine = platform.machine()
    if _ARCHITECTURES.get(machine.lower()) == architecture or not native:
        return
    compiled = native[0]
    raise InvalidParameterValueException(
        f"This node is {machine} and cannot run the {architecture} function's compiled file {compiled.path} "
        f"({compiled.machine}). Create it with the architecture {_ARCHITECTURES.get(machine.lower(), machine)} and a "
        "package built for that, or leave compiled files out."
    )


def check_storage(context: OperationsContext, call: Call, more_bytes: int) -> None:
    """Whether the account may store that much more (bytes unpacked)."""
    used = context.catalog.code_bytes(call.account, call.region)
    if used + more_bytes > context.settings.code_storage_bytes:
        raise CodeStorageExceededException("Code storage limit exceeded.")
