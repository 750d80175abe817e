"""The AWS CLI v2 (where it is installed) and `pilotlight logs` as processes of their own, against the API over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pilotlight.observe import lines
from pilotlight.observe.logs import LogStream
from tests.observe.conftest import GROUP, LogsServer
from tests.support.waiting import eventually_async

FIRST, SECOND = "11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "22222222-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
PILOTLIGHT = [sys.executable, "-c", "from pilotlight.cli import main; main()"]


def _aws_v2() -> str | None:
    for directory in ("/usr/bin", "/usr/local/bin", *os.environ.get("PATH", "").split(":")):
        path = shutil.which("aws", path=directory)
        if path and b"aws-cli/2" in subprocess.run([path, "--version"], capture_output=True).stdout:
            return path
    return None


AWS = _aws_v2()
needs_aws = pytest.mark.skipif(AWS is None, reason="no AWS CLI v2 (Debian: awscli) on this machine")


async def output_of(*command: str, environ: dict[str, str]) -> tuple[int, str, str]:
    done = await asyncio.to_thread(subprocess.run, command, env=environ, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@contextmanager
def running(*command: str, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


async def next_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), 30)).decode()


def one_request(stream: LogStream, request_id: str, now_ms: int, *texts: str) -> None:
    stream.append(now_ms, lines.start(request_id, "$LATEST"))
    for text in texts:
        stream.append(now_ms + 1, text)
    stream.append(now_ms + 2, lines.end(request_id))
    stream.append(now_ms + 2, lines.report(request_id, 1.5, 2, 128, 36))


@needs_aws
async def test_aws_logs_tail_follow_shows_what_is_appended(
    stream_of: Callable[..., LogStream], client_environ: dict[str, str], logs_server: LogsServer
) -> None:
    assert AWS is not None
    stream = stream_of()
    now_ms = int(time.time() * 1000)
    one_request(stream, FIRST, now_ms, "hello\n")
    # Debian's 2.9 does not read AWS_ENDPOINT_URL.
    command = [AWS, "--endpoint-url", logs_server.url, "logs", "tail", GROUP, "--follow", "--format", "short"]
    with running(*command, environ=client_environ) as tail:
        seen = [await next_line(tail) for _ in range(4)]
        assert seen[0].endswith(f"START RequestId: {FIRST} Version: $LATEST\n")
        assert seen[1].endswith(" hello\n")
        assert "\tMax Memory Used: 36 MB" in seen[3]
        one_request(stream, SECOND, now_ms + 3, "again\n")
        seen = [await next_line(tail) for _ in range(4)]
        assert seen[0].endswith(f"START RequestId: {SECOND} Version: $LATEST\n")
        assert seen[1].endswith(" again\n")


@needs_aws
async def test_aws_cli_drives_the_logs_commands(
    stream_of: Callable[..., LogStream], client_environ: dict[str, str], logs_server: LogsServer
) -> None:
    assert AWS is not None
    one_request(stream_of("one"), FIRST, int(time.time() * 1000), "ERROR it broke\n")

    async def aws(*arguments: str) -> dict[str, list[dict[str, str]]]:
        command = [str(AWS), "--endpoint-url", logs_server.url, "logs", *arguments, "--output", "json"]
        status, out, err = await output_of(*command, environ=client_environ)
        assert status == 0, err
        return json.loads(out)

    groups, streams, events, filtered = await asyncio.gather(
        aws("describe-log-groups"),
        aws("describe-log-streams", "--log-group-name", GROUP, "--order-by", "LastEventTime", "--descending"),
        aws("get-log-events", "--log-group-name", GROUP, "--log-stream-name", "one", "--limit", "1"),
        aws("filter-log-events", "--log-group-name", GROUP, "--filter-pattern", "ERROR"),
    )
    assert groups["logGroups"][0]["logGroupName"] == GROUP
    assert streams["logStreams"][0]["logStreamName"] == "one"
    assert events["events"][0]["message"].startswith(f"REPORT RequestId: {FIRST}\tDuration: 1.50 ms\t")
    assert [event["message"] for event in filtered["events"]] == ["ERROR it broke\n"]


async def test_pilotlight_logs_puts_each_request_together(
    stream_of: Callable[..., LogStream], client_environ: dict[str, str], logs_server: LogsServer
) -> None:
    now_ms = int(time.time() * 1000) - 1000
    a, b = stream_of("a"), stream_of("b")
    a.append(now_ms, lines.start(FIRST, "$LATEST"))
    b.append(now_ms, lines.start(SECOND, "$LATEST"))
    a.append(now_ms + 1, "from a\n")
    b.append(now_ms + 1, "from b\r second line of b\n")
    for stream, request_id in ((a, FIRST), (b, SECOND)):
        stream.append(now_ms + 2, lines.report(request_id, 1.0, 1, 128, 36))
    status, out, err = await output_of(
        *PILOTLIGHT, "logs", "hello", "--endpoint", logs_server.url, environ=client_environ
    )
    assert status == 0, err
    # Time, id and bar apart, this is what is read.
    rows = [re.match(r"(\S+| +) (.{8}) │ (.*)", line) for line in out.splitlines()]
    assert [(row[2].strip(), row[3][:12]) for row in rows if row] == [
        ("11111111", "START Reques"),
        ("", "from a"),
        ("", "REPORT Reque"),
        ("22222222", "START Reques"),
        ("", "from b"),
        ("", " second line"),
        ("", "REPORT Reque"),
    ]
    assert "\x1b" not in out, "no colours where there is no terminal"


async def test_pilotlight_logs_follow_shows_lines_as_they_are_written(
    stream_of: Callable[..., LogStream], client_environ: dict[str, str], logs_server: LogsServer
) -> None:
    a, b = stream_of("a"), stream_of("b")
    now_ms = int(time.time() * 1000)
    a.append(now_ms, lines.start(FIRST, "$LATEST"))
    command = [*PILOTLIGHT, "logs", "-f", "hello", "--json", "--endpoint", logs_server.url]
    with running(*command, environ=client_environ) as tail:
        assert json.loads(await next_line(tail))["message"].startswith("START")
        await eventually_async(lambda: a.group.listeners)
        b.append(now_ms + 1, lines.start(SECOND, "$LATEST"))
        a.append(now_ms + 2, "one\n")
        b.append(now_ms + 2, "two\n")
        a.append(now_ms + 2, "one\n")
        seen = [json.loads(await next_line(tail)) for _ in range(4)]
        assert [(event["requestId"], event["message"]) for event in seen[1:]] == [
            (FIRST, "one\n"),
            (SECOND, "two\n"),
            (FIRST, "one\n"),
        ]
        tail.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(tail.wait, 30) == 0


async def test_pilotlight_logs_follow_waits_for_the_first_line(
    stream_of: Callable[..., LogStream], client_environ: dict[str, str], logs_server: LogsServer
) -> None:
    command = [*PILOTLIGHT, "logs", "-f", "hello", "--endpoint", logs_server.url]
    with running(*command, environ=client_environ) as tail:
        assert tail.stderr is not None
        waiting = await asyncio.wait_for(asyncio.to_thread(tail.stderr.readline), 30)
        assert waiting.decode() == f"Nothing has been logged to {GROUP} yet; waiting.\n"
        stream_of().append(int(time.time() * 1000), "first\n")
        assert (await next_line(tail)).endswith("│ first\n")


async def test_pilotlight_logs_filters_and_says_what_is_wrong(
    stream_of: Callable[..., LogStream], client_environ: dict[str, str], logs_server: LogsServer
) -> None:
    now_ms = int(time.time() * 1000)
    stream_of().append(now_ms, '{"level": "ERROR", "requestId": "' + FIRST + '"}\n')
    stream_of().append(now_ms, '{"level": "INFO"}\n')
    stream_of().append(now_ms - 3_600_000, '{"level": "ERROR", "old": true}\n')
    base = [*PILOTLIGHT, "logs", "hello", "--endpoint", logs_server.url]
    good, bad, nonsense, missing, nobody = await asyncio.gather(
        output_of(*base, "--filter", '{ $.level = "ERROR" }', "--json", environ=client_environ),
        output_of(*base, "--filter", "a:b", environ=client_environ),
        output_of(*base, "--since", "yesterday", environ=client_environ),
        output_of(*PILOTLIGHT, "logs", "/no/group", "--endpoint", logs_server.url, environ=client_environ),
        output_of(*PILOTLIGHT, "logs", "/no/group", "--endpoint", "http://127.0.0.1:9", environ=client_environ),
    )
    assert [json.loads(line)["requestId"] for line in good[1].splitlines()] == [FIRST]
    assert bad[0] == 1
    assert "Invalid character(s) in term ':'" in bad[2]
    assert nonsense[0] == 2
    assert "neither a span like 10m nor a time" in nonsense[2]
    assert missing[0] == 1
    assert "The specified log group does not exist." in missing[2]
    assert nobody[0] == 1
    assert "No node answers at http://127.0.0.1:9" in nobody[2]
    assert "Traceback" not in bad[2] + nonsense[2] + missing[2] + nobody[2]


def on_a_terminal(command: list[str], environ: dict[str, str]) -> str:
    """What a command writes when its standard output is a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen(command, env=environ, stdout=slave, stdin=slave) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal's other end has closed
            while data := os.read(master, 4096):
                shown += data
        assert process.wait(30) == 0
    os.close(master)
    return shown.decode()


