"""What the tap asks the S3 server behind it: whether a bucket is there and where, what an object is.

`Request` is the node's own way to the neighbours; siblings do not import each other, so it comes in as a callable.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

import msgspec

from pilotlight.errors import AccessDenied, NoSuchBucket, ServiceUnavailableException
from pilotlight.triggers.s3_results import parsed, text_of
from pilotlight.wire.messages import WireResponse
from pilotlight.wire.s3_address import object_path

logger = logging.getLogger(__name__)


class Request(Protocol):
    """A signed call to a service next door; the answer whole, header names in lower case.

    Raises ServiceUnavailableException when the service cannot be reached.
    """

    async def __call__(
        self,
        service: str,
        account: str,
        region: str,
        method: str,
        raw_path: str,
        *,
        query_string: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> WireResponse: ...


class Described(msgspec.Struct, frozen=True):
    """What HEAD says of an object."""

    size: int | None
    etag: str
    version_id: str


class S3Backend:
    def __init__(self, request: Request) -> None:
        self._request = request
        self._said_refused = False

    async def bucket_region(self, account: str, region: str, bucket: str, headers: Mapping[str, str]) -> str:
        """The region of a bucket. `headers` has x-amz-expected-bucket-owner, or is empty.

        Raises NoSuchBucket, AccessDenied, ServiceUnavailableException.
        """
        path = object_path(bucket)
        response = await self._request("s3", account, region, "HEAD", path, headers=headers)
        if response.status == 404:
            raise NoSuchBucket("The specified bucket does not exist", BucketName=bucket)
        if response.status in (401, 403):
            if headers:
                raise AccessDenied("Access Denied")  # the bucket is not the expected owner's
            raise AccessDenied(
                "Access Denied: the S3 server does not let the node look at this bucket. Credentials for it belong in "
                "the setting endpoints.s3, as in http://ACCESS_KEY:SECRET@host:9000"
            )
        if response.status >= 500:
            raise ServiceUnavailableException(f"The S3 server answered {response.status} when asked for the bucket.")
        if named := response.headers.get("x-amz-bucket-region"):
            return named
        response = await self._request("s3", account, region, "GET", path, query_string="location")
        root = parsed(_bytes(response)) if response.status == 200 else None
        location = (root.text or "").strip() if root is not None else ""
        return {"EU": "eu-west-1", "": "us-east-1" if root is not None else region}.get(location, location)

    async def is_versioned(self, account: str, region: str, bucket: str) -> bool:
        """Whether a delete makes a marker: versioning is on, or was and is suspended."""
        response = await self._request("s3", account, region, "GET", object_path(bucket), query_string="versioning")
        root = parsed(_bytes(response)) if response.status == 200 else None
        return text_of(root, "Status") in ("Enabled", "Suspended")

    async def exists(self, account: str, region: str, bucket: str, key: str, version_id: str = "") -> bool:
        """False only when the server says that there is no such object."""
        response = await self._head(account, region, bucket, key, version_id)
        return response is None or response.status != 404

    async def describe(self, account: str, region: str, bucket: str, key: str, version_id: str = "") -> Described:
        """Size unknown, and the rest empty, when the server does not say (it may not let the node look)."""
        response = await self._head(account, region, bucket, key, version_id)
        if response is None or response.status != 200:
            self._say_refused(response)
            return Described(None, "", "")
        size = response.headers.get("content-length", "")
        return Described(
            int(size) if size.isdigit() else None,
            response.headers.get("etag", "").strip('"'),
            version_of(response.headers),
        )

    async def _head(self, account: str, region: str, bucket: str, key: str, version_id: str) -> WireResponse | None:
        query = f"versionId={version_id}" if version_id else ""
        try:
            return await self._request("s3", account, region, "HEAD", object_path(bucket, key), query_string=query)
        except ServiceUnavailableException:
            return None

    def _say_refused(self, response: WireResponse | None) -> None:
        if response is not None and response.status in (401, 403) and not self._said_refused:
            self._said_refused = True
            logger.warning(
                "the S3 server does not let the node look at objects, so some events lack size and eTag; "
                "credentials for it belong in the setting endpoints.s3, as in http://ACCESS_KEY:SECRET@host:9000"
            )


def version_of(headers: Mapping[str, str]) -> str:
    """The version id a response names; S3 says `null` for objects from before versioning, and events leave it out."""
    version_id = headers.get("x-amz-version-id", "")
    return "" if version_id == "null" else version_id


def _bytes(response: WireResponse) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""
