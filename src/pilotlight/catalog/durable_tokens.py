"""Checkpoint tokens and callback ids: base64, as the model asks, of what they stand for and a secret.

A checkpoint token is good for one checkpoint of one invocation. Both are opaque to clients.
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from pilotlight.catalog.durable import DurableExecution

T = TypeVar("T")


class CheckpointToken(msgspec.Struct, frozen=True, array_like=True):
    execution_id: str
    invocation: str
    sequence: int


class CallbackId(msgspec.Struct, frozen=True, array_like=True):
    account: str
    region: str
    execution: str
    """`DurableExecution.key`."""
    operation_id: str
    secret: str


def checkpoint_token(execution: DurableExecution) -> str:
    """The one that is valid now."""
    return encode(CheckpointToken(execution.id, execution.invocation, execution.sequence))


def encode(token: CheckpointToken | CallbackId) -> str:
    return base64.b64encode(msgspec.msgpack.encode(token)).decode()


def decode(text: str, type: type[T]) -> T | None:
    """None when it is nothing that was given out here."""
    try:
        return msgspec.msgpack.decode(base64.b64decode(text, validate=True), type=type)
    except (binascii.Error, ValueError):  # msgspec's errors are ValueErrors
        return None
