"""The table of IAM actions names every operation that exists, and none that does not."""

from __future__ import annotations

from pilotlight.operations.api import OPERATIONS
from pilotlight.operations.authorization import REQUIRED
from pilotlight.wire.models import load_model


def test_every_operation_has_its_action() -> None:
    assert REQUIRED.keys() == OPERATIONS.keys()
    for operation, required in REQUIRED.items():
        assert required.action == f"lambda:{operation}"


def test_what_names_a_function_is_authorised_on_it() -> None:
    model = load_model("lambda")
    for operation, required in REQUIRED.items():
        shape = model.operation(operation).input
        members = shape.members if shape else {}
        names_one = not members.keys().isdisjoint({"FunctionName", "Resource"})
        assert (required.resource == "function") is names_one, operation
