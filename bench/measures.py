"""The measurements behind the budgets, one function each; `run.py` puts them in order and prints them."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import quote

from bench import load
from pilotlight.cli.node_process import NodeProcess

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/bench"
HELLO = "def handler(event, context):\n    return {'hello': event.get('name', 'world')}\n"
HELLO_BOTO3 = "import boto3\n" + HELLO
ACTIVE_LIMIT_S = 120


class Quantiles(NamedTuple):
    """Of `count` measurements, in milliseconds."""

    p50_ms: float
    p99_ms: float
    count: int

    @classmethod
    def of(cls, values: list[float]) -> Quantiles:
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], len(ordered))


URL = """
def handler(event, context):
    return event if event["rawPath"] == "/event" else {"statusCode": 200, "body": "hello"}
"""


class Pair(NamedTuple):
    """Probe and Pilotlight in the same rounds: medians of the rounds, and the median of the rounds' ratios. Of function
    URLs, Invoke stands in the probe's place."""

    probe: float
    node: float
    ratio: float


def invocations_url(endpoint: str, name: str) -> str:
    return f"{endpoint}/2015-03-31/functions/{name}/invocations"


@contextlib.contextmanager
def probe(environments: int = 16) -> Generator[str]:
    """The limit probe, as a URL to send invocations to."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.probe", str(environments)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/invocations"
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def node(**settings: object) -> Generator[NodeProcess]:
    """A node in a temporary data directory. The account's quotas are raised: they are not what is measured."""
    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-", ignore_cleanup_errors=True) as directory:
        process = NodeProcess(
            Path(directory) / "data", dies_with_us=True, concurrency=100_000, request_rate=0, scaling_rate=0, **settings
        )
        process.start()
        try:
            yield process
        finally:
            process.stop()


class Api:
    """The few Lambda calls that measuring needs, over one kept connection, without an SDK's own time in the figures."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Authorization": load.AUTHORIZATION, "X-Amz-Date": "20261121T000000Z"}

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, body=content, headers=self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300 or answer.getheader("x-amz-function-error"):
            raise RuntimeError(f"{method} {path} answered {answer.status}: {text[:500].decode(errors='replace')}")
        return json.loads(text) if text else {}

    def create(self, name: str, source: str, **members: object) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(zipfile.ZipInfo("app.py", (2026, 1, 1, 0, 0, 0)), source)
        code = {"ZipFile": base64.b64encode(buffer.getvalue()).decode()}
        self.call(
            "POST",
            "/2015-03-31/functions",
            {"FunctionName": name, "Runtime": RUNTIME, "Role": ROLE, "Handler": "app.handler", "Code": code, **members},
        )

    def wait_active(self, name: str) -> None:
        deadline = time.monotonic() + ACTIVE_LIMIT_S
        while self.call("GET", f"/2015-03-31/functions/{name}/configuration")["State"] != "Active":
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} is not Active after {ACTIVE_LIMIT_S} s")
            time.sleep(0.01)

    def timed_invoke_ms(self, name: str) -> float:
        started = time.perf_counter()
        self.call("POST", f"/2015-03-31/functions/{name}/invocations", {"name": "bench"})
        return (time.perf_counter() - started) * 1000


def warm(probe_url: str, node_url: str, *, connections: int, seconds: float, rounds: int, what: str) -> Pair:
    """`what` ("rate" or "p50_us") of both, in turns, so that a machine that slows down slows both."""

    def of(url: str) -> Callable[[float], load.Load]:
        return lambda length_s: load.run(url, connections=connections, seconds=length_s)

    return in_turns(of(probe_url), of(node_url), seconds=seconds, rounds=rounds, what=what)


def in_turns(
    probe: Callable[[float], load.Load],
    node: Callable[[float], load.Load],
    *,
    seconds: float,
    rounds: int,
    what: str,
) -> Pair:
    """`what` of two loads, each given the seconds of a round, one after the other."""
    node(1)
    probe(1)
    seen: list[tuple[float, float]] = []
    for _ in range(rounds):
        of_probe, of_node = probe(seconds), node(seconds)
        if of_node.failed:
            raise RuntimeError(f"{of_node.failed} of {of_node.requests} requests failed")
        seen.append((getattr(of_probe, what), getattr(of_node, what)))
    return Pair(
        statistics.median(a for a, _ in seen),
        statistics.median(b for _, b in seen),
        statistics.median(b / a for a, b in seen),
    )


def deploy(node: NodeProcess, name: str, source: str = HELLO, **members: object) -> str:
    """Create a function, wait until it is Active, and return the URL that invokes it."""
    with Api(node.port) as api:
        api.create(name, source, **members)
        api.wait_active(name)
    return invocations_url(node.endpoint, name)


class UrlAndInvoke(NamedTuple):
    """One function's URL, and what invokes it with the event that a call of the URL is."""

    endpoint: str
    host: str
    invocations: str
    event: str

    def compare(self, *, connections: int, seconds: float, rounds: int, what: str) -> Pair:
        """`what` of Invoke and of the URL, in turns."""
        return in_turns(
            lambda length_s: load.run(self.invocations, connections=connections, seconds=length_s, body=self.event),
            lambda length_s: load.run(self.endpoint + "/", connections=connections, seconds=length_s, host=self.host),
            seconds=seconds,
            rounds=rounds,
            what=what,
        )


