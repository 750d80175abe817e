"""A function's code as a container image: its URI, and the digest it stands for.

There is no registry here to ask. A URI that names a digest is taken at its word; for one with a tag the digest is the
SHA-256 of the URI itself, so it is the same as long as the URI is, and a newer image behind the same tag is not
noticed. Source: API reference (FunctionCodeLocation), errors quoted in public issue threads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.code import StoredCode

_PRIVATE_ECR = re.compile(
    r"(?P<repository>\d{12}\.(?:dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?|dkr-ecr\.[a-z0-9-]+\.on\.aws)"
    r"/[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
    r"(?::(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}))?(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
)
_ZIP_MEMBERS = ("ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion", "S3ObjectStorageMode", "SourceKMSKeyArn")


def image_code(code: Mapping[str, Any], doing: str) -> StoredCode:
    """The image that `code` (FunctionCode, or UpdateFunctionCode's members) names; `doing` is creating or updating."""
    uri: str = code.get("ImageUri", "")
    if not uri or any(code.get(member) for member in _ZIP_MEMBERS):
        raise InvalidParameterValueException(f"Please provide ImageUri when {doing} a function with packageType Image.")
    match = _PRIVATE_ECR.fullmatch(uri)
    if match is None or not (match["tag"] or match["digest"]):
        raise InvalidParameterValueException(f"Source image {uri} is not valid. Provide a valid source image.")
    digest = match["digest"] or hashlib.sha256(uri.encode()).hexdigest()
    return StoredCode(
        code_blob="",
        code_sha256=digest,
        code_size=0,
        unzipped_size=0,
        image_uri=uri,
        resolved_image_uri=f"{match['repository']}@sha256:{digest}",
    )
