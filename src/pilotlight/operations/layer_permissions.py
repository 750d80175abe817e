"""AddLayerVersionPermission, RemoveLayerVersionPermission and GetLayerVersionPolicy: who else may use a layer version.

A policy has a RevisionId of its own, new with every change. Organizations are not known here: a statement for one is
kept and shown, and grants nothing. Source: API reference; answers recorded by LocalStack's snapshot tests; a statement
with an organization as quoted in serverless/serverless issue 5761.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names, policy
from pilotlight.catalog.layers import Layer, LayerVersion
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.layers import layer_named
from pilotlight.operations.permissions import ACCOUNT
from pilotlight.operations.policy_statements import check_length, check_new, without
from pilotlight.operations.revisions import check_revision
from pilotlight.wire.messages import Call

#: the operation's name in AWS's message is not that of any operation
_READ_WITH = "GetLayerPolicy"


async def add_layer_version_permission(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    name = layer_named(context, call, params["LayerName"], params["VersionNumber"])
    statement = _statement(params, name)
    sid: str = params["StatementId"]

    def add(layer: Layer | None) -> tuple[Layer, LayerVersion]:
        layer, version = _attached_to(name, layer)
        check_revision(version.policy_revision_id, params.get("RevisionId"), _READ_WITH)
        check_new(version.statements, sid)
        statements = (*version.statements, statement)
        check_length(policy.document(statements))
        return _with_policy(layer, version, statements)

    version = await context.catalog.layers.change(name.account, name.region, name.name, add)
    return {"Statement": msgspec.json.encode(statement).decode(), "RevisionId": version.policy_revision_id}


async def remove_layer_version_permission(context: OperationsContext, call: Call) -> None:
    params = call.params
    name = layer_named(context, call, params["LayerName"], params["VersionNumber"])
    sid: str = params["StatementId"]

    def remove(layer: Layer | None) -> tuple[Layer, LayerVersion]:
        layer, version = _attached_to(name, layer)
        left = without(version.statements, sid)
        check_revision(version.policy_revision_id, params.get("RevisionId"), _READ_WITH)
        return _with_policy(layer, version, left)

    await context.catalog.layers.change(name.account, name.region, name.name, remove)


async def get_layer_version_policy(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = layer_named(context, call, call.params["LayerName"], call.params["VersionNumber"])
    layer = context.catalog.layers.get(name.account, name.region, name.name)
    _, version = _attached_to(name, layer)
    if not version.statements:
        raise ResourceNotFoundException("No policy is associated with the given resource.")
    return {"Policy": policy.document(version.statements), "RevisionId": version.policy_revision_id}


def _attached_to(name: names.LayerName, layer: Layer | None) -> tuple[Layer, LayerVersion]:
    version = layer.versions.get(name.version or 0) if layer else None
    if layer is None or version is None:
        raise ResourceNotFoundException(f"Layer version {name.arn} does not exist.")
    return layer, version


def _with_policy(
    layer: Layer, version: LayerVersion, statements: tuple[policy.Statement, ...]
) -> tuple[Layer, LayerVersion]:
    changed = msgspec.structs.replace(
        version, statements=statements, policy_revision_id=lifecycle.new_revision_id() if statements else ""
    )
    return msgspec.structs.replace(layer, versions={**layer.versions, version.version: changed}), changed


def _statement(params: dict[str, Any], name: names.LayerName) -> policy.Statement:
    """In AWS's order of members. The model lets through an account, its root's ARN and `*`."""
    principal: str = params["Principal"]
    organization: str | None = params.get("OrganizationId")
    if organization and principal != "*":
        raise InvalidParameterValueException("OrganizationId can be given with the principal * only.")
    if ACCOUNT.fullmatch(principal):
        principal = f"arn:{names.partition(name.region)}:iam::{principal}:root"
    statement: policy.Statement = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"AWS": principal},
        "Action": params["Action"],
        "Resource": name.arn,
    }
    if organization:
        statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": organization}}
    return statement
