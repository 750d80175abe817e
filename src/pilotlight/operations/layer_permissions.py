"""AddLayerVersionPermission, RemoveLayerVersionPermission and GetLayerVersionPolicy: who else may use a layer version.

A policy has a RevisionId of its own, new with every change. Organizations are not known here: a statement for one is
kept and shown, and grants nothing. Source: API reference; answers recorded by LocalStack's snapshot tests; a statement
with an organization as quoted in serverless/serverless issue 5761.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

import msgspec

from pilotlight.catalog import names, policy
from pilotlight.catalog.layers import Layer, LayerVersion
from pilotlight.errors import (
    InvalidParameterValueException,
    PolicyLengthExceededException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.layers import layer_named, layer_version
from pilotlight.operations.permissions import MAX_POLICY_BYTES
from pilotlight.operations.revisions import check_revision
from pilotlight.wire.messages import Call

_ACCOUNT = re.compile(r"\d{12}")
#: the operation's name in AWS's message is not that of any operation
_READ_WITH = "GetLayerPolicy"


async def add_layer_version_permission(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    name = layer_named(call, params["LayerName"], params["VersionNumber"])
    statement = _statement(params, name)
    sid: str = params["StatementId"]

    def add(layer: Layer | None) -> tuple[Layer, LayerVersion]:
        layer, version = _attached_to(name, layer)
        check_revision(version.policy_revision_id, params.get("RevisionId"), _READ_WITH)
        if any(statement["Sid"] == sid for statement in version.statements):
            raise ResourceConflictException(
                f"The statement id ({sid}) provided already exists. "
                "Please provide a new statement id, or remove the existing statement."
            )
        statements = (*version.statements, statement)
        size = len(policy.document(statements).encode())
        if size > MAX_POLICY_BYTES:
            raise PolicyLengthExceededException(
                f"The final policy size ({size}) is bigger than the limit ({MAX_POLICY_BYTES})."
            )
        return _with_policy(layer, version, statements)

    version = await context.catalog.layers.change(name.account, name.region, name.name, add)
    return {"Statement": msgspec.json.encode(statement).decode(), "RevisionId": version.policy_revision_id}


async def remove_layer_version_permission(context: OperationsContext, call: Call) -> None:
    params = call.params
    name = layer_named(call, params["LayerName"], params["VersionNumber"])
    sid: str = params["StatementId"]

    def remove(layer: Layer | None) -> tuple[Layer, LayerVersion]:
        layer, version = _attached_to(name, layer)
        if not version.statements:
            raise ResourceNotFoundException("No policy is associated with the given resource.")
        left = tuple(statement for statement in version.statements if statement["Sid"] != sid)
        if len(left) == len(version.statements):
            raise ResourceNotFoundException(f"Statement {sid} is not found in resource policy.")
        check_revision(version.policy_revision_id, params.get("RevisionId"), _READ_WITH)
        return _with_policy(layer, version, left)

    await context.catalog.layers.change(name.account, name.region, name.name, remove)


async def get_layer_version_policy(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = layer_named(call, call.params["LayerName"], call.params["VersionNumber"])
    version = layer_version(context, name)
    if version is None:
        raise _missing(name)
    if not version.statements:
        raise ResourceNotFoundException("No policy is associated with the given resource.")
    return {"Policy": policy.document(version.statements), "RevisionId": version.policy_revision_id}


def _attached_to(name: names.LayerName, layer: Layer | None) -> tuple[Layer, LayerVersion]:
    version = layer.versions.get(name.version or 0) if layer else None
    if layer is None or version is None:
        raise _missing(name)
    return layer, version


def _missing(name: names.LayerName) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Layer version {name.arn} does not exist.")


def _with_policy(
    layer: Layer, version: LayerVersion, statements: tuple[policy.Statement, ...]
) -> tuple[Layer, LayerVersion]:
    changed = msgspec.structs.replace(
        version, statements=statements, policy_revision_id=str(uuid.uuid4()) if statements else ""
    )
    return msgspec.structs.replace(layer, versions={**layer.versions, version.version: changed}), changed


def _statement(params: dict[str, Any], name: names.LayerName) -> policy.Statement:
    """In AWS's order of members. The model lets through an account, its root's ARN and `*`."""
    principal: str = params["Principal"]
    organization: str | None = params.get("OrganizationId")
    if organization and principal != "*":
        raise InvalidParameterValueException("OrganizationId can be given with the principal * only.")
    if _ACCOUNT.fullmatch(principal):
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
