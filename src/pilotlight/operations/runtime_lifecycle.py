"""Which runtimes AWS has closed, from when on, and what it says to use instead.

Closing comes in two steps: first no function may be created with a runtime, later none that uses it may be updated
(except to a runtime that is open). Dates are UTC days. Source: developer guide, "Lambda runtimes" (tables of supported
and deprecated runtimes, as of autumn 2026); cfn-lint's machine-readable copy of them; the sentence as quoted in many
public issue threads.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.context import OperationsContext
from pilotlight.wire.models import load_model

_NODE, _PYTHON, _JAVA, _DOTNET, _RUBY = "nodejs24.x", "python3.14", "java25", "dotnet10", "ruby4.0"
_OS_ONLY = "provided.al2023"


class Closing(NamedTuple):
    create: str
    """The day from which creation is refused."""
    update: str
    successor: str


CLOSINGS: dict[str, Closing] = {
    "nodejs": Closing("2016-09-30", "2016-10-31", _NODE),
    "nodejs4.3": Closing("2020-02-03", "2020-03-05", _NODE),
    "nodejs4.3-edge": Closing("2019-03-31", "2019-04-30", _NODE),
    "nodejs6.10": Closing("2019-07-12", "2019-08-12", _NODE),
    "nodejs8.10": Closing("2020-02-04", "2020-03-06", _NODE),
    "nodejs10.x": Closing("2021-07-30", "2022-02-14", _NODE),
    "nodejs12.x": Closing("2023-03-31", "2023-04-30", _NODE),
    "nodejs14.x": Closing("2024-01-09", "2027-08-31", _NODE),
    "nodejs16.x": Closing("2027-07-29", "2027-08-31", _NODE),
    "nodejs18.x": Closing("2027-07-29", "2027-08-31", _NODE),
    "nodejs20.x": Closing("2027-07-29", "2027-08-31", _NODE),
    "nodejs22.x": Closing("2027-06-01", "2027-07-01", _NODE),
    "nodejs24.x": Closing("2028-06-01", "2028-07-01", _NODE),
    "python2.7": Closing("2021-07-15", "2022-05-30", _PYTHON),
    "python3.6": Closing("2022-07-18", "2022-08-29", _PYTHON),
    "python3.7": Closing("2024-01-09", "2027-08-31", _PYTHON),
    "python3.8": Closing("2027-07-29", "2027-08-31", _PYTHON),
    "python3.9": Closing("2027-07-29", "2027-08-31", _PYTHON),
    "python3.10": Closing("2027-07-29", "2027-08-31", _PYTHON),
    "python3.11": Closing("2027-07-31", "2027-08-31", _PYTHON),
    "python3.12": Closing("2028-11-30", "2029-01-10", _PYTHON),
    "python3.13": Closing("2029-07-31", "2029-08-31", _PYTHON),
    "python3.14": Closing("2029-07-31", "2029-08-31", _PYTHON),
    "java8": Closing("2024-02-08", "2027-08-31", _JAVA),
    "java8.al2": Closing("2027-07-31", "2027-08-31", _JAVA),
    "java11": Closing("2027-07-31", "2027-08-31", _JAVA),
    "java17": Closing("2027-07-31", "2027-08-31", _JAVA),
    "java21": Closing("2029-07-31", "2029-08-31", _JAVA),
    "java25": Closing("2029-07-31", "2029-08-31", _JAVA),
    "dotnetcore1.0": Closing("2019-06-30", "2019-07-30", _DOTNET),
    "dotnetcore2.0": Closing("2019-04-30", "2019-05-30", _DOTNET),
    "dotnetcore2.1": Closing("2022-01-05", "2022-04-13", _DOTNET),
    "dotnetcore3.1": Closing("2023-04-03", "2023-05-03", _DOTNET),
    "dotnet6": Closing("2027-07-29", "2027-08-31", _DOTNET),
    "dotnet8": Closing("2027-07-29", "2027-08-31", _DOTNET),
    "dotnet10": Closing("2028-12-14", "2029-01-15", _DOTNET),
    "ruby2.5": Closing("2021-07-30", "2022-03-31", _RUBY),
    "ruby2.7": Closing("2024-01-09", "2027-08-31", _RUBY),
    "ruby3.2": Closing("2027-07-29", "2027-08-31", _RUBY),
    "ruby3.3": Closing("2027-04-30", "2027-05-31", _RUBY),
    "ruby3.4": Closing("2028-04-30", "2028-05-31", _RUBY),
    "ruby4.0": Closing("2029-04-30", "2029-05-31", _RUBY),
    "go1.x": Closing("2024-02-08", "2027-08-31", _OS_ONLY),
    "provided": Closing("2024-02-08", "2027-08-31", _OS_ONLY),
    "provided.al2": Closing("2027-07-29", "2027-08-31", _OS_ONLY),
    "provided.al2023": Closing("2029-07-31", "2029-08-31", _OS_ONLY),
}


def open_runtimes(context: OperationsContext) -> list[str]:
    """What AWS lists when it is given a runtime it does not know: those that functions may be created with.

    It lists them in the order of a hash set; here they stand in the model's.
    """
    known = load_model("lambda").shape("Runtime").enum
    return [name for name in known if not is_closed(context, name, creating=True)]


def refuse_unknown(context: OperationsContext, runtime: str) -> None:
    """Raise InvalidParameterValueException for what the model does not know: AWS's frontend lets any Runtime pass."""
    if runtime not in load_model("lambda").shape("Runtime").enum:
        raise InvalidParameterValueException(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(open_runtimes(context))}] or be a valid ARN"
        )


def refuse_closed(context: OperationsContext, runtime: str, *, creating: bool) -> None:
    """Raise InvalidParameterValueException when AWS no longer creates (or updates) functions of `runtime`."""
    if is_closed(context, runtime, creating=creating):
        raise InvalidParameterValueException(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
            f"We recommend you use the new runtime ({CLOSINGS[runtime].successor}) "
            "while creating or updating functions."
        )


def is_closed(context: OperationsContext, runtime: str, *, creating: bool) -> bool:
    """By the day the node's clock shows; with the setting `allow_closed_runtimes` none is."""
    closing = CLOSINGS.get(runtime)
    if closing is None or context.settings.allow_closed_runtimes:
        return False
    today = datetime.fromtimestamp(context.clock.time_ms() / 1000, UTC).date().isoformat()
    return today >= (closing.create if creating else closing.update)
