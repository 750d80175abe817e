"""Request ids: random (version 4) UUIDs, cut from a block of the kernel's randomness, because `uuid.uuid4()` costs
more than the rest of what the front adds to a warm invocation."""

from __future__ import annotations

import os

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_BLOCK_IDS = 256


class RequestIds:
    """Call it for the next id, for example `8f0c1c8e-6c0b-4b1e-9a70-0f3c0d6a5e2b`."""

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def __call__(self) -> str:
        at = self._at
        digits = self._digits
        if at >= len(digits):
            digits = self._digits = os.urandom(16 * _BLOCK_IDS).hex()
            at = 0
        self._at = at + 32
        return (
            f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-4{digits[at + 13 : at + 16]}"
            f"-{_VARIANT[digits[at + 16]]}{digits[at + 17 : at + 20]}-{digits[at + 20 : at + 32]}"
        )
