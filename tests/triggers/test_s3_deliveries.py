"""Queues, topics and event buses as targets: told with a test event, sent S3's events, durably."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.neighbours.harness import ACCOUNT, Front
from tests.support import eventually


@pytest.fixture
def bucket(front: Front) -> str:
    name = f"b-{uuid.uuid4().hex[:12]}"
    front.client().create_bucket(Bucket=name)
    return name


def new_queue(front: Front) -> tuple[str, str]:
    """URL and ARN."""
    name = f"q-{uuid.uuid4().hex[:8]}"
    url = front.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


def messages(front: Front, url: str, count: int = 1) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = []

    def take() -> bool:
        answer = front.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            front.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken.append(json.loads(message["Body"]))
        return len(taken) >= count

    eventually(take, what=f"{count} messages")
    return taken


def configure(front: Front, bucket: str, **configuration: Any) -> None:
    front.client().put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)


def test_a_queue(front: Front, bucket: str) -> None:
    url, arn = new_queue(front)
    configure(front, bucket, QueueConfigurations=[{"Id": "q", "QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}])
    [test] = messages(front, url)
    assert (test["Service"], test["Event"], test["Bucket"]) == ("Amazon S3", "s3:TestEvent", bucket)
    front.client().put_object(Bucket=bucket, Key="a b", Body=b"xyz")
    [event] = messages(front, url)
    [record] = event["Records"]
    assert (record["eventName"], record["s3"]["configurationId"]) == ("ObjectCreated:Put", "q")
    assert (record["s3"]["object"]["key"], record["s3"]["object"]["size"]) == ("a+b", 3)


def test_a_topic(front: Front, bucket: str) -> None:
    url, queue_arn = new_queue(front)
    sns = front.client("sns")
    topic = sns.create_topic(Name=f"t-{uuid.uuid4().hex[:8]}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    configure(front, bucket, TopicConfigurations=[{"TopicArn": topic, "Events": ["s3:ObjectRemoved:*"]}])
    [test] = messages(front, url)
    assert json.loads(test["Message"])["Event"] == "s3:TestEvent"
    client = front.client()
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    client.delete_object(Bucket=bucket, Key="k")
    [message] = messages(front, url)
    assert message["Subject"] == "Amazon S3 Notification"
    assert json.loads(message["Message"])["Records"][0]["eventName"] == "ObjectRemoved:Delete"


def test_event_bridge(front: Front, bucket: str) -> None:
    url, queue_arn = new_queue(front)
    events = front.client("events")
    rule = f"r-{uuid.uuid4().hex[:8]}"
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": queue_arn}])
    configure(front, bucket, EventBridgeConfiguration={})
    assert "EventBridgeConfiguration" in front.client().get_bucket_notification_configuration(Bucket=bucket)
    client = front.client()
    answer = client.put_object(Bucket=bucket, Key="a b", Body=b"xyz")
    client.delete_object(Bucket=bucket, Key="a b")
    created, deleted = sorted(messages(front, url, 2), key=lambda message: message["detail-type"])
    assert (created["detail-type"], created["source"]) == ("Object Created", "aws.s3")
    assert created["resources"] == [f"arn:aws:s3:::{bucket}"]
    detail = created["detail"]
    assert detail["reason"] == "PutObject"
    assert detail["object"]["key"] == "a b"
    assert (detail["object"]["size"], detail["object"]["etag"]) == (3, answer["ETag"].strip('"'))
    assert deleted["detail-type"] == "Object Deleted"
    assert (deleted["detail"]["reason"], deleted["detail"]["deletion-type"]) == ("DeleteObject", "Permanently Deleted")


@pytest.mark.parametrize(("service", "noun", "form"), [("sqs", "queue", "Queue"), ("sns", "topic", "Topic")])
def test_a_target_that_does_not_exist(front: Front, bucket: str, service: str, noun: str, form: str) -> None:
    arn = f"arn:aws:{service}:us-east-1:{ACCOUNT}:absent"
    with pytest.raises(ClientError, match="Unable to validate the following destination configurations") as caught:
        configure(front, bucket, **{f"{form}Configurations": [{f"{form}Arn": arn, "Events": ["s3:ObjectCreated:*"]}]})
    error = caught.value.response["Error"]
    assert (error["ArgumentName1"], error["ArgumentValue1"]) == (arn, f"The destination {noun} does not exist")


def test_a_delivery_waits_until_its_target_takes_it(front: Front, bucket: str) -> None:
    name = f"q-{uuid.uuid4().hex[:8]}"
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
    front.client().put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
        SkipDestinationValidation=True,
    )
    front.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    assert front.run(front.store.queue_depth(f"deliveries/{arn}")) == 1
    url = front.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    [event] = messages(front, url)
    assert event["Records"][0]["s3"]["object"]["key"] == "k"
    eventually(lambda: front.run(front.store.queue_depth(f"deliveries/{arn}")) == 0)
