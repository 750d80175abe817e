"""Layers: one record per layer name, holding all of its versions, so that numbers are never given twice."""

from __future__ import annotations

from typing import Any

import msgspec

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
    statements: tuple[dict[str, Any], ...] = ()
    """Its resource policy, as the API shows it."""
    policy_revision_id: str = ""


class Layer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    region: str
    name: str
    next_version: int = 1
    versions: dict[int, LayerVersion] = {}
