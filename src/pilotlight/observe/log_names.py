"""How CloudWatch Logs names log groups (by name or by ARN) and how page tokens of this API are made and read."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from pilotlight.errors import InvalidParameterException, LogsResourceNotFoundException
from pilotlight.wire.messages import Call


class GroupName(msgspec.Struct, frozen=True):
    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        """Without the `:*` that stands for the group's streams."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.name}"


def group_name(call: Call, identifier: str | None = None) -> GroupName:
    """The group that `identifier` (a name or an ARN) means, or that the call's logGroupName or logGroupIdentifier does.

    Raises InvalidParameterException when the call has both or neither, and LogsResourceNotFoundException for an ARN of
    another account or region, which cannot be seen from here.
    """
    if identifier is None:
        name: str | None = call.params.get("logGroupName")
        identifier = call.params.get("logGroupIdentifier")
        if name is not None and identifier is not None:
            raise InvalidParameterException("LogGroup name and LogGroup identifier are mutually exclusive parameters.")
        identifier = identifier if name is None else name
        if identifier is None:
            raise InvalidParameterException("One of logGroupName and logGroupIdentifier must be specified.")
    if not identifier.startswith("arn:"):
        return GroupName(call.account, call.region, identifier)
    parts = identifier.removesuffix(":*").split(":", 6)
    if len(parts) != 7 or parts[2] != "logs" or parts[5] != "log-group":
        raise InvalidParameterException(f"Invalid log group identifier: {identifier}")
    if (parts[4], parts[3]) != (call.account, call.region):
        raise no_group()
    return GroupName(call.account, call.region, parts[6])


def no_group() -> LogsResourceNotFoundException:
    return LogsResourceNotFoundException("The specified log group does not exist.")


def no_stream() -> LogsResourceNotFoundException:
    return LogsResourceNotFoundException("The specified log stream does not exist.")


def encode_token(*values: str | int) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(values)).decode().rstrip("=")


def decode_token(token: str | None, *types: type) -> tuple[Any, ...] | None:
    """The values of a token made by `encode_token`, None without a token; InvalidParameterException for any other."""
    if token is None:
        return None
    try:
        values = msgspec.msgpack.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, msgspec.DecodeError):
        values = None
    if not isinstance(values, list) or [type(value) for value in values] != list(types):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        raise bad_token()
    return tuple(values)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def bad_token() -> InvalidParameterException:
    return InvalidParameterException("The specified nextToken is invalid.")
