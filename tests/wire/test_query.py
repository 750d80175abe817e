"""The query protocol at its edges; round trips of whole operations are in test_round_trips."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from pilotlight.errors import InternalError, ValidationException
from pilotlight.wire import Call, ServiceApi, WireRequest, WireResponse
from tests.wire import oracle


class Service:
    """CloudWatch, of which a few operations remember their call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.result: Any = None
        self.api = ServiceApi("cloudwatch", dict.fromkeys(("PutMetricData", "ListMetrics"), self._handle))

    async def _handle(self, call: Call) -> Any:
        self.calls.append(call)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def send(self, body: str = "", query: str = "") -> WireResponse:
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = WireRequest("POST", "/", query, headers, body.encode(), "111122223333", "eu-west-1", "id-1")
        return oracle.at_once(self.api.handle(request))

    def put(self, **fields: str) -> WireResponse:
        return self.send(urlencode({"Action": "PutMetricData", "Version": "2010-08-01", "Namespace": "Mine", **fields}))


def test_lists_are_in_the_order_of_their_numbers() -> None:
    service = Service()
    fields = {f"MetricData.member.{number}.MetricName": f"m{number}" for number in (10, 2, 1)}
    assert service.put(**fields).status == 200
    assert [datum["MetricName"] for datum in service.calls[0].params["MetricData"]] == ["m1", "m2", "m10"]


def test_what_a_model_does_not_have_is_passed_over() -> None:
    service = Service()
    fields = {"MetricData.member.1.MetricName": "x", "MetricData.member.x.MetricName": "y", "Unknown.member.1": "z"}
    assert service.put(**fields, **{"MetricData.member.1.MetricName.deeper": "?"}).status == 200
    assert service.calls[0].params == {"Namespace": "Mine", "MetricData": [{"MetricName": "x"}]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("MetricData.member.1.Value", "much"),
        ("MetricData.member.1.StorageResolution", "1.5"),
        ("MetricData.member.1.Timestamp", "yesterday"),
        ("StrictEntityValidation", "perhaps"),
    ],
)
def test_what_is_no_number_time_or_boolean_is_refused(field: str, value: str) -> None:
    response = Service().put(**{"MetricData.member.1.MetricName": "x", field: value})
    assert response.status == 400
    assert isinstance(response.body, bytes)
    assert b"<Code>SerializationException</Code>" in response.body
    assert b"<RequestId>id-1</RequestId>" in response.body


def test_deep_names_are_read_and_lead_nowhere() -> None:
    assert Service().put(**{".".join("a" * 10_000): "x"}).status == 200


def test_an_action_may_stand_in_the_query() -> None:
    service = Service()
    service.result = {"Metrics": []}
    assert service.send(query="Action=ListMetrics&Namespace=Mine").status == 200
    assert service.calls[0].params == {"Namespace": "Mine"}
    assert service.send("Action=NoSuchThing").status == 404


def test_text_that_xml_cannot_hold_is_replaced() -> None:
    service = Service()
    service.result = {"Metrics": [{"MetricName": "a<&>\x00\x0b\ud800b"}]}
    response = service.send("Action=ListMetrics")
    model = oracle.service_model("cloudwatch").operation_model("ListMetrics")
    assert oracle.parse(model, response, "query")["Metrics"] == [{"MetricName": "a<&>\ufffd\ufffd\ufffdb"}]


@pytest.mark.parametrize(
    ("error", "code", "fault"),
    [(ValidationException("a < b"), "ValidationError", "Sender"), (InternalError("ours"), "InternalError", "Receiver")],
)
def test_errors_say_whose_fault_it_is(error: Exception, code: str, fault: str) -> None:
    service = Service()
    service.result = error
    model = oracle.service_model("cloudwatch").operation_model("ListMetrics")
    parsed = oracle.parse(model, service.send("Action=ListMetrics"), "query")["Error"]
    assert (parsed["Code"], parsed["Type"], parsed["Message"]) == (code, fault, str(error))
