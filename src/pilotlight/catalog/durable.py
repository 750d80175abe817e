"""Durable executions: what each was started with, its operations so far, its history. The engine comes later."""

from __future__ import annotations

import msgspec

DURABLE_EXECUTION = "lambda.durable-execution"


class DurableExecution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    region: str
    id: str
    """The execution's part of its ARN: FUNCTION:QUALIFIER... as the owner of this file decides."""
