"""Resource policies: the statements AddPermission makes, and whether they let a service invoke the function.

A statement is kept as AWS shows it, a dictionary of Sid, Effect, Principal, Action, Resource and perhaps Condition, in
that order. Evaluation is fail-closed: a condition this file does not know is not met. Source: IAM user guide (condition
operators, ArnLike), Lambda's AddPermission, policies recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import msgspec

Statement = dict[str, Any]

_INVOKE = "lambda:InvokeFunction"


def document(statements: Sequence[Statement]) -> str:
    """The policy as GetPolicy returns it: compact JSON."""
    return msgspec.json.encode({"Version": "2012-10-17", "Id": "default", "Statement": statements}).decode()


def may_invoke(
    policy_statements: Iterable[Statement], principal_service: str, source_arn: str, source_account: str
) -> bool:
    """Whether a service (for example `s3.amazonaws.com`) may invoke on behalf of a resource of an account.

    `source_arn` is that resource's ARN, `source_account` its owner's 12 digits; "" when the service sends none.
    """
    context = {
        key: value for key, value in (("aws:sourcearn", source_arn), ("aws:sourceaccount", source_account)) if value
    }
    return any(
        _allows(statement, context)
        and (statement.get("Principal") == "*" or principal_service in _principals(statement, "Service"))
        for statement in policy_statements
    )


def account_may_invoke(policy_statements: Iterable[Statement], account: str) -> bool:
    """Whether the policy opens the function to another account as a whole (12 digits)."""
    context = {"aws:principalaccount": account}
    for statement in policy_statements:
        if not _allows(statement, context):
            continue
        named = _principals(statement, "AWS")
        if statement.get("Principal") == "*" or "*" in named or any(f"::{account}:root" in arn for arn in named):
            return True
    return False


def _allows(statement: Statement, context: Mapping[str, str]) -> bool:
    if statement.get("Effect") != "Allow" or not _covers(str(statement.get("Action", ""))):
        return False
    conditions = cast("dict[str, dict[str, str]]", statement.get("Condition", {}))
    return all(
        _holds(operator, wanted, context.get(key.lower()))
        for operator, tests in conditions.items()
        for key, wanted in tests.items()
    )


def _covers(action: str) -> bool:
    return action.lower() in (_INVOKE.lower(), "lambda:*", "*")


def _holds(operator: str, wanted: str, actual: str | None) -> bool:
    if actual is None:
        return False
    if operator == "StringEquals":
        return actual == wanted
    if operator in ("ArnLike", "ArnEquals"):
        return arn_like(wanted, actual)
    return False


def _principals(statement: Statement, kind: str) -> tuple[str, ...]:
    principal = statement.get("Principal")
    if not isinstance(principal, dict):
        return ()
    named = cast("dict[str, Any]", principal).get(kind, ())
    return (named,) if isinstance(named, str) else tuple(named)


def arn_like(pattern: str, arn: str) -> bool:
    """IAM's ArnLike: the six parts between colons matched one by one; `*` and `?` stay within their part.

    Only the last part may itself hold colons.
    """
    wanted, given = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(given) and all(
        _glob(part).fullmatch(text) is not None for part, text in zip(wanted, given, strict=True)
    )


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join({"*": ".*", "?": "."}.get(character) or re.escape(character) for character in pattern), re.DOTALL
    )
