"""Some hundred handlers, each run three ways, must answer, log and end alike.

`fork` is the zygote's way; `exec` a fresh interpreter with our bootstrap in the same sandbox; `ric` is AWS's own
`python -m awslambdaric` with its compiled client, started by an exec wrapper in the sandbox and served over the HTTP
Runtime API on 127.0.0.1:9001. What the last one does is right by definition.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import shutil
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from pilotlight.runtimes.python.launcher import PythonLauncher
from tests.runtimes.differential import cases_answers, cases_errors, cases_imports, cases_logs, cases_system
from tests.runtimes.differential.case import Case
from tests.runtimes.differential.wheels import vendored
from tests.runtimes.harness import environment, runtime_api, write_package

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = [
    *cases_answers.CASES,
    *cases_errors.CASES,
    *cases_logs.CASES,
    *cases_system.CASES,
    *cases_imports.CASES,
]
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"

_WRAPPER = """#!/var/lang/bin/{runtime}
import os, sys
environ = dict(os.environ)
given = open('/proc/self/environ', 'rb').read()
if b'LC_CTYPE=' not in given:
    environ.pop('LC_CTYPE', None)
del environ['AWS_LAMBDA_EXEC_WRAPPER']
environ['PYTHONPATH'] = '/opt/python:/var/runtime'
log = os.dup(1)
os.set_inheritable(log, True)
environ['_LAMBDA_TELEMETRY_LOG_FD'] = str(log)
os.chdir('/var/task')
python = sys.argv[1]
os.execve(python, [python, '-m', 'awslambdaric', environ['_HANDLER']], environ)
"""
_TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(Z|\+0000)")
_ADDRESSES = re.compile(r"0x[0-9a-f]{6,}")


@pytest.fixture(scope="module")
def ric_layer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A layer with AWS's runtime client as it comes, compiled part and all, and the wrapper that starts it."""
    layer = tmp_path_factory.mktemp("ric")
    for file in importlib.metadata.files("awslambdaric") or ():
        source = Path(str(file.locate()))
        if source.is_file() and ".." not in file.parts and "__pycache__" not in file.parts:
            target = layer / "python" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return write_package(layer, {"ric.sh": _WRAPPER.format(runtime=RUNTIME)})


class Outcome:
    """What is compared: every word the runtime said, every log line, and how it ended."""

    def __init__(self) -> None:
        self.words: list[Any] = []
        self.logs: list[str] = []

    def tell(self, word: tuple[Any, ...]) -> None:
        if word[0] == "ready":
            return
        if word[0] == "failed":  # over HTTP the type is in the body alone: AWS's client sends no header for it
            word = (word[0], word[2])
        said = [_alike(part) if isinstance(part, str) else part for part in word]
        self.words.append(
            [_alike(part.decode("utf-8", "replace")) if isinstance(part, bytes) else part for part in said]
        )


def _alike(text: str) -> str:
    """Without moments and memory addresses, and with AWS's client at the place where Lambda has it."""
    text = text.replace("/opt/python/awslambdaric", "/var/runtime/awslambdaric")
    return _ADDRESSES.sub("0x", _TIMES.sub("T", text))


async def _run(launcher: PythonLauncher, code_dir: str, case: Case, way: str, layers: tuple[str, ...]) -> Outcome:
    environ = {"AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}", **case.environ}
    if way == "exec":
        environ.setdefault("PYTHONHASHSEED", "random")
    elif way == "ric":
        environ["AWS_LAMBDA_EXEC_WRAPPER"] = "/opt/ric.sh"
    outcome = Outcome()
    fields = {"handler": case.handler, "environ": environ, "layer_dirs": layers, "runtime": RUNTIME}
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(environment(launcher, code_dir, frames=way != "ric", **fields))
        assert running.process.start_path == ("exec" if way != "fork" else running.process.start_path)
        if way == "ric":
            await stack.enter_async_context(runtime_api(running))
        word = await running.word()
        outcome.tell(word)
        payloads = list(case.raw_events) or [json.dumps(event).encode() for event in case.events]
        for number, payload in enumerate(payloads if word[0] == "ready" else []):
            request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{case.name}/{number}"))
            word = await running.invoke(raw=payload, request_id=request_id, **case.fields)
            outcome.tell(word)
            if word[0] == "exited":
                break
        if word[0] == "init_failed":
            outcome.words.append(["exited", await running.status()])
        outcome.logs = [_alike(line) for line in await running.logs()]
    return outcome


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_same_by_fork_exec_and_awslambdaric(
    case: Case,
    confined: PythonLauncher,
    tmp_path: Path,
    ric_layer: str,
    cache_dir: str,
) -> None:
    if RUNTIME not in confined.describe().interpreters:
        pytest.skip(f"no {RUNTIME} that functions can use")
    code = tmp_path / "code"
    if case.wheels:
        installed = vendored(case.wheels, cache_dir, RUNTIME.removeprefix("python"))
        if installed is None:
            pytest.skip(f"{', '.join(case.wheels)} cannot be fetched")
        shutil.copytree(installed, code)
    write_package(code, {**({"app.py": case.source} if case.source or not case.files else {}), **case.files})
    layers = tuple(write_package(tmp_path / f"layer{n}", files) for n, files in enumerate(case.layers))
    outcomes = {}
    for way in case.ways:
        outcomes[way] = await _run(confined, str(code), case, way, (ric_layer,) if way == "ric" else layers)
    first, *others = outcomes
    if case.expect:
        answer = str(outcomes[first].words)
        assert case.expect in answer or repr(case.expect)[1:-1] in answer or json.dumps(case.expect)[1:-1] in answer
    for other in others:
        assert outcomes[first].words == outcomes[other].words, f"{first} and {other} answer differently"
        assert outcomes[first].logs == outcomes[other].logs, f"{first} and {other} log differently"
