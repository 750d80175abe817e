"""`pilotlight functions`: what is deployed on a node, as a table or as JSON."""

from __future__ import annotations

import json
from typing import Any

import click

from pilotlight.cli.client import aws_client, errors_as_sentences, node_options


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the ListFunctions records as a JSON list.")
@node_options
def functions(as_json: bool, endpoint: str, region: str) -> None:
    """List the functions of a node, by name."""
    found: list[dict[str, Any]] = []
    with errors_as_sentences(endpoint):
        client = aws_client("lambda", endpoint, region, read_timeout_s=60)
        for page in client.get_paginator("list_functions").paginate():
            found += page["Functions"]
    found.sort(key=lambda function: function["FunctionName"])
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
        return
    if not found:
        click.echo(f"No functions in {region} at {endpoint} yet.", err=True)
        return
    rows = [("NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "CODE", "STATE", "MODIFIED")]
    rows += [_row(function) for function in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.secho(line, bold=index == 0)


def _row(function: dict[str, Any]) -> tuple[str, ...]:
    state = function.get("State") or "Active"
    if function.get("LastUpdateStatus", "Successful") != "Successful":
        state += f", update {function['LastUpdateStatus']}"
    return (
        function["FunctionName"],
        function.get("Runtime") or function.get("PackageType", ""),
        function.get("Handler") or "",
        f"{function.get('MemorySize', 0)} MB",
        f"{function.get('Timeout', 0)} s",
        _size(function.get("CodeSize", 0)),
        state,
        str(function.get("LastModified", ""))[:19].replace("T", " "),
    )


def _size(count: int) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count = round(count / 1024)
    return f"{count} GB"