async def test_colours_are_for_terminals_and_for_those_who_want_them(
    stream_of: Callable[..., LogStream], client_environ: dict[str, str], logs_server: LogsServer
) -> None:
    one_request(stream_of(), FIRST, int(time.time() * 1000), "[ERROR] it broke\n")
    command = [*PILOTLIGHT, "logs", "hello", "--endpoint", logs_server.url]
    environ = {name: value for name, value in client_environ.items() if name != "NO_COLOR"}
    coloured, plain = await asyncio.gather(
        asyncio.to_thread(on_a_terminal, command, environ),
        asyncio.to_thread(on_a_terminal, command, environ | {"NO_COLOR": "1"}),
    )
    assert "\x1b[31m[ERROR] it broke" in coloured
    assert "\x1b" not in plain
    assert "│ [ERROR] it broke" in plain


async def test_pilotlight_logs_follow_ends_with_a_sentence_when_the_node_goes(
    stream_of: Callable[..., LogStream], client_environ: dict[str, str], logs_server: LogsServer
) -> None:
    stream_of().append(int(time.time() * 1000), "first\n")
    command = [*PILOTLIGHT, "logs", "-f", "hello", "--endpoint", logs_server.url]
    with running(*command, environ=client_environ) as tail:
        assert (await next_line(tail)).endswith("│ first\n")
        await logs_server.stop()
        _, stderr = await asyncio.to_thread(tail.communicate, None, 30)
        assert tail.returncode == 1
    assert stderr.decode().startswith("Error: ")
    assert logs_server.url in stderr.decode()
    assert "Traceback" not in stderr.decode()
