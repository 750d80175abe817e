"""A function's code: fetched from the request or from S3, checked, and stored before anything refers to it.

A package whose function is then refused stays behind as an unreferenced blob; `collection.py` removes those. Source:
CreateFunction and UpdateFunctionCode, quotas, errors recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from pilotlight.errors import (
    CodeStorageExceededException,
    InvalidParameterValueException,
    RequestEntityTooLargeException,
    ServiceException,
)
from pilotlight.operations.context import OperationsContext
from pilotlight.store.blobs import BlobTooLarge
from pilotlight.store.interface import StoreError
from pilotlight.store.zips import PackageInfo
from pilotlight.wire.messages import Call

Params = Mapping[str, Any]

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class StoredCode(msgspec.Struct, frozen=True):
    code_blob: str
    """Hex SHA-256: its name in the blob store."""
    code_sha256: str
    """Base64 SHA-256."""
    code_size: int
    unzipped_size: int


async def store_code(context: OperationsContext, call: Call, code: Params, architecture: str) -> StoredCode:
    """Fetch, check and store the package that `code` (FunctionCode, or UpdateFunctionCode's members) names.

    `architecture` is the function's: a package this machine cannot run is refused.
    """
    source = _source(context, call, code)
    try:
        if isinstance(source, bytes):
            info = await context.packages.check(source)
            check_architecture(info, architecture)
            blob = await context.blobs.put(source)
        else:
            blob = await context.blobs.put(source, limit_bytes=context.settings.max_unzipped_bytes)
            info = await context.packages.check(context.blobs.path(blob.sha256_hex))
            check_architecture(info, architecture)
    except BlobTooLarge as error:
        raise InvalidParameterValueException(f"Unzipped size must be smaller than {error.limit_bytes} bytes") from error
    except StoreError as error:
        raise ServiceException(f"The code could not be stored: {error}") from error
    return StoredCode(blob.sha256_hex, blob.sha256_base64, blob.size, info.unzipped_size)


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


def check_architecture(info: PackageInfo, architecture: str) -> None:
    """A function for the other architecture may run here when nothing in its package is compiled; else refuse it."""
    machine = platform.machine()
    if _ARCHITECTURES.get(machine.lower()) == architecture or not info.native:
        return
    compiled = info.native[0]
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
