"""docs/api-coverage.md, made from the code and botocore's model: `make docs`, or `python -m tests.docs.api_coverage`.

A test keeps it from going stale. What an operation is tested by is looked for where tests name it: as boto3's method,
by its own name, or by such a path.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name

from pilotlight.catalog.held import HELD
from pilotlight.front.event_stream import EventStreamAnswer
from pilotlight.front.invocations import InvocationRoutes
from pilotlight.operations.api import OPERATIONS
from pilotlight.operations.authorization import REQUIRED

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/api-coverage.md"

#: the operations that the front takes itself, past the models
IN_FRONT: dict[str, Callable[..., Any]] = {
    "Invoke": InvocationRoutes,
    "InvokeAsync": InvocationRoutes,
    "InvokeWithResponseStream": EventStreamAnswer,
}
#: tests that name every operation and say nothing of one
_OF_ALL = ("tests/docs", "tests/property")
#: test files named for an operation, where no file is named for its room
_SHOWN = 2

HEAD = """# API coverage

Every operation of AWS's `lambda` 2015-03-31 model. Made by `make docs` from the code, the model and the tests; a
test fails when it is stale, or when an operation has no implementation or no test.

**{done} of {all}** operations.

The IAM action and the resource it is needed on stand in `operations/authorization.py`, ready for policies.

| operation | implemented by | IAM action, and on what | tested by |
|---|---|---|---|
"""

HELD_HEAD = """
## Held, not yet enforced

Validated, kept, returned as AWS does, and not yet acted on. What a function's behaviour depends on keeps it from being
invoked, with a sentence: it is never silently run without it.

| what | until its engine exists |
|---|---|
"""


def operations() -> list[str]:
    """Of the model, by name."""
    return sorted(botocore.session.get_session().get_service_model("lambda").operation_names)


def implementation(operation: str) -> str:
    """FILE: FUNCTION, the file as from src/pilotlight; "" when there is none."""
    found = OPERATIONS.get(operation) or IN_FRONT.get(operation)
    if found is None:
        return ""
    file = Path(inspect.getfile(found)).relative_to(ROOT / "src/pilotlight")
    return f"{file}: {found.__name__}"


def named_in(operation: str) -> list[str]:
    """Paths from the root: the files named as the implementation's, else those that name the operation most."""
    method = xform_name(operation)
    named = re.compile(rf'(?<=[./"])(?:{method}\b|{method.replace("_", "-")}\b)|"{operation}"')
    counts = {path: len(named.findall(text)) for path, text in _test_files().items()}
    found = sorted((path for path, count in counts.items() if count), key=lambda path: (-counts[path], path))
    room = Path(implementation(operation).partition(":")[0]).stem
    own = sorted(path for path in found if Path(path).name.startswith(f"test_{room}"))
    return own or found[:_SHOWN]


@functools.cache
def _test_files() -> dict[str, str]:
    paths = ((path, str(path.relative_to(ROOT))) for path in sorted((ROOT / "tests").rglob("test_*.py")))
    return {name: path.read_text() for path, name in paths if not name.startswith(_OF_ALL)}


def page() -> str:
    """The whole page."""
    rows: list[str] = []
    for operation in operations():
        required = REQUIRED[operation]
        actions = ", ".join(f"`{action}`" for action in (required.action, *required.also))
        tests = "<br>".join(f"[{path.removeprefix('tests/')}](../{path})" for path in named_in(operation))
        rows.append(f"| {operation} | `{implementation(operation)}` | {actions} on {required.resource} | {tests} |")
    done = sum(bool(implementation(operation)) for operation in operations())
    held = [f"| {what} | {until} |" for what, until in HELD.items()]
    head = HEAD.format(done=done, all=len(rows))
    return head + "\n".join(rows) + "\n" + HELD_HEAD + "\n".join(held) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE.relative_to(ROOT)} is written")
