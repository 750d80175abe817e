"""A whole policy document as a client gives it: read, and refused when it is none, or none for its resource.

Kept as it was given, Deny, NotAction and all. What AWS says to bad ones is not documented for Lambda; the sentences are
those of Amazon S3's bucket policies and of AddPermission, whose checks these are. Source: IAM user guide, "IAM JSON
policy elements reference" and "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from pilotlight.catalog import names, policy
from pilotlight.catalog.policy_conditions import glob_like
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.attached_policies import Policy
from pilotlight.operations.permissions import ACCOUNT, IDENTITY_ARN, INVALID_PRINCIPAL, SERVICE

_VERSIONS = ("2012-10-17", "2008-10-17")
_ACTION = re.compile(r"\*|lambda:[a-zA-Z*?]+")
_ONE_OF = (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource"))
_ELEMENTS = frozenset({"Sid", "Effect", "Condition"}.union(*_ONE_OF))


def read_document(text: str, name: names.FunctionName) -> Policy:
    """The policy that `text` is, for the function, version or alias `name`.

    Raises InvalidParameterValueException, with AWS's sentence for the first thing that is wrong.
    """
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidParameterValueException("Policies must be valid JSON and the first byte must be '{'")
    head = cast("dict[str, Any]", document)
    given: object = head.pop("Statement", None)
    if head.keys() - {"Version", "Id"}:
        raise _unknown(head.keys() - {"Version", "Id"})
    if head.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise InvalidParameterValueException("The policy must contain a valid version string")
    if not isinstance(head.get("Id", ""), str):
        raise InvalidParameterValueException("Id must be a string")
    listed = cast("list[Any]", given) if isinstance(given, list) else [given]
    if given is None or not listed:
        raise InvalidParameterValueException("Missing required field Statement")
    statements = tuple(_checked(statement, name) for statement in listed)
    sids = [statement["Sid"] for statement in statements if "Sid" in statement]
    if len(set(sids)) < len(sids):
        raise InvalidParameterValueException("Statement IDs (SID) in a single policy must be unique.")
    return Policy(statements, head)


def _checked(given: object, name: names.FunctionName) -> policy.Statement:
    if not isinstance(given, dict):
        raise InvalidParameterValueException("Statement must be an object or a list of objects")
    statement = cast("dict[str, Any]", given)
    if statement.keys() - _ELEMENTS:
        raise _unknown(statement.keys() - _ELEMENTS)
    if not isinstance(statement.get("Sid", ""), str):
        raise InvalidParameterValueException("Sid must be a string")
    if "Effect" not in statement:
        raise InvalidParameterValueException("Missing required field Effect")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise InvalidParameterValueException(f"Invalid effect: {statement['Effect']}")
    for positive, negative in _ONE_OF:
        if positive not in statement and negative not in statement:
            raise InvalidParameterValueException(f"Missing required field {positive}")
        if positive in statement and negative in statement:
            raise InvalidParameterValueException(f"Only one of {positive} and {negative} may be given")
    if not _is_principal(statement.get("Principal", statement.get("NotPrincipal"))):
        raise InvalidParameterValueException(INVALID_PRINCIPAL)
    if "NotPrincipal" in statement and statement["Effect"] == "Allow":
        raise InvalidParameterValueException("Allow with NotPrincipal is not allowed.")
    actions = _strings(statement.get("Action", statement.get("NotAction")))
    if not actions or not all(_ACTION.fullmatch(action) for action in actions):
        raise InvalidParameterValueException("Policy has invalid action")
    resources = _strings(statement.get("Resource", statement.get("NotResource")))
    if not resources or not all(_is_about(resource, name) for resource in resources):
        raise InvalidParameterValueException("Policy has invalid resource")
    if not _is_condition(statement.get("Condition", {})):
        raise InvalidParameterValueException("Policy has an invalid condition")
    return statement


def _is_principal(given: object) -> bool:
    if given == "*":
        return True
    if not isinstance(given, dict) or not given:
        return False
    for kind, value in cast("dict[str, Any]", given).items():
        named = _strings(value)
        if not named or not all(_is_named(kind, one) for one in named):
            return False
    return True


def _is_named(kind: str, one: str) -> bool:
    if kind == "Service":
        return SERVICE.fullmatch(one) is not None
    return kind == "AWS" and (one == "*" or any(form.fullmatch(one) for form in (ACCOUNT, IDENTITY_ARN)))


def _is_about(resource: str, name: names.FunctionName) -> bool:
    """The resource itself, or a pattern that takes it in; for an unqualified function also one for its versions and
    aliases. Policy variables are not known here: a Deny for one would deny nothing."""
    if "${" in resource:
        return False
    whole_function = name.qualifier is None and resource.startswith(f"{name.function_arn}:")
    return whole_function or glob_like(resource, name.arn)


def _is_condition(given: object) -> bool:
    if not isinstance(given, dict):
        return False
    for tests in cast("dict[str, Any]", given).values():
        if not isinstance(tests, dict):
            return False
        for value in cast("dict[str, Any]", tests).values():
            values = cast("list[Any]", value) if isinstance(value, list) else [value]
            if not values or not all(map(_is_value, values)):
                return False
    return True


def _is_value(one: object) -> bool:
    """What can be compared, and stored: numbers within 64 bits."""
    if isinstance(one, int | float):
        return -(2**63) <= one < 2**63
    return isinstance(one, str)


def _strings(value: object) -> list[str]:
    """A string or a list of them; [] when it is anything else."""
    values = cast("list[object]", value if isinstance(value, list) else [value])
    strings = [one for one in values if isinstance(one, str)]
    return strings if len(strings) == len(values) else []


def _unknown(fields: set[str]) -> InvalidParameterValueException:
    return InvalidParameterValueException(f"Unknown field {min(fields)}")
