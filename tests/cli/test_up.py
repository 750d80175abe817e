"""`pilotlight up` as scripts use it: node.json, health, signals, and the sentences when it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support import NodeProcess, eventually, make_zip, node_process


def up(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `pilotlight up` when it is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "pilotlight", "up", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environ},
    )


def test_serves_says_where_and_stops_cleanly(tmp_path: Path) -> None:
    with node_process(tmp_path / "data") as node:
        facts = json.loads((tmp_path / "data/node.json").read_text())
        assert facts == {"pid": node.pid, "host": "127.0.0.1", "port": node.port}
        with urllib.request.urlopen(f"{node.endpoint}/_pilotlight/health") as answer:
            assert answer.status == 200
        assert node.stop() == 0
        assert not (tmp_path / "data/node.json").exists()
        log = node.log()
    assert node.endpoint in log
    for word in ("sandbox", "development, everything is allowed", "in memory", str(tmp_path / "data")):
        assert word in log, log
    assert "Traceback" not in log


def test_flags_win_over_environment_and_file(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('region = "eu-west-1"\naccount_id = "111111111111"\n')
    settings = ["--settings", str(tmp_path / "node.toml"), "--data-dir", str(tmp_path / "data")]
    process = subprocess.Popen(
        [sys.executable, "-m", "pilotlight", "up", *settings, "--port", "0", "--region", "eu-north-1"],
        env={**os.environ, "PILOTLIGHT_REGION": "eu-south-1", "PILOTLIGHT_ACCOUNT_ID": "222222222222"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        eventually((tmp_path / "data/node.json").exists)
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "region eu-north-1, account 222222222222" in output


def test_second_node_on_a_data_directory_is_refused_with_a_sentence(node: NodeProcess) -> None:
    result = up("--port", "0", "--data-dir", str(node.data_dir))
    assert result.returncode == 1
    assert "is in use by another node" in result.stderr
    assert "Traceback" not in result.stderr


def test_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = up("--port", str(port), "--data-dir", str(tmp_path / "data"))
    assert result.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "environ", "sentence"),
    [
        (["--host", "0.0.0.0"], {}, "auth"),
        (["--auth", "sigv4"], {}, "access_keys"),
        ([], {"PILOTLIGHT_PORT": "many"}, "PILOTLIGHT_PORT"),
        ([], {"PILOTLIGHT_SANDBOX": "bubblewrap"}, "sandbox"),
        ([], {"PILOTLIGHT_SANDBOKS": "process"}, "PILOTLIGHT_SANDBOKS"),
        (["--settings", "/nowhere/node.toml"], {}, "/nowhere/node.toml"),
    ],
)
def test_wrong_settings_are_refused(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], sentence: str
) -> None:
    result = up("--port", "0", "--data-dir", str(tmp_path / "data"), *arguments, **environ)
    assert result.returncode == 2, result.stderr
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_setting_in_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("porte = 1\n")
    result = up("--settings", str(tmp_path / "node.toml"), "--data-dir", str(tmp_path / "data"))
    assert result.returncode == 2
    assert "porte" in result.stderr


def test_a_call_in_flight_finishes_when_the_node_is_stopped(tmp_path: Path) -> None:
    with node_process(tmp_path / "data", state_delay_ms=0) as node:
        client = node.client("lambda")
        client.create_function(
            FunctionName="slow",
            Runtime=f"python{sys.version_info[0]}.{sys.version_info[1]}",
            Role="arn:aws:iam::000000000000:role/r",
            Handler="app.handler",
            Code={"ZipFile": make_zip("import time\ndef handler(e, c):\n    time.sleep(1)\n    return 'done'\n")},
        )
        client.get_waiter("function_active_v2").wait(FunctionName="slow", WaiterConfig={"Delay": 1})
        client.invoke(FunctionName="slow")
        import threading

        answers: list[bytes] = []
        call = threading.Thread(target=lambda: answers.append(client.invoke(FunctionName="slow")["Payload"].read()))
        call.start()

        def running() -> bool:
            with urllib.request.urlopen(f"{node.endpoint}/_pilotlight/health") as answer:
                return json.load(answer)["concurrentExecutions"] == 1

        eventually(running)
        assert node.stop() == 0
        call.join()
    assert answers == [b'"done"']


def test_a_restarted_node_has_its_functions(tmp_path: Path) -> None:
    with node_process(tmp_path / "data", state_delay_ms=0) as node:
        node.client("lambda").create_function(
            FunctionName="kept",
            Runtime=f"python{sys.version_info[0]}.{sys.version_info[1]}",
            Role="arn:aws:iam::000000000000:role/r",
            Handler="app.handler",
            Code={"ZipFile": make_zip("def handler(e, c):\n    return e\n")},
        )
        node.kill()
        node.start()
        client = node.client("lambda")
        assert [function["FunctionName"] for function in client.list_functions()["Functions"]] == ["kept"]


def test_banner_names_endpoints_without_their_credentials(tmp_path: Path) -> None:
    with node_process(tmp_path / "data", endpoints={"s3": "http://KEY:hush-hush@127.0.0.1:9000"}) as node:
        log = node.log()
    assert "s3: http://127.0.0.1:9000" in log
    assert "hush-hush" not in log


def test_process_sandbox_is_said_out_loud(tmp_path: Path) -> None:
    with node_process(tmp_path / "data", sandbox="process") as node:
        log = node.log()
    assert "functions are NOT isolated" in log
    assert "not enforced: isolation" in log
