"""A runtime that is not ours, in a real environment: it streams its responses over the HTTP Runtime API.

It is an executable in a layer, started by an exec wrapper's way as AWS's own client is in the differential tests, and
knows of Lambda what AWS's page on custom runtimes says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.runtimes.session import SessionState
from tests.runtimes.harness import Running, environment, runtime_api, write_package
from tests.support import eventually_async

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
_BOOTSTRAP = """#!/var/lang/bin/{runtime}
import base64, http.client, json, os, signal
os.environ.pop("AWS_LAMBDA_EXEC_WRAPPER")
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
ROOT = "/2018-06-01/runtime/invocation/"

def post(request_id, parts, trailers):
    api.putrequest("POST", ROOT + request_id + "/response")
    api.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
    api.putheader("Transfer-Encoding", "chunked")
    api.putheader("Content-Type", "text/event-stream")
    api.endheaders()
    for part in parts:
        api.send(b"%x\\r\\n%b\\r\\n" % (len(part), part))
    api.send(b"0\\r\\n" + b"".join(b"%b: %b\\r\\n" % item for item in trailers.items()) + b"\\r\\n")
    answer = api.getresponse()
    answer.read()
    return answer.status

def parts(event):
    yield b"one"
    if event == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "cut":
        api.close()
        raise ConnectionError
    if event == "much":
        for _ in range(1000):
            yield bytes(10_000)
    yield b"two"

while True:
    api.request("GET", ROOT + "next")
    work = api.getresponse()
    event = json.loads(work.read())
    if work.status == 403:  # the connection it cut may be seen to end after this request
        continue
    trailers = {{}}
    if event == "fail":
        error = base64.b64encode(json.dumps({{"errorMessage": "no", "errorType": "Custom.Oops"}}).encode())
        name = b"Lambda-Runtime-Function-Error-"
        trailers = {{name + b"Type": b"Custom.Oops", name + b"Body": error}}
    try:
        status = post(work.headers["Lambda-Runtime-Aws-Request-Id"], parts(event), trailers)
        print("posted", status, flush=True)
    except ConnectionError:
        print("cut", flush=True)
"""


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_package(tmp_path_factory.mktemp("layer"), {"runtime.sh": _BOOTSTRAP.format(runtime=RUNTIME)})


@contextlib.asynccontextmanager
async def custom_runtime(launcher: PythonLauncher, layer: str, tmp_path: Path) -> AsyncIterator[Running]:
    if RUNTIME not in launcher.describe().interpreters:
        pytest.skip(f"no {RUNTIME} that functions can use")
    code = write_package(tmp_path / "code", "")
    environ = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/runtime.sh"}
    fields = {"environ": environ, "layer_dirs": (layer,), "runtime": RUNTIME}
    async with environment(launcher, code, frames=False, **fields) as running, runtime_api(running):
        yield await running.ready()


async def _until(running: Running, last: str) -> list[tuple[object, ...]]:
    words = [await running.word()]
    while words[-1][0] != last:
        assert words[-1][0] == "streamed", (words[-1], bytes(running.printed))
        words.append(await running.word())
    return words


def _payload(words: list[tuple[object, ...]]) -> bytes:
    return b"".join(word[1] for word in words if word[0] == "streamed" and isinstance(word[1], bytes))


async def test_it_streams(confined: PythonLauncher, layer: str, tmp_path: Path) -> None:
    async with custom_runtime(confined, layer, tmp_path) as running:
        for _ in range(2):
            assert await running.invoke(None) == ("began_stream", "text/event-stream")
            words = await _until(running, "ended_stream")
            assert _payload(words) == b"onetwo"
            assert words[-1] == ("ended_stream", "", b"")
            await eventually_async(lambda: b"posted 202" in running.printed)


async def test_its_trailers_tell_of_an_error(confined: PythonLauncher, layer: str, tmp_path: Path) -> None:
    async with custom_runtime(confined, layer, tmp_path) as running:
        await running.invoke("fail")
        words = await _until(running, "ended_stream")
        assert _payload(words) == b"onetwo"
        assert words[-1][1] == "Custom.Oops"
        assert json.loads(str(words[-1][2], "utf-8") if isinstance(words[-1][2], bytes) else "")["errorMessage"] == "no"


async def test_it_dies_in_mid_response(confined: PythonLauncher, layer: str, tmp_path: Path) -> None:
    async with custom_runtime(confined, layer, tmp_path) as running:
        await running.invoke("die")
        words = await _until(running, "cut_stream")
        assert _payload(words) == b"one"
        assert await running.status() == -signal.SIGKILL


async def test_it_cuts_its_response_and_serves_on(confined: PythonLauncher, layer: str, tmp_path: Path) -> None:
    async with custom_runtime(confined, layer, tmp_path) as running:
        await running.invoke("cut")
        assert _payload(await _until(running, "cut_stream")) == b"one"
        assert running.session.state is SessionState.IDLE
        await running.invoke(None)
        assert _payload(await _until(running, "ended_stream")) == b"onetwo"


async def test_it_waits_while_nobody_takes_its_bytes(confined: PythonLauncher, layer: str, tmp_path: Path) -> None:
    async with custom_runtime(confined, layer, tmp_path) as running:
        running.told.pause_at_begin = True
        assert (await running.invoke("much"))[0] == "began_stream"
        word = asyncio.ensure_future(_until(running, "ended_stream"))
        await asyncio.wait({word}, timeout=0.3)
        assert not word.done()
        assert running.told.streamed_bytes < 1_000_000, "what one read brought, of ten million"
        assert running.told.transport is not None
        running.told.transport.resume_reading()
        assert len(_payload(await word)) == 10_000_006
