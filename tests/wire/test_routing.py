"""Method, path and query to operation, over the real models and over templates that the models do not have yet."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pilotlight.wire.models import Model, load_model
from pilotlight.wire.routing import RestRouter, TargetRouter, parse_query

ARN = "arn:aws:lambda:eu-west-1:111122223333:function:photos"


@pytest.fixture(scope="module")
def router() -> RestRouter:
    return RestRouter(load_model("lambda"))


class _Templates:
    """The part of a model that a router reads."""

    def __init__(self, *routes: tuple[str, str, str]) -> None:
        self._routes = list(routes)

    def routes(self) -> list[tuple[str, str, str]]:
        return self._routes


def custom(*routes: tuple[str, str, str]) -> RestRouter:
    return RestRouter(cast(Model, _Templates(*routes)))


def test_every_operation_is_found_by_its_own_template(router: RestRouter) -> None:
    model = load_model("lambda")
    assert len(model.operation_names) >= 91
    for operation, method, uri in model.routes():
        path, _, query = uri.partition("?")
        filled = path.replace("{", "a-").replace("}", "")
        match = router.match(method, filled, query)
        assert match is not None and match.operation == operation


@pytest.mark.parametrize("written", [ARN, ARN.replace(":", "%3A"), ARN.replace(":", "%3a")])
def test_an_arn_is_one_label_however_its_colons_are_written(router: RestRouter, written: str) -> None:
    match = router.match("GET", f"/2015-03-31/functions/{written}/configuration")
    assert match is not None
    assert (match.operation, match.labels) == ("GetFunctionConfiguration", {"FunctionName": ARN})


def test_an_encoded_slash_stays_inside_its_label(router: RestRouter) -> None:
    arn = f"{ARN}:$LATEST/durable-execution/a/b"
    match = router.match("GET", "/2025-12-01/durable-executions/" + arn.replace("/", "%2F"))
    assert match is not None
    assert match.labels == {"DurableExecutionArn": arn}


def test_labels_are_decoded_as_utf_8_and_plus_is_a_plus(router: RestRouter) -> None:
    match = router.match("GET", "/2015-03-31/functions/caf%C3%A9+x%20y")
    assert match is not None
    assert match.labels == {"FunctionName": "café+x y"}


def test_query_literals_tell_two_operations_with_one_path_apart(router: RestRouter) -> None:
    def operation(query: str) -> Any:
        match = router.match("GET", "/2018-10-31/layers", query)
        return match and match.operation

    assert operation("") == "ListLayers"
    assert operation("MaxItems=3") == "ListLayers"
    assert operation("Arn=x&find=LayerVersion") == "GetLayerVersionByArn"
    assert operation("find=Other") == "ListLayers"


def test_a_path_whose_query_literal_is_missing_falls_back_or_is_unknown(router: RestRouter) -> None:
    path = "/2019-09-30/functions/f/provisioned-concurrency"
    one, every = router.match("GET", path, "Qualifier=1"), router.match("GET", path, "List=ALL")
    assert one is not None and one.operation == "GetProvisionedConcurrencyConfig"
    assert every is not None and every.operation == "ListProvisionedConcurrencyConfigs"
    assert custom(("Only", "GET", "/a?list")).match("GET", "/a") is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/2015-03-31/functions/f/nothing"),
        ("PATCH", "/2015-03-31/functions/f"),
        ("GET", "/2015-03-31/functions//configuration"),
        ("GET", "//2015-03-31/functions/f"),
        ("GET", "/1999-01-01/functions/f"),
        ("get", "/2015-03-31/functions/f"),
    ],
)
def test_what_no_template_matches_is_unknown(router: RestRouter, method: str, path: str) -> None:
    assert router.match(method, path) is None


def test_one_trailing_slash_is_ignored(router: RestRouter) -> None:
    listed = router.match("GET", "/2015-03-31/functions/")
    assert listed is not None and listed.operation == "ListFunctions"


def test_a_literal_wins_over_a_label_and_the_label_is_tried_when_it_leads_nowhere() -> None:
    router = custom(("Fixed", "GET", "/a/list/x"), ("Labelled", "GET", "/a/{Name}/y"))
    fixed, labelled = router.match("GET", "/a/list/x"), router.match("GET", "/a/list/y")
    assert fixed is not None and (fixed.operation, fixed.labels) == ("Fixed", {})
    assert labelled is not None and labelled.labels == {"Name": "list"}


def test_a_greedy_label_takes_several_segments_and_leaves_what_follows_it() -> None:
    router = custom(
        ("Object", "GET", "/{Bucket}/{Key+}"),
        ("Tagging", "GET", "/{Bucket}/{Key+}/tags"),
        ("Bucket", "GET", "/{Bucket}"),
    )
    found = router.match("GET", "/b/photos/2026%2Fx/a%20b.jpg")
    assert found is not None
    assert (found.operation, found.labels) == ("Object", {"Bucket": "b", "Key": "photos/2026/x/a b.jpg"})
    tags = router.match("GET", "/b/photos/one/tags")
    assert tags is not None and tags.labels == {"Bucket": "b", "Key": "photos/one/tags"}
    plain = router.match("GET", "/b")
    assert plain is not None and plain.operation == "Bucket"


def test_a_label_that_leads_nowhere_leaves_nothing_behind() -> None:
    router = custom(("One", "GET", "/{A}/x"), ("Rest", "GET", "/{Key+}"))
    rest = router.match("GET", "/b/c")
    assert rest is not None and (rest.operation, rest.labels) == ("Rest", {"Key": "b/c"})


def test_a_target_names_the_operation() -> None:
    router = TargetRouter(load_model("logs"))
    match = router.match({"x-amz-target": "Logs_20140328.DescribeLogGroups"})
    assert match is not None and match.operation == "DescribeLogGroups"
    for target in ("Logs_20140328.Nothing", "DescribeLogGroups", "Other.DescribeLogGroups", ""):
        assert router.match({"x-amz-target": target}) is None
    assert router.match({}) is None


def test_a_query_is_decoded_in_order() -> None:
    assert parse_query("a=1&b&c=&a=x%20y+z&%C3%A9=%26&&=1") == [
        ("a", "1"),
        ("b", ""),
        ("c", ""),
        ("a", "x y z"),
        ("é", "&"),
        ("", "1"),
    ]
