"""AddPermission, RemovePermission and GetPolicy: a resource policy statement by statement.

Statements are stored as AWS shows them, so GetPolicy only prints. Source: API reference; answers recorded by
LocalStack's snapshot tests, and errors users of AWS quote in public issue threads.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pilotlight.catalog import names, policy
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException
from pilotlight.operations.attached_policies import (
    READ_WITH,
    Policy,
    attached_policy,
    attached_to,
    check_policy,
    refuse_latest,
    with_policy,
)
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found
from pilotlight.operations.policy_statements import check_new, without
from pilotlight.operations.revisions import check_revision
from pilotlight.wire.messages import Call

#: s3.amazonaws.com, logs.eu-west-1.amazonaws.com, alexa-appkit.amazon.com, apigateway.amazonaws.com.cn
SERVICE = re.compile(r"[a-z0-9.-]+\.amazon(aws)?\.com(\.cn)?")
ACCOUNT = re.compile(r"\d{12}")
IDENTITY_ARN = re.compile(r"arn:aws[a-zA-Z-]*:(iam|sts)::(\d{12}|aws):.+")
#: what is none of these AWS takes for a user's name
_USER_NAME = re.compile(r"[\w+=,.@-]*", re.ASCII)


async def add_permission(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    name = function_named(call, params["FunctionName"], params.get("Qualifier"))
    refuse_latest(name)
    _check_url_members(params)
    sid: str = params["StatementId"]

    def add(view: FunctionView | None) -> tuple[FunctionChange, policy.Statement]:
        view = found(name, view)
        check_revision(attached_to(view, name).revision_id, params.get("RevisionId"), READ_WITH)
        before = attached_policy(view, name) or Policy((), policy.AWS_HEAD)
        check_new(before.statements, sid)
        statement = _statement(params, name)
        wanted = Policy((*before.statements, statement), before.head)
        check_policy(context, wanted)
        return with_policy(view, name, wanted)[0], statement

    statement = await context.catalog.change(name.account, name.region, name.name, add)
    return {"Statement": msgspec.json.encode(statement).decode()}


async def remove_permission(context: OperationsContext, call: Call) -> None:
    params = call.params
    name = function_named(call, params["FunctionName"], params.get("Qualifier"))
    sid: str = params["StatementId"]

    def remove(view: FunctionView | None) -> tuple[FunctionChange, None]:
        if view is None:
            raise ResourceNotFoundException(f"No policy found for: {name.function_arn}")
        revision_id = attached_to(view, name).revision_id
        before = attached_policy(view, name) or Policy((), policy.AWS_HEAD)
        left = without(before.statements, sid)
        check_revision(revision_id, params.get("RevisionId"), READ_WITH)
        return with_policy(view, name, Policy(left, before.head))[0], None

    await context.catalog.change(name.account, name.region, name.name, remove)


async def get_policy(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    view = found(name, context.catalog.function(name.account, name.region, name.name))
    attached = attached_policy(view, name)
    if attached is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return {"Policy": attached.document, "RevisionId": attached_to(view, name).revision_id}


def _check_url_members(params: dict[str, Any]) -> None:
    if "FunctionUrlAuthType" in params and params["Action"] != "lambda:InvokeFunctionUrl":
        raise InvalidParameterValueException(
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"
        )
    if "InvokedViaFunctionUrl" in params and params["Action"] != "lambda:InvokeFunction":
        raise InvalidParameterValueException("InvokedViaFunctionUrl is only supported for lambda:InvokeFunction action")


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
    if ACCOUNT.fullmatch(principal):
        return {"AWS": f"arn:{names.partition(region)}:iam::{principal}:root"}
    if IDENTITY_ARN.fullmatch(principal):
        return {"AWS": principal}
    if SERVICE.fullmatch(principal):
        return {"Service": principal}
    if not _USER_NAME.fullmatch(principal):
        raise InvalidParameterValueException(
            f"The provided input'{principal}'was invalid. Member must satisfy expression: {_USER_NAME.pattern} "
            "Please check your input and try again."
        )
    raise InvalidParameterValueException(INVALID_PRINCIPAL)


INVALID_PRINCIPAL = "The provided principal was invalid. Please check the principal and try again."

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
