"""Deployment packages built in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping


def make_zip(files: Mapping[str, str | bytes] | str, *, modes: Mapping[str, int] | None = None) -> bytes:
    """A zip of `files` (path -> text or bytes); a plain string is the text of `app.py`.

    `modes` gives unix modes (for example 0o755) by path; the rest get 0o644. Dates are fixed, so that the same files
    always make the same bytes and so the same CodeSha256.
    """
    members = {"app.py": files} if isinstance(files, str) else files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            info = zipfile.ZipInfo(path, date_time=(2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # unix, so that the mode below is believed
            info.external_attr = ((modes or {}).get(path, 0o644) | 0o100000) << 16
            archive.writestr(info, content)
    return buffer.getvalue()
