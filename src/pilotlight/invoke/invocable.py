"""May this version be invoked by this call? Asked for whatever is not plainly an active Python function.

What AWS refuses is refused in its words; what AWS would run and this version of Pilotlight cannot, with a sentence of
`catalog.held`. Source: developer guide, "Lambda function states", "Tenant isolation" (troubleshooting) and "Invoking
durable functions"; the state errors as LocalStack's snapshot tests recorded them.
"""

from __future__ import annotations

from pilotlight.catalog import names
from pilotlight.catalog.held import not_runnable
from pilotlight.catalog.records import FunctionVersion
from pilotlight.errors import InvalidParameterValueException, NotImplementedException, ResourceConflictException
from pilotlight.invoke.messages import InvokeRequest


def check(version: FunctionVersion, request: InvokeRequest) -> None:
    """Raise what the call is answered, unless `version` may run."""
    if version.state != "Active":
        raise ResourceConflictException(
            "The operation cannot be performed at this time. "
            f"The function is currently in the following state: {version.state}"
        )
    tenant_id = request.extras.tenant_id if request.extras else None
    if version.held.get("TenancyConfig"):
        if tenant_id is None:
            raise InvalidParameterValueException(
                "The invoked function is enabled with tenancy configuration. "
                "Add a valid tenant ID in your request and try again."
            )
    elif tenant_id is not None:
        raise InvalidParameterValueException(
            "The invoked function is not enabled with tenancy configuration. "
            "Remove the tenant ID from your request and try again."
        )
    if version.held.get("DurableConfig"):
        if qualifier_of(request) is None:
            raise InvalidParameterValueException("You cannot invoke a durable function using an unqualified ARN.")
    elif request.extras is not None and request.extras.durable_name is not None:
        raise InvalidParameterValueException(
            "The invoked function is not a durable function. "
            "Remove the durable execution name from your request and try again."
        )
    if sentence := not_runnable(version):
        raise NotImplementedException(sentence)


def qualifier_of(request: InvokeRequest) -> str | None:
    """The qualifier that was asked for, wherever in the request it stood. The reference has been resolved already."""
    if request.qualifier is not None or ":" not in request.function:
        return request.qualifier
    return names.parse(request.function, None, request.account, request.region).qualifier
