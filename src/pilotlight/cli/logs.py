"""`pilotlight logs`: what a function wrote, and with -f what it writes, as it is written.

A client like any other: FilterLogEvents for what there is, StartLiveTail for what comes. A line says which request it
belongs to where it can; where it cannot, its stream does: a stream is one environment's, which serves one request at a
time, between START and REPORT.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from pilotlight.cli.client import aws_client, errors_as_sentences, node_options

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PLATFORM = re.compile(r"INIT_START |START |END |REPORT |INIT_REPORT |XRAY |RESTORE_|\[pilotlight\] |\{\"time\":")
_REQUEST = re.compile(r"(START|END|REPORT) RequestId: (\S+)")
_JSON_REQUEST = re.compile(r'"(?:requestId|AWSRequestId|aws_request_id|function_request_id)":\s*"([0-9a-f-]{36})"')
_TEXT_REQUEST = re.compile(r"\t([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\t")
_ERROR = re.compile(r"\[ERROR\]|\[CRITICAL\]|^Traceback |Status: (?:timeout|error)|Task timed out")
_COLOURS = ("cyan", "magenta", "blue", "yellow", "green", "bright_cyan", "bright_magenta", "bright_blue")
_GROUP_LINES = 1_000
_OVERLAP_MS = 60_000
"""How long before the tail was opened a past event may be from and still come again through the tail."""


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on showing lines as they are written, until Ctrl-C.")
@click.option(
    "--since",
    metavar="TIME",
    default="10m",
    show_default=True,
    help="How far back: 30s, 10m, 2h, 3d, 1w, or a time like 2026-11-21T03:00 (UTC).",
)
@click.option(
    "--filter", "pattern", metavar="PATTERN", default="", help="A CloudWatch Logs filter pattern, for example ERROR."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line: timestamp, stream, request id, message.")
@node_options
def logs(name: str, follow: bool, since: str, pattern: str, as_json: bool, endpoint: str, region: str) -> None:
    """Show the log of the function NAME (a name, an ARN, or a log group that begins with a slash).

    \b
    Examples:
      pilotlight logs hello -f
      pilotlight logs hello --since 1h --filter '{ $.level = "ERROR" }'

    Times are UTC. Each line has its request's short id before it; what a request wrote stands together, except that
    with -f lines appear as they are written, and requests that run at once take turns.
    """
    since_ms = _since_ms(since)
    show = _show_json if as_json else Screen(colours=_colours_wanted())
    with errors_as_sentences(endpoint):
        group = _log_group(name, endpoint, region)
        client = aws_client("logs", endpoint, region, read_timeout_s=30)
        try:
            if follow:
                events = _live(client, group, since_ms, pattern)
            else:
                events = _past(client, group, since_ms, pattern)
                if not as_json and not pattern:
                    events = _together(events)
            for event in events:
                show(event)
                sys.stdout.flush()
        except KeyboardInterrupt:
            sys.exit(0 if follow else 130)


class Event(msgspec.Struct, frozen=True):
    timestamp_ms: int
    stream: str
    message: str
    request_id: str


class Requests:
    """Tells which request an event belongs to; `filtered` when START and REPORT may not be among the events."""

    def __init__(self, *, filtered: bool) -> None:
        self._filtered = filtered
        self._running: dict[str, str] = {}

    def event(self, told: dict[str, Any]) -> Event:
        stream, message = told["logStreamName"], told["message"]
        return Event(told["timestamp"], stream, message, self._request(stream, message))

    def _request(self, stream: str, message: str) -> str:
        if platform := _REQUEST.match(message):
            if platform[1] == "START":
                self._running[stream] = platform[2]
            elif platform[1] == "REPORT":
                self._running.pop(stream, None)
            return platform[2]
        if own := (_JSON_REQUEST if message.startswith("{") else _TEXT_REQUEST).search(message):
            if message.startswith('{"time":') and '"platform.start"' in message:
                self._running[stream] = own[1]
            return own[1]
        return "" if self._filtered else self._running.get(stream, "")


def _past(client: Any, group: str, since_ms: int, pattern: str, requests: Requests | None = None) -> Iterator[Event]:
    requests = requests or Requests(filtered=bool(pattern))
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=since_ms, filterPattern=pattern
    )
    for page in pages:
        for told in page["events"]:
            yield requests.event(told)


def _live(client: Any, group: str, since_ms: int, pattern: str) -> Iterator[Event]:
    """What there is, then what comes. The tail is opened first, and what both tell of is told once."""
    arn = _wait_for_group(client, group)
    requests = Requests(filtered=bool(pattern))
    while True:
        overlap_ms = int(time.time() * 1000) - _OVERLAP_MS
        tail = iter(client.start_live_tail(logGroupIdentifiers=[arn], logEventFilterPattern=pattern)["responseStream"])
        next(tail)  # sessionStart: whatever is written from here on comes through the tail
        twice: dict[tuple[str, int, str], int] = {}
        for event in _past(client, group, since_ms, pattern, requests):
            if event.timestamp_ms >= overlap_ms:
                key = (event.stream, event.timestamp_ms, event.message)
                twice[key] = twice.get(key, 0) + 1
            since_ms = max(since_ms, event.timestamp_ms + 1)
            yield event
        for update in _updates(tail):
            if update["sessionMetadata"]["sampled"]:
                click.echo("Lines came faster than they could be shown; some are left out here.", err=True)
            for told in update["sessionResults"]:
                key = (told["logStreamName"], told["timestamp"], told["message"])
                if twice.get(key):
                    twice[key] -= 1
                else:
                    since_ms = max(since_ms, told["timestamp"] + 1)
                    yield requests.event(told)
            if not update["sessionResults"]:
                twice.clear()  # the tail has caught up: nothing of before is still to come


def _updates(tail: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Session updates until the session is over, by its time or by the node's end."""
    from botocore.exceptions import EventStreamError, HTTPClientError
    from urllib3.exceptions import HTTPError

    try:
        for update in tail:
            yield update["sessionUpdate"]
    except EventStreamError:
        return  # SessionTimeoutException, after three hours: the next session goes on
    except HTTPError as error:
        raise HTTPClientError(error=error) from error


