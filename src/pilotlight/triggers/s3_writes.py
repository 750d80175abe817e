"""Which S3 requests are writes, and of what: told from method, path, query and headers, without reading the body.

A request with a subresource this file does not know is not a write to an object: S3 keeps adding subresources, and
none of the known others changes an object's data.
"""

from __future__ import annotations

from enum import Enum
from urllib.parse import parse_qsl, unquote

import msgspec

from pilotlight.triggers.s3_filter import family
from pilotlight.wire.messages import WireRequest
from pilotlight.wire.s3_address import S3Address


class Kind(Enum):
    """The operations of interest. The value is the operation's name, and after it the event's where it makes one."""

    PUT = ("PutObject", "s3:ObjectCreated:Put")
    COPY = ("CopyObject", "s3:ObjectCreated:Copy")
    COMPLETE = ("CompleteMultipartUpload", "s3:ObjectCreated:CompleteMultipartUpload")
    POST_FORM = ("PostObject", "s3:ObjectCreated:Post")
    DELETE = ("DeleteObject", "s3:ObjectRemoved:Delete")
    DELETE_BATCH = ("DeleteObjects", "s3:ObjectRemoved:Delete")
    PUT_TAGGING = ("PutObjectTagging", "s3:ObjectTagging:Put")
    DELETE_TAGGING = ("DeleteObjectTagging", "s3:ObjectTagging:Delete")
    PUT_ACL = ("PutObjectAcl", "s3:ObjectAcl:Put")
    RESTORE = ("RestoreObject", "s3:ObjectRestore:Post")
    DELETE_BUCKET = ("DeleteBucket", "")

    @property
    def event_name(self) -> str:
        """The event it makes; a delete may turn out to make `DeleteMarkerCreated` instead."""
        return self.value[1]

    @property
    def event_family(self) -> str:
        return family(self.event_name)


class Write(msgspec.Struct, frozen=True):
    kind: Kind
    bucket: str
    key: str
    """"" where the request line does not say (form upload, batch delete)."""
    version_id: str
    """As the request names it; "" when it does not."""


#: a request with one of these is about something other than the object's data
_SUBRESOURCES = frozenset(
    {
        *("acl", "tagging", "retention", "legal-hold", "torrent", "restore", "select", "uploads", "uploadId"),
        *("partNumber", "attributes", "renameObject", "encryption", "delete", "append"),
    }
)


def recognise(request: WireRequest, address: S3Address) -> Write | None:
    """The write that `request` asks for; None when it asks for none."""
    if request.method not in ("PUT", "POST", "DELETE") or not address.bucket:
        return None
    query = query_parameters(request.query_string)
    kind = _object_kind(request, query) if address.key else _bucket_kind(request, query)
    return Write(kind, address.bucket, address.key, query.get("versionId", "")) if kind is not None else None


def query_parameters(query_string: str) -> dict[str, str]:
    """Names as S3 compares them, exactly; of a repeated one the first."""
    pairs = parse_qsl(query_string.replace("+", "%2B"), keep_blank_values=True)
    return dict(reversed(pairs))


def _object_kind(request: WireRequest, query: dict[str, str]) -> Kind | None:
    present = _SUBRESOURCES.intersection(query)
    match request.method, sorted(present):
        case "PUT", []:
            return Kind.COPY if "x-amz-copy-source" in request.headers else Kind.PUT
        case "PUT", ["tagging"]:
            return Kind.PUT_TAGGING
        case "PUT", ["acl"]:
            return Kind.PUT_ACL
        case "POST", ["uploadId"]:
            return Kind.COMPLETE
        case "POST", ["restore"]:
            return Kind.RESTORE
        case "DELETE", []:
            return Kind.DELETE
        case "DELETE", ["tagging"]:
            return Kind.DELETE_TAGGING
        case _:
            return None


def _bucket_kind(request: WireRequest, query: dict[str, str]) -> Kind | None:
    if request.method == "POST":
        if "delete" in query:
            return Kind.DELETE_BATCH
        is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
        return Kind.POST_FORM if is_form else None
    if request.method == "DELETE" and all(name.startswith(("X-Amz-", "x-id")) for name in query):
        return Kind.DELETE_BUCKET
    return None


def form_key(content_type: str, start: bytes) -> str | None:
    """The key that a form upload names: the `key` field, which comes before the file. `start` is the body's start.

    `${filename}` in it stands for the name of the file. None when the start does not hold it.
    """
    boundary = next(
        (
            value.strip().strip('"')
            for name, _, value in (part.strip().partition("=") for part in content_type.split(";"))
            if name.lower() == "boundary"
        ),
        "",
    )
    if not boundary:
        return None
    key: str | None = None
    for part in (b"\r\n" + start).split(b"\r\n--" + boundary.encode())[1:]:
        head, separator, content = part.partition(b"\r\n\r\n")
        if not separator:
            continue
        fields = _disposition(head)
        name = fields.get("name", "").lower()
        if name == "key":
            key = content.decode(errors="replace")
        elif name == "file":
            return key.replace("${filename}", _base_name(fields.get("filename", ""))) if key is not None else None
    return None


def _disposition(head: bytes) -> dict[str, str]:
    for line in head.decode(errors="replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            pairs = (part.strip().partition("=") for part in value.split(";")[1:])
            return {name.lower(): unquote(text.strip('"')) for name, _, text in pairs}
    return {}


def _base_name(path: str) -> str:
    # Some browsers send the whole path on the user's machine.
    return path.rpartition("\\")[2].rpartition("/")[2]
