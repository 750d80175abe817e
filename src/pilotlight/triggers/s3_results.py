"""What S3 answers to writes: the ETag of a finished upload, the keys a batch delete removed, a failure within a 200."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec


class Deleted(msgspec.Struct, frozen=True):
    """One key of a batch delete that is gone."""

    key: str
    version_id: str = ""
    """The version that the request named."""
    marker_version_id: str = ""
    is_marker: bool = False
    """A delete marker was put on top; nothing is gone for good."""


def parsed(body: bytes) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return None


def is_error(root: ElementTree.Element | None) -> bool:
    """CopyObject and CompleteMultipartUpload send their 200 before they know: the failure is then in the body."""
    return root is not None and _name(root) == "Error"


def text_of(root: ElementTree.Element | None, name: str) -> str:
    return _text(root, name) if root is not None else ""


def asked_to_delete(body: bytes) -> tuple[list[Deleted], bool]:
    """The keys of a DeleteObjects request, and whether it asked for a quiet answer."""
    root = parsed(body)
    if root is None:
        return [], False
    asked = [Deleted(_text(child, "Key"), _text(child, "VersionId")) for child in root if _name(child) == "Object"]
    return asked, _text(root, "Quiet").strip().lower() == "true"


def were_deleted(body: bytes, asked: list[Deleted], quiet: bool, versioned: bool) -> list[Deleted]:
    """What a DeleteObjects answer says is gone. A quiet one lists failures only (though not every server keeps quiet):
    the rest of `asked` is gone, behind a marker when the bucket is `versioned` and no version was named."""
    root = parsed(body)
    if root is None or is_error(root):
        return []
    listed = [_deleted(child) for child in root if _name(child) == "Deleted"]
    if quiet and not listed:
        failed = {(_text(child, "Key"), _text(child, "VersionId")) for child in root if _name(child) == "Error"}
        return [
            msgspec.structs.replace(item, is_marker=versioned and not item.version_id)
            for item in asked
            if (item.key, item.version_id) not in failed
        ]
    return listed


def _deleted(element: ElementTree.Element) -> Deleted:
    version_id = _text(element, "VersionId")
    marked = _text(element, "DeleteMarker").strip().lower() == "true"
    marker_version_id = _text(element, "DeleteMarkerVersionId")
    # With a VersionId as well it is a marker that was removed, not one that was made.
    is_marker = marked and (not version_id or version_id == "null") and version_id != marker_version_id
    return Deleted(_text(element, "Key"), version_id, marker_version_id, is_marker)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in element if _name(child) == name), "")
