"""Code signing configurations: whose signatures a function's packages must bear."""

from __future__ import annotations

import msgspec

CODE_SIGNING_CONFIG = "lambda.code-signing-config"


class CodeSigningConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    region: str
    id: str
    """`csc-` and 17 characters."""
    description: str = ""
    signing_profile_version_arns: tuple[str, ...]
    untrusted_artifact_on_deployment: str = "Warn"
    last_modified_ms: int = 0
    tags: dict[str, str] = {}
