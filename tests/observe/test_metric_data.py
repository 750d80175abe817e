"""GetMetricData: periods, pages, labels, expressions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.observe.metric_world import (
    MetricWorld,
    data,
    dims,
    put,
    stat,
)


async def test_periods_begin_with_the_time_asked_for_and_empty_ones_are_left_out(world: MetricWorld) -> None:
    world.clock.advance(40_000)  # a full minute
    for minutes in (-10, -9, -3):
        await put(world, "x", 1.0, Timestamp=world.at(60 * minutes))
    answer = await world.call(
        "GetMetricData",
        MetricDataQueries=[stat("a", "x", period=300)],
        StartTime=world.at(-60 * 12 + 7),
        EndTime=world.at(60),
        ScanBy="TimestampAscending",
    )
    (result,) = answer["MetricDataResults"]
    assert result["Timestamps"] == [world.at(-60 * 12), world.at(-60 * 7)]
    assert result["Values"] == [2, 1]
    # The end is outside: what began with it is not shown.
    short = await data(world, stat("a", "x"), StartTime=world.at(-600), EndTime=world.at(-540))
    assert short["MetricDataResults"][0]["Timestamps"] == [world.at(-600)]


async def test_the_newest_comes_first_unless_asked_otherwise(world: MetricWorld) -> None:
    for minutes in range(3):
        await put(world, "x", float(minutes), Timestamp=world.at(-60 * minutes))
    assert (await data(world, stat("a", "x")))["MetricDataResults"][0]["Values"] == [0, 1, 2]
    ascending = await data(world, stat("a", "x"), ScanBy="TimestampAscending")
    assert ascending["MetricDataResults"][0]["Values"] == [2, 1, 0]


@pytest.mark.parametrize("scan", ["TimestampAscending", "TimestampDescending"])
async def test_pages_hold_every_point_once(world: MetricWorld, scan: str) -> None:
    for minutes in range(5):
        await put(world, "x", float(minutes), Timestamp=world.at(-60 * minutes))
        await put(world, "y", float(10 + minutes), Timestamp=world.at(-60 * minutes))
    queries = [stat("a", "x"), stat("none", "z"), stat("b", "y")]
    whole = await data(world, *queries, ScanBy=scan)
    assert [result["StatusCode"] for result in whole["MetricDataResults"]] == ["Complete"] * 3
    together: dict[str, list[float]] = {}
    statuses: list[str] = []
    token: dict[str, str] = {}
    for _ in range(10):
        page = await data(world, *queries, ScanBy=scan, MaxDatapoints=3, **token)
        for result in page["MetricDataResults"]:
            together.setdefault(result["Id"], []).extend(result["Values"])
            statuses.append(result["StatusCode"])
        assert sum(len(result["Values"]) for result in page["MetricDataResults"]) <= 3
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert together == {result["Id"]: result["Values"] for result in whole["MetricDataResults"]}
    assert "PartialData" in statuses
    refused = await world.refused(
        "GetMetricData", MetricDataQueries=queries, StartTime=world.at(-60), EndTime=world.at(), NextToken="bogus"
    )
    assert refused.code == "InvalidNextToken"


async def test_labels(world: MetricWorld) -> None:
    await put(world, "x", 1.0, 3.0, Timestamp=world.at(-60))
    await put(world, "x", 8.0)
    labels = {
        "plain": "plain",
        "${MAX} of ${DATAPOINT_COUNT}": "8 of 2",
        "${PROP('MetricName')} ${PROP('Stat')} ${LABEL}": "x Sum x",
        "${SUM} ${AVG} ${MIN} ${FIRST} ${LAST}": "12 6 4 4 8",
        "${LAST_TIME}": "2023-11-14 23:43:00 +0130",
    }
    queries = [stat(f"q{number}", "x", Label=label) for number, label in enumerate(labels)]
    answer = await data(world, *queries, stat("bare", "x"), LabelOptions={"Timezone": "+0130"})
    assert [result["Label"] for result in answer["MetricDataResults"]] == [*labels.values(), "x"]


EXPRESSIONS = [
    ("100 * errors / calls", [50, 25]),
    ("calls - errors", [1, 6]),
    ("-errors + 2^3", [7, 6]),
    ("errors / (calls - 2)", [1 / 3]),  # a division by zero is left out
    ("SUM(METRICS())", [3, 10]),
    ("SUM(METRICS('err'))", [1, 2]),
    ("MAX([errors, calls])", [2, 8]),
    ("AVG(METRICS())", [1.5, 5]),
    ("calls / SUM(calls)", [0.2, 0.8]),
    ("calls * 0 + MIN(calls)", [2, 2]),
    ("FILL(gap, 0) + calls", [2, 13]),
    ("FILL(gap, REPEAT)", [5]),
    ("IF(calls > 4, calls, 0)", [0, 8]),
    ("IF(calls > 4 AND errors == 2, 1)", [1]),
    ("RUNNING_SUM(calls)", [2, 10]),
    ("DIFF(calls)", [6]),
    ("RATE(calls)", [0.1]),
    ("CEIL(calls / 3)", [1, 3]),
    ("ABS(errors - calls)", [1, 6]),
    ("other", [3, 10]),
    ("PERIOD(calls) * calls / 60", [2, 8]),
    ("METRIC_COUNT(METRICS()) * errors", [2, 4]),
    ("LOG10(calls * 50)", [2, pytest.approx(2.602, abs=0.001)]),
    ("STDDEV([errors, calls])", [0.5, 3]),
    ("TIME_SERIES(7) + calls * 0", [7, 7]),
    ("SUM(SEARCH('{Mine} MetricName=\"calls\" OR MetricName=\"errors\"', 'Sum', 60))", [3, 10]),
]


async def test_expressions(world: MetricWorld) -> None:
    for seconds, errors, calls in ((-60, 1.0, 2.0), (0, 2.0, 8.0)):
        await put(world, "errors", errors, Timestamp=world.at(seconds))
        await put(world, "calls", calls, Timestamp=world.at(seconds))
    await put(world, "gap", 5.0)
    for expression, expected in EXPRESSIONS:
        await _expression_comes_to(world, expression, expected)


async def _expression_comes_to(world: MetricWorld, expression: str, expected: list[Any]) -> None:
    queries = [
        {"Id": "e1", "Expression": expression},
        stat("errors", "errors", ReturnData=False),
        stat("calls", "calls", ReturnData=False),
        {"Id": "other", "Expression": "errors + calls", "ReturnData": False},
    ]
    if "gap" in expression:
        queries.append(stat("gap", "gap", ReturnData=False))
    (result,) = (await data(world, *queries, seconds=60, ScanBy="TimestampAscending"))["MetricDataResults"]
    assert result["Values"] == pytest.approx(expected)
    assert (result["Id"], result["Label"]) == ("e1", "e1")


async def test_a_list_of_series_is_a_result_each(world: MetricWorld) -> None:
    await put(world, "calls", 1.0, Dimensions=dims(FunctionName="a"))
    await put(world, "calls", 2.0, Dimensions=dims(FunctionName="b"))
    await put(world, "calls", 4.0)
    answer = await data(world, {"Id": "all", "Expression": "SEARCH('{Mine,FunctionName} calls', 'Sum', 60) * 10"})
    found = [(one["Id"], one["Label"], one["Values"]) for one in answer["MetricDataResults"]]
    assert found == [("all", "a calls", [10]), ("all", "b calls", [20])]


SEARCHES = [
    ("{Mine,FunctionName}", {"checkout-eu", "checkout-us"}),
    ("{Mine,FunctionName} checkout", {"checkout-eu", "checkout-us"}),
    ("{Mine,FunctionName} check", set()),
    ('{Mine,FunctionName} FunctionName="checkout-eu"', {"checkout-eu"}),
    ("{Mine,FunctionName} checkout NOT us", {"checkout-eu"}),
    ("{Mine,FunctionName} (eu OR us) AND checkout", {"checkout-eu", "checkout-us"}),
    ("{Mine,Other}", set()),
    ("FunctionName=us", {"checkout-us"}),
]


async def test_search_terms(world: MetricWorld) -> None:
    for name in ("checkout-eu", "checkout-us"):
        await put(world, "calls", 1.0, Dimensions=dims(FunctionName=name))
    await put(world, "calls", 1.0)
    for search, found in SEARCHES:
        answer = await data(world, {"Id": "s", "Expression": f"SEARCH('{search}', 'Sum', 60)"})
        assert {result["Label"].split()[0] for result in answer["MetricDataResults"]} == found, search


REFUSED_QUERIES = [
    (
        stat("1a", "x"),
        "The value 1a for parameter MetricDataQueries.member.1.Id is not matching the expected pattern",
    ),
    (
        stat("a", "x", "Median"),
        "The value Median for parameter MetricDataQueries.member.1.MetricStat.Stat is not a valid",
    ),
    (stat("a", "x", period=7), "The parameter MetricDataQueries.member.1.MetricStat.Period must be"),
    (stat("a", "x", AccountId="123456789012"), "no account is linked"),
    (stat("a", "x", Label="${NOPE}"), "Invalid dynamic label ${NOPE}"),
    ({"Id": "a"}, "Exactly one of the parameters MetricDataQueries.member.1.MetricStat and"),
    ({"Id": "a", "Expression": "a + 1"}, "Error in expression 'a': it refers to itself"),
    ({"Id": "a", "Expression": "b + 1"}, "Error in expression 'a': the id b is not defined"),
    ({"Id": "a", "Expression": "1 + 1"}, "Error in expression 'a': it must come to a time series"),
    ({"Id": "a", "Expression": "1 +"}, "Error in expression 'a': it ends too early"),
    ({"Id": "a", "Expression": "(1"}, "Error in expression 'a'"),
    ({"Id": "a", "Expression": "1 ; 2"}, "Error in expression 'a': unexpected ;"),
    ({"Id": "a", "Expression": "(" * 100}, "Error in expression 'a': it is nested too deeply"),
    (
        {"Id": "a", "Expression": "ANOMALY_DETECTION_BAND(1)"},
        "the function ANOMALY_DETECTION_BAND is not supported",
    ),
    ({"Id": "a", "Expression": "SELECT SUM(x) FROM y"}, "Metrics Insights queries are not supported"),
    ({"Id": "a", "Expression": "SEARCH('{Mine', 'Sum', 60)"}, "Error in expression 'a': SEARCH"),
    ({"Id": "a", "Expression": "SEARCH('{Mine}', 'Mean', 60)"}, "SEARCH does not know the statistic Mean"),
    ({"Id": "a", "Expression": "FILL(1, 0)"}, "FILL takes time series"),
    ({"Id": "a", "Expression": "TIME_SERIES(1)", "Period": 61}, "The parameter MetricDataQueries.member.1.Period"),
]


async def test_queries_that_are_refused(world: MetricWorld) -> None:
    for query, message in REFUSED_QUERIES:
        await _queries_that_are_refused(world, query, message)


async def _queries_that_are_refused(world: MetricWorld, query: dict[str, Any], message: str) -> None:
    refused = await world.refused(
        "GetMetricData", MetricDataQueries=[query], StartTime=world.at(-60), EndTime=world.at()
    )
    assert refused.code == "ValidationError"
    assert message in refused.message


def series_without_gaps(query_id: str, expression: str) -> dict[str, Any]:
    return {"Id": query_id, "Expression": expression, "Period": 60, "ReturnData": query_id == "last"}


async def test_a_request_of_a_few_lines_cannot_come_to_any_amount_of_memory(world: MetricWorld) -> None:
    month = {"StartTime": world.at(-60 * 86_400), "EndTime": world.at()}
    lists = [
        series_without_gaps("a", "[TIME_SERIES(1), TIME_SERIES(1)]"),
        series_without_gaps("b", f"[{','.join(['a'] * 500)}]"),
        series_without_gaps("c", f"[{','.join(['b'] * 500)}]"),
        series_without_gaps("last", "TIME_SERIES(METRIC_COUNT(c))"),
    ]
    refused = await world.refused("GetMetricData", MetricDataQueries=lists, **month)
    assert "a list has 10000 time series and 5000000 values at most" in refused.message
    many = [
        *(series_without_gaps(f"b{n}", "TIME_SERIES(1)") for n in range(60)),
        series_without_gaps("last", " + ".join(f"b{n}" for n in range(60))),
    ]
    refused = await world.refused("GetMetricData", MetricDataQueries=many, **month)
    assert "come to more than 5000000 values" in refused.message


async def test_every_fault_of_a_request_is_told_at_once(world: MetricWorld) -> None:
    queries = [stat("A", "x"), stat("a", "x", "Mean"), stat("a", "x")]
    refused = await world.refused(
        "GetMetricData", MetricDataQueries=queries, StartTime=world.at(-60), EndTime=world.at()
    )
    assert len(refused.message.splitlines()) == 3
    assert refused.message.endswith("The values for parameter id in MetricDataQueries are not unique.")
    many = [stat(f"q{number}", "x") for number in range(501)]
    refused = await world.refused("GetMetricData", MetricDataQueries=many, StartTime=world.at(-60), EndTime=world.at())
    assert refused.message == "The collection MetricDataQueries must not have a size greater than 500."
