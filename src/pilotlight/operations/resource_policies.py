"""PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy: a resource policy as one document.

It is the same policy AddPermission writes to and GetPolicy shows; putting one replaces all that is there. What it
denies counts where policies are asked: for other accounts and for services. Source: API reference; developer guide,
"Working with resource-based policies in Lambda".
"""

from __future__ import annotations

from typing import Any

from pilotlight.catalog import names
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import ResourceNotFoundException
from pilotlight.operations.attached_policies import (
    READ_WITH,
    attached_policy,
    attached_to,
    check_policy,
    refuse_latest,
    with_policy,
)
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found
from pilotlight.operations.policy_documents import read_document
from pilotlight.operations.revisions import check_revision
from pilotlight.wire.messages import Call


async def put_resource_policy(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _named(call)
    refuse_latest(name)
    wanted = read_document(call.params["Policy"], name)
    check_policy(context, wanted)

    def put(view: FunctionView | None) -> tuple[FunctionChange, str]:
        view = found(name, view)
        check_revision(attached_to(view, name).revision_id, call.params.get("RevisionId"), READ_WITH)
        change, revised = with_policy(view, name, wanted)
        return change, revised.revision_id

    revision_id = await context.catalog.change(name.account, name.region, name.name, put)
    return {"Policy": wanted.document, "RevisionId": revision_id}


async def get_resource_policy(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _named(call)
    view = found(name, context.catalog.function(name.account, name.region, name.name))
    attached = attached_policy(view, name)
    if attached is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return {"Policy": attached.document, "RevisionId": attached_to(view, name).revision_id}


async def delete_resource_policy(context: OperationsContext, call: Call) -> None:
    name = _named(call)

    def delete(view: FunctionView | None) -> tuple[FunctionChange, None]:
        view = found(name, view)
        revision_id = attached_to(view, name).revision_id
        if attached_policy(view, name) is None:
            raise ResourceNotFoundException("No policy is associated with the given resource.")
        check_revision(revision_id, call.params.get("RevisionId"), READ_WITH)
        return with_policy(view, name, None)[0], None

    await context.catalog.change(name.account, name.region, name.name, delete)


def _named(call: Call) -> names.FunctionName:
    arn: str = call.params["ResourceArn"]
    parsed = names.parse_arn(arn)
    if parsed is None or parsed.kind != "function":
        # A customer-managed runtime: Lambda's core API has them, and there are none here.
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return function_named(call, arn)
