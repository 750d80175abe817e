"""Statements of a resource policy, added and taken away by their ids; functions' and layer versions' alike.

Source: errors recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

from pilotlight.catalog import policy
from pilotlight.errors import PolicyLengthExceededException, ResourceConflictException, ResourceNotFoundException

Statements = tuple[policy.Statement, ...]

MAX_POLICY_BYTES = 20_480


def check_new(statements: Statements, sid: str) -> None:
    if any(statement.get("Sid") == sid for statement in statements):
        raise ResourceConflictException(
            f"The statement id ({sid}) provided already exists. "
            "Please provide a new statement id, or remove the existing statement."
        )


def without(statements: Statements, sid: str) -> Statements:
    if not statements:
        raise ResourceNotFoundException("No policy is associated with the given resource.")
    left = tuple(statement for statement in statements if statement.get("Sid") != sid)
    if len(left) == len(statements):
        raise ResourceNotFoundException(f"Statement {sid} is not found in resource policy.")
    return left


def check_length(document: str) -> None:
    size = len(document.encode())
    if size > MAX_POLICY_BYTES:
        raise PolicyLengthExceededException(
            f"The final policy size ({size}) is bigger than the limit ({MAX_POLICY_BYTES})."
        )
