"""The resource policy of a function, of one of its versions, or of an alias: reading it and putting another in place.

A policy's RevisionId is the RevisionId of what it is attached to, and changing the policy changes that. Source: answers
recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names, policy
from pilotlight.catalog.attached import Alias
from pilotlight.catalog.records import LATEST, FunctionVersion
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import (
    InvalidParameterValueException,
    PublicPolicyException,
    ResourceNotFoundException,
)
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.policy_statements import check_length

#: what AWS calls for when a RevisionId is not the current one, though GetPolicy gives it too
READ_WITH = "GetFunction/GetAlias"


class Policy(msgspec.Struct, frozen=True):
    """`head` is what the document holds beside its statements."""

    statements: tuple[policy.Statement, ...]
    head: dict[str, Any]

    @property
    def document(self) -> str:
        return policy.document(self.statements, self.head)


def attached_policy(view: FunctionView, name: names.FunctionName) -> Policy | None:
    """None when there is none."""
    at = name.qualifier or ""
    statements = view.function.policies.get(at)
    return Policy(statements, view.function.policy_heads.get(at, policy.AWS_HEAD)) if statements else None


def refuse_latest(name: names.FunctionName) -> None:
    if name.qualifier == LATEST:
        raise InvalidParameterValueException("We currently do not support adding policies for $LATEST.")


def attached_to(view: FunctionView, name: names.FunctionName) -> FunctionVersion | Alias:
    """What the policy belongs to: a published version, an alias, or the function, whose revision is $LATEST's."""
    found = view.versions.get(name.qualifier or LATEST) or view.function.aliases.get(name.qualifier or "")
    if found is None:
        # AWS words it by what the qualifier could have been.
        missing = "Cannot find alias arn" if names.is_alias(name.qualifier or "") else "Function not found"
        raise ResourceNotFoundException(f"{missing}: {name.arn}")
    return found


def with_policy(
    view: FunctionView, name: names.FunctionName, wanted: Policy | None
) -> tuple[FunctionChange, FunctionVersion | Alias]:
    """The change that puts `wanted` in place of the policy there is (None: takes it away), and what it is attached to
    as it then is."""
    at = name.qualifier or ""
    policies = {key: value for key, value in view.function.policies.items() if key != at}
    heads = {key: value for key, value in view.function.policy_heads.items() if key != at}
    if wanted is not None and wanted.statements:
        policies[at] = wanted.statements
        if wanted.head != policy.AWS_HEAD:
            heads[at] = wanted.head
    function = msgspec.structs.replace(view.function, policies=policies, policy_heads=heads)
    found = attached_to(view, name)
    if isinstance(found, FunctionVersion):
        revised = lifecycle.revised(found)
        return FunctionChange(function, (revised,)), revised
    alias = msgspec.structs.replace(found, revision_id=lifecycle.new_revision_id())
    aliases = {**function.aliases, alias.name: alias}
    return FunctionChange(msgspec.structs.replace(function, aliases=aliases)), alias


def check_policy(context: OperationsContext, wanted: Policy) -> None:
    """Its length, and whether it may be public."""
    check_length(wanted.document)
    if context.settings.block_public_policies and any(map(policy.is_public, wanted.statements)):
        raise PublicPolicyException(
            "Lambda prevented your policy from being created because it would grant public access to your function."
        )
