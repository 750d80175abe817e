"""Resource policies: the statements AddPermission makes and PutResourcePolicy takes, and what they let others do.

A statement is kept as AWS shows it. Evaluation is fail-closed: one statement must allow and none may deny, and what
cannot be judged here (an unknown condition operator or key) allows nothing and denies what it was meant to deny.
Source: IAM user guide (policy elements and evaluation logic); policies recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from pilotlight.catalog.policy_conditions import arn_like, glob_like, met, texts

__all__ = [
    "AWS_HEAD",
    "INVOKE",
    "INVOKE_URL",
    "Request",
    "Statement",
    "account_may",
    "allows",
    "arn_like",
    "document",
    "is_public",
    "may_invoke",
    "may_invoke_url",
]

Statement = dict[str, Any]

INVOKE = "lambda:InvokeFunction"
INVOKE_URL = "lambda:InvokeFunctionUrl"

#: what AddPermission's statements are put under
AWS_HEAD: dict[str, Any] = {"Version": "2012-10-17", "Id": "default"}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to do: an AWS service on behalf of a resource, or a caller in an account."""

    action: str
    """For example `lambda:InvokeFunction`."""
    resource: str = ""
    """ARN; "" when the statements are known to be about it."""
    service: str = ""
    """For example `s3.amazonaws.com`; "" for a caller in an account."""
    account: str = ""
    """The caller's, 12 digits."""
    caller: str = ""
    """ARN of the user or role; "" stands for the account as a whole."""
    context: Mapping[str, str] = {}
    """Condition keys in lower case."""


def document(statements: Sequence[Statement], head: Mapping[str, Any] = AWS_HEAD) -> str:
    """The policy as GetPolicy returns it: compact JSON. `head` holds all of it but the statements."""
    return msgspec.json.encode({**head, "Statement": statements}).decode()


def allows(statements: Iterable[Statement], request: Request) -> bool:
    """Whether some statement allows it and none denies it."""
    allowed = False
    for statement in statements:
        if statement.get("Effect") == "Deny":
            if _is_about(statement, request) and met(statement.get("Condition", {}), request.context) is not False:
                return False
        elif statement.get("Effect") == "Allow" and not allowed and "NotPrincipal" not in statement:
            allowed = _is_about(statement, request) and met(statement.get("Condition", {}), request.context) is True
    return allowed


def may_invoke(
    statements: Iterable[Statement], principal_service: str, source_arn: str, source_account: str, resource: str = ""
) -> bool:
    """Whether a service (for example `s3.amazonaws.com`) may invoke on behalf of a resource of an account.

    `source_arn` is that resource's ARN, `source_account` its owner's 12 digits; "" when the service sends none.
    `resource` is what it invokes.
    """
    named = {"aws:sourcearn": source_arn, "aws:sourceaccount": source_account}
    context = {"lambda:invokedviafunctionurl": "false", **{key: value for key, value in named.items() if value}}
    request = Request(action=INVOKE, resource=resource, service=principal_service, context=context)
    return allows(statements, request)


def may_invoke_url(
    statements: Iterable[Statement], auth_type: str, resource: str, account: str = "", caller: str = ""
) -> bool:
    """Whether the policy opens a function's URL: to everybody, or to `caller` in another account (12 digits).

    Two actions must be allowed, the URL's and the function's, the latter perhaps only for invocations through a URL.
    `resource` is the ARN of the function, or of the alias whose URL it is. Source: developer guide, "Control access to
    Lambda function URLs", as it stands for all URLs since the grace for those made before October 2025 is over.
    """
    context = {"lambda:functionurlauthtype": auth_type, "lambda:invokedviafunctionurl": "true"}
    if account:
        context["aws:principalaccount"] = account
        context["aws:principalarn"] = _without_session(caller)
    known = tuple(statements)
    return all(
        allows(known, Request(action=action, resource=resource, account=account, caller=caller, context=context))
        for action in (INVOKE_URL, INVOKE)
    )


def account_may(
    statements: Iterable[Statement], action: str, account: str, resource: str = "", caller: str = ""
) -> bool:
    """Whether the policy opens its resource to another account (12 digits), or to `caller` in it, for `action`."""
    context = {"aws:principalaccount": account, "lambda:invokedviafunctionurl": "false"}
    if caller:
        context["aws:principalarn"] = _without_session(caller)
    request = Request(action=action, resource=resource, account=account, caller=caller, context=context)
    return allows(statements, request)


def _is_about(statement: Statement, request: Request) -> bool:
    return (
        _covers(statement, "Principal", lambda principal: _names(principal, request))
        and _covers(statement, "Action", lambda named: _some_like(map(str.lower, texts(named)), request.action.lower()))
        and (
            not request.resource
            or _covers(statement, "Resource", lambda named: _some_like(texts(named), request.resource))
        )
    )


def _covers(statement: Statement, element: str, matches: Callable[[object], bool]) -> bool:
    """By the element, or by the one that says what it is not."""
    if element in statement:
        return matches(statement[element])
    return f"Not{element}" in statement and not matches(statement[f"Not{element}"])


def _some_like(patterns: Iterable[str], text: str) -> bool:
    return any(glob_like(pattern, text) for pattern in patterns)


def _names(principal: object, request: Request) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    named = cast("dict[str, Any]", principal)
    if request.service:
        return request.service in texts(named.get("Service", [])) or "*" in texts(named.get("AWS", []))
    return any(_is_caller(one, request) for one in texts(named.get("AWS", [])))


def _is_caller(named: str, request: Request) -> bool:
    if named in ("*", request.account):
        return True
    parts = named.split(":", 5)
    if len(parts) != 6 or parts[4] != request.account:
        return False
    return parts[5] == "root" or named == request.caller or _same_role(named, request.caller)


def _same_role(role_arn: str, caller: str) -> bool:
    """A session of a role acts for the role, wherever in a path that is."""
    kind, _, role = role_arn.split(":", 5)[5].partition("/")
    session = caller.split(":", 5)[5:]
    return kind == "role" and bool(session) and session[0].split("/")[:2] == ["assumed-role", role.rpartition("/")[2]]


def _without_session(caller: str) -> str:
    """aws:PrincipalArn: of a role's session, the role."""
    parts = caller.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("assumed-role/"):
        return caller
    return ":".join([*parts[:2], "iam", *parts[3:5], f"role/{parts[5].split('/')[1]}"])


#: conditions that keep a statement for everybody from being public, when they name something
_NARROWING_KEYS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "lambda:eventsourcetoken",
    }
)


def is_public(statement: Statement) -> bool:
    """Whether it allows something to everybody."""
    principal = statement.get("Principal")
    everybody = principal == "*" or (
        isinstance(principal, dict) and "*" in texts(cast("dict[str, Any]", principal).get("AWS", []))
    )
    if statement.get("Effect") != "Allow" or not (everybody or "NotPrincipal" in statement):
        return False
    return not any(
        key.lower() in _NARROWING_KEYS and "*" not in texts(wanted)
        for operator, tests in cast("dict[str, dict[str, Any]]", statement.get("Condition", {})).items()
        if _narrows(operator)
        for key, wanted in tests.items()
    )


def _narrows(operator: str) -> bool:
    """Whether it is met by nobody but those it names: not by the others, nor by who leaves the key out."""
    return operator != "Null" and not any(loose in operator for loose in ("Not", "IfExists", "ForAllValues"))
