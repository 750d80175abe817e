"""One handler to run three ways, with what is to be the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """`source` is app.py; `files` are further members of the package."""

    name: str
    source: str = ""
    files: Mapping[str, str | bytes] = {}
    handler: str = "app.handler"
    events: tuple[Any, ...] = ({},)
    raw_events: tuple[bytes, ...] = ()
    environ: Mapping[str, str] = {}
    fields: Mapping[str, str] = {}
    """Of each invocation's Work: client_context, cognito_identity, tenant_id."""
    ways: tuple[str, ...] = ("fork", "exec", "ric")
    """`ric` is AWS's own `python -m awslambdaric` over HTTP; left out where it has other paths than Lambda's."""
    wheels: tuple[str, ...] = ()
    """Distributions to vendor into the package; the case is skipped where they cannot be had."""
    layers: tuple[Mapping[str, str | bytes], ...] = ()
    expect: str = ""
    """A text that must be in the first answer: that the case does what it is for."""
