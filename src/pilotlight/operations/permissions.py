"""AddPermission, RemovePermission and GetPolicy: the resource policy of a function or of one of its versions.

Statements are stored as AWS shows them, so GetPolicy only prints. A policy's RevisionId is the RevisionId of what it
is attached to, and changing the policy changes it. Source: API reference; recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names, policy
from pilotlight.catalog.catalog import FunctionChange, FunctionView
from pilotlight.catalog.records import LATEST, FunctionVersion
from pilotlight.errors import (
    InvalidParameterValueException,
    PolicyLengthExceededException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.revisions import check_revision
from pilotlight.wire.messages import Call

MAX_POLICY_BYTES = 20_480

#: s3.amazonaws.com, logs.eu-west-1.amazonaws.com, alexa-appkit.amazon.com, apigateway.amazonaws.com.cn
_SERVICE = re.compile(r"[a-z0-9.-]+\.amazon(aws)?\.com(\.cn)?")
_ACCOUNT = re.compile(r"\d{12}")
_IDENTITY_ARN = re.compile(r"arn:aws[a-zA-Z-]*:(iam|sts)::(\d{12}|aws):.+")


async def add_permission(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    name = function_named(call, params["FunctionName"], params.get("Qualifier"))
    if name.qualifier == LATEST:
        raise InvalidParameterValueException("We currently do not support adding policies for $LATEST.")
    sid: str = params["StatementId"]
    statement = _statement(params, name)

    def add(view: FunctionView | None) -> tuple[FunctionChange, None]:
        if view is None:
            raise ResourceNotFoundException(f"Function not found: {name.function_arn}")
        version = _attached_to(name, view)
        check_revision(version.revision_id, params.get("RevisionId"), "GetPolicy")
        statements = view.function.policies.get(name.qualifier or "", ())
        if any(statement["Sid"] == sid for statement in statements):
            raise ResourceConflictException(
                f"The statement id ({sid}) provided already exists. "
                "Please provide a new statement id, or remove the existing statement."
            )
        statements = (*statements, statement)
        size = len(policy.document(statements).encode())
        if size > MAX_POLICY_BYTES:
            raise PolicyLengthExceededException(
                f"The final policy size ({size}) is bigger than the limit ({MAX_POLICY_BYTES})."
            )
        return _with_policy(view, name, version, statements), None

    await context.catalog.change(name.account, name.region, name.name, add)
    return {"Statement": msgspec.json.encode(statement).decode()}


async def remove_permission(context: OperationsContext, call: Call) -> None:
    params = call.params
    name = function_named(call, params["FunctionName"], params.get("Qualifier"))
    sid: str = params["StatementId"]

    def remove(view: FunctionView | None) -> tuple[FunctionChange, None]:
        if view is None:
            raise ResourceNotFoundException(f"No policy found for: {name.function_arn}")
        version = _attached_to(name, view)
        statements = view.function.policies.get(name.qualifier or "", ())
        if not statements:
            raise ResourceNotFoundException("No policy is associated with the given resource.")
        left = tuple(statement for statement in statements if statement["Sid"] != sid)
        if len(left) == len(statements):
            raise ResourceNotFoundException(f"Statement {sid} is not found in resource policy.")
        check_revision(version.revision_id, params.get("RevisionId"), "GetPolicy")
        return _with_policy(view, name, version, left), None

    await context.catalog.change(name.account, name.region, name.name, remove)


async def get_policy(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    view = context.catalog.function(name.account, name.region, name.name)
    if view is None:
        raise ResourceNotFoundException(f"Function not found: {name.function_arn}")
    statements = view.function.policies.get(name.qualifier or "")
    if not statements:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return {"Policy": policy.document(statements), "RevisionId": _attached_to(name, view).revision_id}


def _attached_to(name: names.FunctionName, view: FunctionView) -> FunctionVersion:
    """What the policy belongs to: a published version, or the function, whose revision is $LATEST's."""
    version = view.versions.get(name.qualifier or LATEST)
    if version is None:
        # AWS words it by what the qualifier could have been.
        missing = "Cannot find alias arn" if names.is_alias(name.qualifier or "") else "Function not found"
        raise ResourceNotFoundException(f"{missing}: {name.arn}")
    return version


def _with_policy(
    view: FunctionView, name: names.FunctionName, version: FunctionVersion, statements: tuple[policy.Statement, ...]
) -> FunctionChange:
    policies = {**view.function.policies, name.qualifier or "": statements}
    if not statements:
        del policies[name.qualifier or ""]
    return FunctionChange(msgspec.structs.replace(view.function, policies=policies), (lifecycle.revised(version),))


def _statement(params: dict[str, Any], name: names.FunctionName) -> policy.Statement:
    """In AWS's order of members."""
    statement: policy.Statement = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(params["Principal"], name.region),
        "Action": params["Action"],
        "Resource": name.arn,
    }
    if conditions := _conditions(params):
        statement["Condition"] = conditions
    return statement


def _principal(principal: str, region: str) -> dict[str, str] | str:
    if principal == "*":
        return "*"
    if _ACCOUNT.fullmatch(principal):
        return {"AWS": f"arn:{names.partition(region)}:iam::{principal}:root"}
    if _IDENTITY_ARN.fullmatch(principal):
        return {"AWS": principal}
    if _SERVICE.fullmatch(principal):
        return {"Service": principal}
    raise InvalidParameterValueException(
        "The provided principal was invalid. Please check the principal and try again."
    )


_STRING_EQUALS = {
    "SourceAccount": "AWS:SourceAccount",
    "EventSourceToken": "lambda:EventSourceToken",
    "FunctionUrlAuthType": "lambda:FunctionUrlAuthType",
    "PrincipalOrgID": "aws:PrincipalOrgID",
}


def _conditions(params: dict[str, Any]) -> dict[str, dict[str, str]]:
    conditions: dict[str, dict[str, str]] = {}
    if equal := {key: params[member] for member, key in _STRING_EQUALS.items() if member in params}:
        conditions["StringEquals"] = equal
    if "SourceArn" in params:
        conditions["ArnLike"] = {"AWS:SourceArn": params["SourceArn"]}
    if "InvokedViaFunctionUrl" in params:
        conditions["Bool"] = {"lambda:InvokedViaFunctionUrl": str(params["InvokedViaFunctionUrl"]).lower()}
    return conditions
