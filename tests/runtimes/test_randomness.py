"""Two environments never share randomness, though they were forked from one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pilotlight.runtimes.python.launcher import PythonLauncher
from tests.runtimes.harness import Running, environment, function_spec, start

pytestmark = pytest.mark.asyncio(loop_scope="module")

Package = Callable[..., str]

_SOURCE = """
    import os, random, secrets, ssl, tempfile, uuid
    import boto3
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    from botocore.vendored import six
    at_import = [random.random(), ssl.RAND_bytes(16).hex(), uuid.uuid4().hex]
    def handler(event, context):
        file, name = tempfile.mkstemp()
        os.close(file)
        return at_import + [
            random.random(), random.SystemRandom().random(), secrets.token_hex(16), ssl.RAND_bytes(16).hex(),
            uuid.uuid4().hex, uuid.uuid1().hex, os.urandom(16).hex(), name, random.getrandbits(256),
            random.Random().random(), os.getpid(),
        ]
    """
_SAMPLES = 13


async def test_every_generator_differs_between_environments(confined: PythonLauncher, package: Package) -> None:
    code = package(_SOURCE)

    async def sample() -> list[object]:
        async with environment(confined, code) as running:
            assert running.process.start_path == "fork"
            return [*await (await running.ready()).result(), *await running.result()][:_SAMPLES]

    samples = [sample_ for _ in range(3) for sample_ in await asyncio.gather(*(sample() for _ in range(5)))]
    for column in zip(*samples, strict=True):
        assert len(set(column)) == len(samples), column


async def test_runtimes_have_different_pids(confined: PythonLauncher, package: Package) -> None:
    code = package("import os\ndef handler(event, context):\n    return os.getpid()\n")
    pids = set()
    for _ in range(6):
        async with environment(confined, code) as running:
            pids.add(await (await running.ready()).result())
    assert len(pids) > 3
    assert 1 not in pids


async def test_a_reset_does_not_repeat_itself(confined: PythonLauncher, package: Package) -> None:
    code = package(
        "import random, ssl\ndef handler(event, context):\n    return [random.random(), ssl.RAND_bytes(8).hex()]\n"
    )
    seen: list[list[object]] = []
    running: Running | None = None
    for _ in range(4):
        sandbox = running.process.sandbox if running else None
        running = await (await start(confined, function_spec(code), sandbox)).ready()
        seen.append(await running.result())
        await running.end()
    assert running is not None
    await running.process.sandbox.destroy()
    for column in zip(*seen, strict=True):
        assert len(set(column)) == len(seen)