def deploy_url(node: NodeProcess, name: str) -> UrlAndInvoke:
    """Create a function with a URL that is open to everybody."""
    invocations = deploy(node, name, URL)
    with Api(node.port) as api:
        config = api.call("POST", f"/2021-10-31/functions/{name}/url", {"AuthType": "NONE"})
        for action in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"):
            permission = {"StatementId": action.partition(":")[2], "Action": action, "Principal": "*"}
            api.call("POST", f"/2015-03-31/functions/{name}/policy", permission)
    host = str(config["FunctionUrl"]).split("/")[2]
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", node.port, timeout=120)) as connection:
        connection.request("POST", "/event", b"{}", {"Host": host, "Content-Type": "application/json"})
        event = json.loads(connection.getresponse().read())
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/"
    return UrlAndInvoke(node.endpoint, host, invocations, json.dumps(event, separators=(",", ":")))


def cold(port: int, prefix: str, source: str, count: int) -> Quantiles:
    """The first invocation of `count` new functions, each with a package of its own, request to answer.

    The functions are Active before any is invoked, as a user's are. A few more go first, uncounted: they start the
    fork server, which is a cost of the node's first minute and not of a cold start.
    """
    names = [f"{prefix}-{number}" for number in range(count + 3)]
    with Api(port) as api:
        for number, name in enumerate(names):
            api.create(name, f"{source}# {number}\n")
        for name in names:
            api.wait_active(name)
        return Quantiles.of([api.timed_invoke_ms(name) for name in names][3:])


class Drain(NamedTuple):
    """Events run a second while nothing else happens, and synchronous invocations a second of the same function."""

    rate: float
    sync_rate: float
    ratio: float
    events: int


def drain(events: int, seconds: float) -> Drain:
    """Have `events` accepted by a node that runs none, then see how fast one that does is rid of them."""
    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-", ignore_cleanup_errors=True) as directory:
        data = Path(directory) / "data"
        settings = {"dies_with_us": True, "concurrency": 100_000, "request_rate": 0}
        accepting = NodeProcess(data, **settings, async_concurrency=0)
        accepting.start()
        try:
            url = deploy(accepting, "drain")
            while _waiting(data) < events:
                load.run(url, connections=64, seconds=1, kind="Event")
        finally:
            accepting.stop()
        node = NodeProcess(data, **settings)
        total = _waiting(data)
        node.start()
        try:
            left, began = total, 0.0
            counted = total
            while left:
                if not began and left < total * 0.9:  # the first environments have been started
                    began, counted = time.perf_counter(), left
                time.sleep(0.02)
                left = _waiting(data)
            rate = counted / (time.perf_counter() - began)
            sync = load.run(invocations_url(node.endpoint, "drain"), connections=8, seconds=seconds)
        finally:
            node.stop()
    return Drain(rate, sync.rate, rate / sync.rate, total)


