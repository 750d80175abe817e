"""`pilotlight invoke`: one call, the function's answer on stdout, everything else on stderr."""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from pilotlight.cli.client import aws_client, errors_as_sentences, node_options


@click.command()
@click.argument("name")
@click.option(
    "-p",
    "--payload",
    metavar="JSON|@FILE|-",
    default="{}",
    show_default=True,
    help="The event: JSON, a file after @, or - for standard input.",
)
@click.option("--async", "asynchronous", is_flag=True, help="Queue the event (InvocationType Event) and do not wait.")
@click.option("--tail", is_flag=True, help="Show the last 4 KB of the invocation's log, on stderr.")
@click.option("-q", "--qualifier", metavar="VERSION", help="Version to run, for example 3 or $LATEST.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: status, version, error, log and payload.")
@node_options
def invoke(
    name: str,
    payload: str,
    asynchronous: bool,
    tail: bool,
    qualifier: str | None,
    as_json: bool,
    endpoint: str,
    region: str,
) -> None:
    """Invoke the function NAME (a name or an ARN) and print what it returns.

    \b
    Examples:
      pilotlight invoke hello -p '{"name": "Ada"}'
      pilotlight invoke hello -p @event.json --tail
      echo '{}' | pilotlight invoke hello -p - --json

    The exit status is 0 when the function returned, 1 when the call was refused, 3 when the function failed.
    """
    if asynchronous and tail:
        raise click.UsageError("--tail needs the answer, so it does not go with --async; use `pilotlight logs -f`.")
    request: dict[str, Any] = {
        "FunctionName": name,
        "Payload": _read_payload(payload),
        "InvocationType": "Event" if asynchronous else "RequestResponse",
        "LogType": "Tail" if tail else "None",
    }
    if qualifier is not None:
        request["Qualifier"] = qualifier
    with errors_as_sentences(endpoint):
        client = aws_client("lambda", endpoint, region)
        started = time.perf_counter()
        answer = client.invoke(**request)
        body: bytes = answer["Payload"].read()
        duration_ms = (time.perf_counter() - started) * 1000
    error: str | None = answer.get("FunctionError")
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    if as_json:
        click.echo(
            json.dumps(
                {
                    "StatusCode": answer["StatusCode"],
                    "ExecutedVersion": answer.get("ExecutedVersion"),
                    "FunctionError": error,
                    "RequestId": answer["ResponseMetadata"].get("RequestId"),
                    "DurationMs": round(duration_ms, 3),
                    "Log": log.splitlines() if tail else None,
                    "Payload": _decoded(body),
                },
                indent=2,
            )
        )
    else:
        if log:
            click.secho(log.rstrip("\n"), err=True, dim=True)
        if asynchronous:
            click.echo(f"Queued as {answer['ResponseMetadata'].get('RequestId')}.", err=True)
        else:
            _print_payload(body)
        if error:
            click.secho(f"The function failed ({error}).", err=True, fg="red")
    if error:
        sys.exit(3)


def _read_payload(payload: str) -> bytes:
    if payload == "-":
        return sys.stdin.buffer.read()
    if payload.startswith("@"):
        try:
            return Path(payload[1:]).read_bytes()
        except OSError as error:
            raise click.ClickException(f"Cannot read the payload {payload[1:]}: {error.strerror}.") from error
    return payload.encode()


def _decoded(body: bytes) -> Any:
    """The payload as JSON where it is JSON (a function may answer anything), else as text."""
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _print_payload(body: bytes) -> None:
    """Indented for a reader; byte for byte for a pipe."""
    if sys.stdout.isatty():
        value = _decoded(body)
        click.echo(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))
    else:
        sys.stdout.buffer.write(body if body.endswith(b"\n") else body + b"\n")
        sys.stdout.buffer.flush()