def _wait_for_group(client: Any, group: str) -> str:
    """The ARN of a log group, which is made when its function first runs."""
    said = False
    while True:
        for found in client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            if found["logGroupName"] == group:
                return found["logGroupArn"]
        if not said:
            click.echo(f"Nothing has been logged to {group} yet; waiting.", err=True)
            said = True
        time.sleep(0.25)


def _together(events: Iterable[Event]) -> Iterator[Event]:
    """The events of each request one after the other; requests in the order they ended."""
    held: dict[str, list[Event]] = {}
    for event in events:
        lines = held.setdefault(event.stream, [])
        lines.append(event)
        if event.message.startswith("REPORT ") or '"platform.report"' in event.message or len(lines) > _GROUP_LINES:
            yield from held.pop(event.stream)
    for lines in held.values():
        yield from lines


class Screen:
    """Lines for people: time, the request's short id where it changes, a bar in its colour, the text."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._last: tuple[str, str] | None = None

    def __call__(self, event: Event) -> None:
        mark = (event.stream, event.request_id)
        label = (event.request_id[:8] or "-") if mark != self._last else ""
        self._last = mark
        key = event.request_id or event.stream
        colour = _COLOURS[sum(key.encode()) % len(_COLOURS)]
        at = datetime.fromtimestamp(event.timestamp_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
        bar = self._style("│", fg=colour)
        for line in event.message.rstrip("\r\n").replace("\r", "\n").split("\n"):
            head = f"{self._style(f'{at:12}', dim=True)} {self._style(f'{label:8}', fg=colour, bold=True)}"
            click.echo(f"{head} {bar} {self._body(line)}", color=self._colours)
            at = label = ""

    def _body(self, line: str) -> str:
        if _ERROR.search(line):
            return self._style(line, fg="red")
        return self._style(line, dim=True) if _PLATFORM.match(line) else line

    def _style(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self._colours else text


def _show_json(event: Event) -> None:
    line = {
        "timestamp": event.timestamp_ms,
        "logStreamName": event.stream,
        "requestId": event.request_id,
        "message": event.message,
    }
    click.echo(json.dumps(line, ensure_ascii=False))


def _colours_wanted() -> bool:
    """Only on a terminal, and not where the user says no (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _log_group(name: str, endpoint: str, region: str) -> str:
    """The function's log group: by its configuration, or Lambda's default for one that is gone."""
    from botocore.exceptions import ClientError

    if name.startswith("/"):
        return name
    try:
        found = aws_client("lambda", endpoint, region, read_timeout_s=30).get_function_configuration(FunctionName=name)
        return found["LoggingConfig"]["LogGroup"]
    except (ClientError, KeyError):
        parts = name.split(":")
        return f"/aws/lambda/{parts[6] if len(parts) > 6 else name}"


def _since_ms(text: str) -> int:
    if found := re.fullmatch(r"(\d+)([smhdw])", text):
        return max(0, int((time.time() - int(found[1]) * _UNITS_S[found[2]]) * 1000))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a span like 10m nor a time like 2026-11-21T03:00.", param_hint="--since"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
