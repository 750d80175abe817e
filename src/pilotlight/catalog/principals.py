"""The unique ids by which AWS knows users and roles beside their ARNs: `AROA...`, `AIDA...`.

IAM would give them at creation; roles here need not exist, so each is made from what names its principal and is the
same wherever it is shown (STS, S3 events, function URLs).
"""

from __future__ import annotations

import base64
import hashlib


def unique_id(account: str, arn: str) -> str:
    """`AROA...:session` of an assumed role, `AIDA...` of a user, the account (12 digits) of anybody else."""
    kind, _, name = arn.partition("/")
    if kind.endswith(":assumed-role"):
        role, _, session = name.partition("/")
        return f"AROA{letters(f'{account}/{role}', 17)}:{session}"
    if kind.endswith(":user"):
        return f"AIDA{letters(f'{account}/{name}', 17)}"
    return account


def letters(text: str, length: int) -> str:
    """Capital letters and digits that stay the same for a text."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:length]
