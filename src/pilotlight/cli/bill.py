"""`pilotlight bill`: a month as a table, with what each function would cost on AWS. The node keeps the sums."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import click

from pilotlight.cli.client import DEFAULT_ENDPOINT, signed_headers

_ANSWER_S = 60
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@click.command()
@click.option(
    "--month", metavar="YYYY-MM", default="", help="The month, in UTC, for example 2026-11. [default: this one]"
)
@click.option("--function", "function", metavar="NAME", default="", help="This function's lines alone.")
@click.option("--account", metavar="DIGITS", default="", help="Another account than the node's own.")
@click.option("--json", "as_json", is_flag=True, help="Print the bill as a JSON object, with exact figures.")
@click.option(
    "--endpoint",
    metavar="URL",
    envvar="PILOTLIGHT_ENDPOINT",
    default=DEFAULT_ENDPOINT,
    show_default=True,
    help="The node to talk to. Also PILOTLIGHT_ENDPOINT.",
)
def bill(month: str, function: str, account: str, as_json: bool, endpoint: str) -> None:
    """Show what a month would cost on AWS: each version of each function, the free tier, the total.

    \b
    Examples:
      pilotlight bill
      pilotlight bill --month 2026-10 --function hello
      pilotlight bill --json | jq .total

    Nobody is billed. Prices are AWS's of us-east-1, or those of the setting `prices`.
    """
    made = _fetch(endpoint, {"month": month, "function": function, "account": account})
    if as_json:
        click.echo(json.dumps(made, indent=2))
        return
    click.echo("\n".join(page(made, function)))


def _fetch(endpoint: str, asked: dict[str, str]) -> dict[str, Any]:
    query = urllib.parse.urlencode({name: value for name, value in asked.items() if value})
    url = f"{endpoint.rstrip('/')}/_pilotlight/bill?{query}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=signed_headers(url))
    try:
        with opener.open(request, timeout=_ANSWER_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise click.ClickException(_told(error)) from error
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        raise click.ClickException(
            f"No node answers at {endpoint}. Start one with `pilotlight up`, or name another with --endpoint."
        ) from error


def _told(error: urllib.error.HTTPError) -> str:
    try:
        told: dict[str, str] = json.load(error)
        return told.get("message") or told["Message"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{error.url} answered {error.code}: it is no node of this version of Pilotlight."


class _Column:
    """One column: its heading, and what it shows of a line. Names stand to the left, figures to the right."""

    def __init__(self, head: str, show: Callable[[dict[str, Any]], str], *, left: bool = False) -> None:
        self.head = head
        self.show = show
        self.left = left


def page(made: dict[str, Any], function: str = "") -> list[str]:
    """The bill as lines for people."""
    lines: list[dict[str, Any]] = made["lines"]
    year, number = made["month"].split("-")
    month = f"{_MONTHS[int(number) - 1]} {year}{'' if made['over'] else ' so far'}"
    head = [
        "",
        f"  {click.style(f'What {month} would cost on AWS', bold=True)}{function and f': {function}'}",
        click.style(f"  account {made['account']}, US dollars at the prices of {made['pricesOf']}", dim=True),
        "",
    ]
    if not lines:
        return [*head, f"  {function or 'Nothing'} {'did not run' if function else 'ran'} in that month.", ""]
    money = _money(made["cost"])
    columns = _columns(lines, money)
    rows = [[column.show(line) for column in columns] for line in lines]
    for row, line, before in zip(rows[1:], lines[1:], lines, strict=False):
        if (line["region"], line["function"]) == (before["region"], before["function"]):
            row[0] = ""  # a function's name stands beside its first version
    widths = [max(len(column.head), *(len(row[n]) for row in rows)) for n, column in enumerate(columns)]

    def laid_out(cells: list[str]) -> str:
        laid = (
            cell.ljust(width) if column.left else cell.rjust(width)
            for cell, width, column in zip(cells, widths, columns, strict=True)
        )
        return "  " + "  ".join(laid)

    width = sum(widths) + 2 * len(widths)
    head.append(click.style(laid_out([column.head for column in columns]), bold=True))
    rule = click.style("  " + "─" * (width - 2), dim=True)
    return head + [laid_out(row) for row in rows] + [rule] + _sums(made, function, width, money)


def _columns(lines: list[dict[str, Any]], money: Callable[[float], str]) -> list[_Column]:
    """Those that say something: most months have nothing but requests and compute."""
    columns = [_Column("function", lambda line: line["function"], left=True)]
    if len({line["region"] for line in lines}) > 1:
        columns.append(_Column("region", lambda line: line["region"], left=True))
    columns.append(_Column("version", lambda line: line["version"], left=True))
    if any(line["architecture"] != "x86_64" for line in lines):
        columns.append(_Column("arch", lambda line: line["architecture"], left=True))
    columns += [
        _Column("requests", lambda line: f"{line['requests'] + line['provisionedRequests']:,}"),
        _Column("GB-s", lambda line: _amount(line["gbSeconds"] + line["provisionedGbSeconds"])),
    ]
    costs = {
        "for requests": "requestCost",
        "compute": "computeCost",
        "provisioned": "provisionedCost",
        "/tmp": "storageCost",
        "streaming": "streamingCost",
    }
    for head, name in costs.items():
        if name in ("requestCost", "computeCost") or any(line[name] for line in lines):
            columns.append(_cost_column(head, name, money))
    columns.append(_Column("cost", lambda line: money(line["cost"])))
    return columns


def _cost_column(head: str, name: str, money: Callable[[float], str]) -> _Column:
    return _Column(head, lambda line: money(line[name]) if line[name] else "-")


def _sums(made: dict[str, Any], function: str, width: int, money: Callable[[float], str]) -> list[str]:
    def sum_line(text: str, amount: str, **style: Any) -> str:
        return click.style(f"  {text}{amount.rjust(max(len(amount) + 2, width - 2 - len(text)))}", **style)

    if function:
        return [sum_line("Sum, before the account's free tier", money(made["cost"]), bold=True), ""]
    free = made["freeTier"]
    used = [
        _of_free(free, "requests", "freeRequests", "requests"),
        _of_free(free, "gbSeconds", "freeGbSeconds", "GB-s"),
    ]
    if free["streamedGb"]:
        used.append(_of_free(free, "streamedGb", "freeStreamedGb", "GB streamed"))
    return [
        sum_line("Sum", money(made["cost"])),
        sum_line("Free tier", f"-{money(free['discount'])}", fg="green"),
        click.style(f"    {', '.join(used)}", dim=True),
        sum_line("Total", f"${money(made['total'])}", bold=True),
        "",
    ]


def _of_free(free: dict[str, float], used: str, given: str, unit: str) -> str:
    return f"{_amount(min(free[used], free[given]))} of {_amount(free[given])} {unit}"


def _money(most: float) -> Callable[[float], str]:
    """Dollars, with as many decimals as a month of that size needs to show its small parts."""
    decimals = 2 if most >= 100 else 4 if most >= 1 else 6 if most >= 0.01 else 8
    return lambda amount: f"{amount:,.{decimals}f}"


def _amount(amount: float) -> str:
    """Four digits that count, and no decimals of what is whole or large."""
    if amount >= 1000 or amount == int(amount):
        return f"{amount:,.0f}"
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.4f}"
