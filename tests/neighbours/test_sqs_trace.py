"""Messages keep the trace header of the request that sent them, in both of SQS's protocols and with any server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from tests.neighbours.harness import Front
from tests.neighbours.test_forward import Backend, backend, send
from tests.support import aws_client

HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=2:fe460cdd:0"
OWN = "Root=1-67891233-abcdef012345678912345678"
AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/sqs/aws4_request, SignedHeaders=h, Signature=s"


@pytest.fixture(scope="module")
def resigned() -> Iterator[Front]:
    """A front whose SQS is a server that keeps what reached it, with credentials of its own."""
    with (
        backend() as port,
        Front(endpoints={"sqs": f"http://key:secret@127.0.0.1:{port}"}, neighbours=False) as front,
    ):
        yield front


def sent_json(front: Front, action: str, parameters: Any, **headers: str) -> Any:
    """What reached the server."""
    send(
        front,
        "POST",
        "/",
        parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode(),
        x_amz_target=f"AmazonSQS.{action}",
        content_type="application/x-amz-json-1.0",
        authorization=AUTHORIZATION,
        **{"x_amzn_trace_id": HEADER, **headers},
    )
    seen = Backend.seen[-1]
    assert int(dict(seen["headers"])["content-length"]) == len(seen["body"])
    return seen["body"]


def sent_form(front: Front, **fields: str) -> dict[str, str]:
    send(
        front,
        "POST",
        "/000000000000/q",
        urlencode(fields).encode(),
        content_type="application/x-www-form-urlencoded",
        authorization=AUTHORIZATION,
        x_amzn_trace_id=HEADER,
    )
    return {name: values[0] for name, values in parse_qs(Backend.seen[-1]["body"].decode()).items()}


def attribute(text: str) -> dict[str, Any]:
    return {"AWSTraceHeader": {"DataType": "String", "StringValue": text}}


def test_a_message_keeps_the_header(resigned: Front) -> None:
    body = json.loads(sent_json(resigned, "SendMessage", {"QueueUrl": "u", "MessageBody": "é"}))
    assert body == {"QueueUrl": "u", "MessageBody": "é", "MessageSystemAttributes": attribute(HEADER)}


def test_each_message_of_a_batch_does_unless_it_brings_its_own(resigned: Front) -> None:
    entries = [{"Id": "1", "MessageBody": "a"}, {"Id": "2", "MessageBody": "b"}]
    entries[1]["MessageSystemAttributes"] = attribute(OWN)  # type: ignore[assignment]
    body = json.loads(sent_json(resigned, "SendMessageBatch", {"QueueUrl": "u", "Entries": entries}))
    assert [entry["MessageSystemAttributes"] for entry in body["Entries"]] == [attribute(HEADER), attribute(OWN)]


def test_in_the_query_protocol_too(resigned: Front) -> None:
    form = sent_form(resigned, Action="SendMessage", MessageBody="a b&c")
    assert form == {
        "Action": "SendMessage",
        "MessageBody": "a b&c",
        "MessageSystemAttribute.1.Name": "AWSTraceHeader",
        "MessageSystemAttribute.1.Value.DataType": "String",
        "MessageSystemAttribute.1.Value.StringValue": HEADER,
    }
    entry = "SendMessageBatchRequestEntry"
    own = {f"{entry}.2.MessageSystemAttribute.1.Name": "AWSTraceHeader"}
    form = sent_form(resigned, Action="SendMessageBatch", **{f"{entry}.1.Id": "a", f"{entry}.2.Id": "b", **own})
    assert form[f"{entry}.1.MessageSystemAttribute.1.Value.StringValue"] == HEADER
    assert f"{entry}.2.MessageSystemAttribute.1.Value.StringValue" not in form
    assert sent_form(resigned, Action="ReceiveMessage") == {"Action": "ReceiveMessage"}


@pytest.mark.parametrize(
    ("action", "parameters", "header"),
    [
        ("ReceiveMessage", b'{"QueueUrl": "u"}', HEADER),
        ("SendMessage", b'{"QueueUrl": "u"}', "nonsense"),
        ("SendMessage", b"{not json", HEADER),
        ("SendMessage", b"[]", HEADER),
        ("SendMessageBatch", b'{"Entries": 3}', HEADER),
        ("SendMessageBatch", b"{}", HEADER),
        ("SendMessage", b"\xff", HEADER),
    ],
)
def test_any_other_body_is_as_it_was(resigned: Front, action: str, parameters: bytes, header: str) -> None:
    assert sent_json(resigned, action, parameters, x_amzn_trace_id=header) == parameters


def test_a_body_whose_signature_the_server_checks_is_not_touched() -> None:
    with backend() as port, Front(endpoints={"sqs": f"http://127.0.0.1:{port}"}, neighbours=False) as front:
        assert sent_json(front, "SendMessage", b'{"QueueUrl": "u"}') == b'{"QueueUrl": "u"}'
        assert dict(Backend.seen[-1]["headers"])["x-amzn-trace-id"] == HEADER


def test_with_the_embedded_one(front: Front) -> None:
    sqs = aws_client("sqs", front.endpoint)
    url = sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex}")["QueueUrl"]

    def trace(params: Any, **_: Any) -> None:
        params["headers"]["X-Amzn-Trace-Id"] = HEADER

    sqs.meta.events.register("before-call.sqs.SendMessage", trace)
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    (message,) = sqs.receive_message(QueueUrl=url, AttributeNames=["AWSTraceHeader"])["Messages"]
    assert (message["Body"], message["Attributes"]) == ("hello", {"AWSTraceHeader": HEADER})
