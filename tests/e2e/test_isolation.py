"""What a function can neither see nor reach, tried from inside a function on a real node."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.functions import create, invoke
from tests.support import NodeProcess, node_process

PROBE = r"""
import errno, glob, os, signal, socket, subprocess

def attempt(call, *args):
    try:
        return repr(call(*args))
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

def connect(host, port):
    with socket.create_connection((host, port), 1):
        return 'connected'

def handler(event, context):
    kind = event['try']
    if kind == 'read':
        return attempt(lambda: open(event['path'], 'rb').read(20))
    if kind == 'list':
        return attempt(os.listdir, event['path'])
    if kind == 'write':
        return attempt(lambda: open(event['path'], 'w').write('x'))
    if kind == 'kill':
        return attempt(os.kill, event['pid'], 0)
    if kind == 'connect':
        return attempt(connect, event['host'], event['port'])
    if kind == 'processes':
        return sorted(int(name) for name in os.listdir('/proc') if name.isdigit())
    if kind == 'status':
        lines = open('/proc/self/status').read().splitlines()
        return dict(line.split(':\t', 1) for line in lines if line[:3] in ('Cap', 'NoN', 'Sec', 'Uid'))
    if kind == 'who':
        return [os.getuid(), os.getpid(), socket.gethostname(), [name for _, name in socket.if_nameindex()]]
    if kind == 'fds':
        return sorted(os.readlink(link) for link in glob.glob('/proc/self/fd/*') if os.path.islink(link))
    if kind == 'mount':
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0:
            return 'mounted'
        return errno.errorcode[ctypes.get_errno()]
    if kind == 'environ-of-init':
        return attempt(lambda: open('/proc/1/environ', 'rb').read()), attempt(os.listdir, '/proc/1/root')
"""


@pytest.fixture(scope="module")
def isolating() -> NodeProcess:  # type: ignore[misc]
    with node_process(state_delay_ms=0, neighbours=False) as node:
        facts = node.log()
        if "process" in facts and "namespaces" not in facts:
            pytest.skip("this machine allows no namespaces: `pilotlight doctor` says why")
        yield node  # type: ignore[misc]


@pytest.fixture(scope="module")
def probe(isolating: NodeProcess) -> str:
    create(isolating.client("lambda"), "probe", PROBE, Timeout=10)
    return "probe"


def test_no_host_files(isolating: NodeProcess, probe: str, tmp_path: Path) -> None:
    client = isolating.client("lambda")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    data = isolating.data_dir
    paths = [secret, data / "node.json", data, *data.iterdir(), "/root", "/home", "/etc/shadow", "/var/log", "/.host"]
    for path in paths:
        for kind in ("read", "list"):
            answer = invoke(client, probe, {"try": kind, "path": str(path)})
            assert answer in ("ENOENT", "EACCES", "ENOTDIR", "EISDIR", "[]"), f"{kind} {path}: {answer}"
            assert not (kind == "list" and answer == "EISDIR")
    assert str(os.getpid()) and invoke(client, probe, {"try": "list", "path": "/"})


def test_own_code_is_read_only(isolating: NodeProcess, probe: str) -> None:
    client = isolating.client("lambda")
    for path in ("/var/task/app.py", "/var/task/new", "/var/runtime/new", "/usr/new", "/etc/new", "/new"):
        assert invoke(client, probe, {"try": "write", "path": path}) in ("EROFS", "EACCES", "EPERM"), path
    assert invoke(client, probe, {"try": "write", "path": "/tmp/mine"}) == "1"


def test_tmp_is_private(isolating: NodeProcess, probe: str) -> None:
    client = isolating.client("lambda")
    create(client, "neighbour", PROBE)
    assert invoke(client, "neighbour", {"try": "write", "path": "/tmp/neighbours"}) == "1"
    assert invoke(client, probe, {"try": "read", "path": "/tmp/neighbours"}) == "ENOENT"
    assert invoke(client, "neighbour", {"try": "read", "path": "/tmp/neighbours"}) == "b'x'"


def test_no_outside_processes(isolating: NodeProcess, probe: str) -> None:
    client = isolating.client("lambda")
    _, pid, _, _ = invoke(client, probe, {"try": "who"})
    assert invoke(client, probe, {"try": "processes"}) == [1, pid]
    assert pid != 1
    for outside in (os.getpid(), isolating.pid):
        if outside != pid:
            assert invoke(client, probe, {"try": "kill", "pid": outside}) == "ESRCH"
    assert invoke(client, probe, {"try": "environ-of-init"}) == ["EACCES", "EACCES"]


def test_no_privileges(isolating: NodeProcess, probe: str) -> None:
    client = isolating.client("lambda")
    status = invoke(client, probe, {"try": "status"})
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, capabilities
    assert status["NoNewPrivs"] == "1"
    assert "0" not in status["Uid"].split()
    assert invoke(client, probe, {"try": "mount"}) == "EPERM"


def test_no_network_but_its_own_endpoints(isolating: NodeProcess, probe: str) -> None:
    client = isolating.client("lambda")
    uid, _, _, interfaces = invoke(client, probe, {"try": "who"})
    assert uid == 993
    assert interfaces == ["lo"]
    assert invoke(client, probe, {"try": "connect", "host": "127.0.0.1", "port": isolating.port}) == "ECONNREFUSED"
    assert invoke(client, probe, {"try": "connect", "host": "10.0.0.1", "port": 80}) in ("ENETUNREACH", "ENETDOWN")
    for port in (9001, 4566):
        assert "connected" in invoke(client, probe, {"try": "connect", "host": "127.0.0.1", "port": port})


def test_nothing_of_the_node_is_open(isolating: NodeProcess, probe: str) -> None:
    client = isolating.client("lambda")
    for target in invoke(client, probe, {"try": "fds"}):
        assert target.startswith(("pipe:", "socket:", "/dev/null", "/proc/", "anon_inode:")), target


def test_a_function_can_call_lambda_as_its_role(isolating: NodeProcess) -> None:
    client = isolating.client("lambda")
    create(client, "callee", "def handler(e, c):\n    return ['called', e]\n")
    create(
        client,
        "caller",
        "import boto3, json\n"
        "def handler(e, c):\n"
        "    answer = boto3.client('lambda').invoke(FunctionName='callee', Payload=json.dumps(e))\n"
        "    return json.loads(answer['Payload'].read())\n",
        Timeout=20,
    )
    assert invoke(client, "caller", 7) == ["called", 7]