def _waiting(data: Path) -> int:
    """Items on the queues of the node whose data this is."""
    with contextlib.closing(sqlite3.connect(f"file:{data}/store.db?mode=ro", uri=True)) as database:
        return database.execute("SELECT COUNT(*) FROM queue_items INDEXED BY queue_items_available").fetchone()[0]


def start_seconds(data_dir: Path | None, count: int) -> Quantiles:
    """From exec of `pilotlight up` to its first answer to ListFunctions: on an empty directory, or on `data_dir`."""
    values: list[float] = []
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="pilotlight-bench-", ignore_cleanup_errors=True) as directory:
            process = NodeProcess(data_dir or Path(directory) / "data", dies_with_us=True)
            started = time.perf_counter()
            process.start()
            try:
                with Api(process.port) as api:
                    api.call("GET", "/2015-03-31/functions?MaxItems=1")
                values.append((time.perf_counter() - started) * 1000)
            finally:
                process.stop()
    return Quantiles.of(values)


def register(port: int, count: int, versions: int) -> float:
    """Create `count` functions with so many published versions each, on eight connections; the seconds it took.

    The node's states must settle at once (`state_delay_ms` 0).
    """

    def create(worker: int) -> None:
        with Api(port) as api:
            for number in range(worker, count, 8):
                name = f"registered-{number}"
                path = f"/2015-03-31/functions/{name}"
                api.create(name, HELLO)
                for version in range(versions):
                    api.call("PUT", f"{path}/configuration", {"Description": f"version {version + 1}"})
                    api.call("POST", f"{path}/versions", {})

    started = time.perf_counter()
    with ThreadPoolExecutor(8) as workers:
        for _ in workers.map(create, range(8)):
            pass
    return time.perf_counter() - started


def page_times(port: int, query: str) -> tuple[Quantiles, int]:
    """ListFunctions from its first page to its last: what a page took, and how many items all of them held."""
    values: list[float] = []
    items = 0
    marker = ""
    with Api(port) as api:
        while True:
            path = f"/2015-03-31/functions?MaxItems=50{query}{marker and '&Marker=' + quote(marker)}"
            started = time.perf_counter()
            answer = api.call("GET", path)
            values.append((time.perf_counter() - started) * 1000)
            items += len(cast("list[object]", answer["Functions"]))
            marker = str(answer.get("NextMarker") or "")
            if not marker:
                return Quantiles.of(values), items


class IdleMemory(NamedTuple):
    """Mean proportional set size of an environment, all its processes together, and how many were looked at."""

    mean_mib: float
    environments: int


def idle_environment_memory(node_pid: int) -> IdleMemory | None:
    """Of the environments alive. None where they cannot be told apart (no pid namespaces) or are not ours to look at.

    An environment is an innermost pid namespace with a runtime beside its init: what is further out is a fork server,
    and a namespace with an init alone was made ahead of need.
    """
    children: dict[int, list[int]] = {}
    depth: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            status = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            children.setdefault(int(status["PPid"]), []).append(int(path.parent.name))
            depth[int(path.parent.name)] = len(status["NSpid"].split())
    below: list[int] = []
    todo = [node_pid]
    while todo:
        found = children.get(todo.pop(), [])
        below += found
        todo += found
    innermost = max((depth[pid] for pid in below), default=0)
    if innermost <= depth[node_pid]:
        return None
    by_namespace: dict[Path, list[float]] = {}
    try:
        for pid in below:
            if depth[pid] == innermost:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                pss_kib = int(rollup.split("Pss:", 1)[1].split()[0])
                by_namespace.setdefault(Path(f"/proc/{pid}/ns/pid").readlink(), []).append(pss_kib / 1024)
    except (OSError, IndexError):
        return None
    environments = [sum(processes) for processes in by_namespace.values() if len(processes) > 1]
    return IdleMemory(statistics.mean(environments), len(environments)) if environments else None
