"""Setting, reading and losing a bucket's notification configuration: S3's rules, S3's words."""

from __future__ import annotations

import urllib.error
import urllib.request
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.errors import ResourceNotFoundException
from pilotlight.invoke.async_event import AsyncEvent
from tests.neighbours.harness import ACCOUNT, Front

CREATED = ["s3:ObjectCreated:*"]


@pytest.fixture
def bucket(front: Front) -> str:
    name = f"b-{uuid.uuid4().hex[:12]}"
    front.client().create_bucket(Bucket=name)
    front.drain()
    return name


@pytest.fixture
def function(front: Front, bucket: str) -> str:
    """The ARN of a function that the bucket may invoke."""
    name = f"f-{uuid.uuid4().hex[:8]}"
    front.functions.allow(name, bucket)
    return front.functions.add(name)


def put(front: Front, bucket: str, *configurations: dict[str, Any], **others: Any) -> None:
    front.client().put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"LambdaFunctionConfigurations": list(configurations), **others},
    )


def refusal(front: Front, bucket: str, *configurations: dict[str, Any], **others: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        put(front, bucket, *configurations, **others)
    error: dict[str, Any] = caught.value.response["Error"]
    return error


def to(arn: str, events: list[str] = CREATED, **rules: str) -> dict[str, Any]:
    configuration: dict[str, Any] = {"LambdaFunctionArn": arn, "Events": events}
    if rules:
        configuration["Filter"] = {
            "Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in rules.items()]}
        }
    return configuration


def read(front: Front, bucket: str) -> dict[str, Any]:
    answer = front.client().get_bucket_notification_configuration(Bucket=bucket)
    answer.pop("ResponseMetadata")
    return dict(answer)


def test_what_was_set_is_what_is_read(front: Front, bucket: str, function: str) -> None:
    assert read(front, bucket) == {}
    put(front, bucket, {"Id": "mine", **to(function, ["s3:ObjectCreated:Put"], PREFIX="a&b/", suffix=".jpg")})
    assert read(front, bucket) == {
        "LambdaFunctionConfigurations": [
            {
                "Id": "mine",
                "LambdaFunctionArn": function,
                "Events": ["s3:ObjectCreated:Put"],
                "Filter": {
                    "Key": {"FilterRules": [{"Name": "Prefix", "Value": "a&b/"}, {"Name": "Suffix", "Value": ".jpg"}]}
                },
            }
        ]
    }
    put(front, bucket)
    assert read(front, bucket) == {}


def test_an_id_is_made_when_none_is_given(front: Front, bucket: str, function: str) -> None:
    put(front, bucket, to(function))
    [configuration] = read(front, bucket)["LambdaFunctionConfigurations"]
    assert uuid.UUID(configuration["Id"])


def test_it_is_kept_over_a_restart_of_the_node(front: Front, bucket: str, function: str) -> None:
    put(front, bucket, to(function))
    before = read(front, bucket)
    front.run(front.restart_tap())
    assert read(front, bucket) == before
    front.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    assert front.events()


def test_virtual_host_style_sets_the_same(front: Front, bucket: str, function: str) -> None:
    front.virtual_host_client().put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [to(function)]}
    )
    assert read(front, bucket)["LambdaFunctionConfigurations"][0]["LambdaFunctionArn"] == function


def test_the_deprecated_form_is_understood(front: Front, bucket: str, function: str) -> None:
    front.client().put_bucket_notification(
        Bucket=bucket,
        NotificationConfiguration={
            "CloudFunctionConfiguration": {"Id": "old", "Event": CREATED[0], "CloudFunction": function}
        },
    )
    assert read(front, bucket)["LambdaFunctionConfigurations"] == [
        {"Id": "old", "LambdaFunctionArn": function, "Events": CREATED}
    ]


@pytest.mark.parametrize("action", ["get", "put"])
def test_a_bucket_that_does_not_exist(front: Front, action: str) -> None:
    client = front.client()
    with pytest.raises(ClientError, match="NoSuchBucket") as caught:
        if action == "get":
            client.get_bucket_notification_configuration(Bucket="no-such-bucket-here")
        else:
            client.put_bucket_notification_configuration(Bucket="no-such-bucket-here", NotificationConfiguration={})
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert response["Error"]["BucketName"] == "no-such-bucket-here"


def test_overlapping_configurations(front: Front, bucket: str, function: str) -> None:
    error = refusal(front, bucket, to(function), to(function, ["s3:ObjectCreated:Put"]))
    assert error["Code"] == "InvalidArgument"
    assert error["Message"] == (
        "Configurations overlap. Configurations on the same bucket cannot share a common event type."
    )
    assert error["ArgumentValue"] == "s3:ObjectCreated:*, s3:ObjectCreated:Put"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"prefix": "images/"}, {"prefix": "images/2026/"}),
        ({"suffix": ".jpg"}, {"suffix": "b.jpg"}),
        ({"prefix": "images/"}, {"suffix": ".jpg"}),
        ({"prefix": "images/"}, {}),
    ],
)
def test_overlapping_filters(
    front: Front, bucket: str, function: str, one: dict[str, str], other: dict[str, str]
) -> None:
    error = refusal(front, bucket, to(function, **one), to(function, **other))
    assert error["Message"] == (
        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are "
        "overlapping for the same event type."
    )


def test_filters_and_events_that_do_not_overlap(front: Front, bucket: str, function: str) -> None:
    put(
        front,
        bucket,
        to(function, prefix="images/", suffix=".jpg"),
        to(function, prefix="images/", suffix=".png"),
        to(function, prefix="logs/"),
        to(function, ["s3:ObjectRemoved:*"], prefix="images/", suffix=".jpg"),
    )
    assert len(read(front, bucket)["LambdaFunctionConfigurations"]) == 4


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"Filter": {"Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in pairs]}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Events": ["s3:ObjectCreated:Nope"]}, "A specified event is not supported for notifications."),
        (rules(("infix", "x")), "filter rule name must be either prefix or suffix"),
        (rules(("prefix", "a"), ("Prefix", "b")), "Cannot specify more than one prefix rule in a filter."),
        (rules(("suffix", "a"), ("suffix", "b")), "Cannot specify more than one suffix rule in a filter."),
        (rules(("prefix", "")), "filter value cannot be empty"),
        (
            rules(("prefix", "é" * 513)),
            "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation",
        ),
        ({"LambdaFunctionArn": "arn:aws:sqs:us-east-1:000000000000:q"}, "The ARN could not be parsed"),
        ({"LambdaFunctionArn": "my-function"}, "The ARN could not be parsed"),
        (
            {"LambdaFunctionArn": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f"},
            "The notification destination service region is not valid for the bucket location constraint",
        ),
    ],
)
def test_what_a_configuration_may_not_be(
    front: Front, bucket: str, function: str, change: dict[str, Any], message: str
) -> None:
    error = refusal(front, bucket, {**to(function), **change})
    assert (error["Code"], error["Message"]) == ("InvalidArgument", message)
    assert read(front, bucket) == {}


def test_a_longest_filter_value_is_taken(front: Front, bucket: str, function: str) -> None:
    put(front, bucket, to(function, prefix="p" * 1024))


def test_two_configurations_of_one_id(front: Front, bucket: str, function: str) -> None:
    error = refusal(front, bucket, {"Id": "x", **to(function, prefix="a")}, {"Id": "x", **to(function, prefix="b")})
    assert error["Message"] == "Same ID used for multiple configurations. IDs must be unique."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<NotificationConfiguration",
        b"<Other/>",
        b"<NotificationConfiguration><What/></NotificationConfiguration>",
        b"<NotificationConfiguration><CloudFunctionConfiguration/></NotificationConfiguration>",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><NotificationConfiguration>&e;'
        b"</NotificationConfiguration>",
    ],
)
def test_what_is_not_a_configuration_at_all(front: Front, bucket: str, body: bytes) -> None:
    request = urllib.request.Request(f"{front.endpoint}/{bucket}?notification", body, method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 400
    assert b"<Code>MalformedXML</Code>" in caught.value.read()


def test_a_body_without_end_is_refused(front: Front, bucket: str) -> None:
    request = urllib.request.Request(f"{front.endpoint}/{bucket}?notification", b" " * (2 << 20), method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert b"<Code>EntityTooLarge</Code>" in caught.value.read()


def test_a_function_that_does_not_exist(front: Front, bucket: str) -> None:
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:absent"
    error = refusal(front, bucket, to(arn))
    assert (error["Code"], error["Message"]) == (
        "InvalidArgument",
        "Unable to validate the following destination configurations",
    )
    assert (error["ArgumentName1"], error["ArgumentValue1"]) == (arn, "The destination Lambda does not exist")


def test_a_function_the_bucket_may_not_invoke(front: Front, bucket: str, function: str) -> None:
    arn = front.functions.add(f"f-{uuid.uuid4().hex[:8]}")
    error = refusal(front, bucket, to(function, prefix="a"), to(arn, prefix="b"))
    assert error["Message"] == "Unable to validate the following destination configurations"
    assert error["ArgumentName1"] == f"{arn}, null"
    assert error["ArgumentValue1"] == f"Not authorized to invoke function [{arn}]"
    front.client().put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"LambdaFunctionConfigurations": [to(arn)]},
        SkipDestinationValidation=True,
    )
    assert read(front, bucket)["LambdaFunctionConfigurations"][0]["LambdaFunctionArn"] == arn


def test_a_qualified_function(front: Front, bucket: str) -> None:
    name = f"f-{uuid.uuid4().hex[:8]}"
    arn = front.functions.add(name, qualifier="live")
    assert arn.endswith(":live")
    front.functions.allow(name, bucket)
    assert refusal(front, bucket, to(arn))["ArgumentValue1"] == f"Not authorized to invoke function [{arn}]"
    front.functions.allow(name, bucket, qualifier="live")
    put(front, bucket, to(arn))
    front.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    [event] = front.events()
    assert (event.function, event.qualifier) == (name, "live")
    assert front.tap.still_permitted(event)
    front.functions.permissions.clear()
    front.functions.allow(name, bucket)
    assert not front.tap.still_permitted(event), "the policy of the function is not that of its alias"
    unknown = arn.replace(":live", ":other")
    assert refusal(front, bucket, to(unknown))["ArgumentValue1"] == "The destination Lambda does not exist"


def test_permission_is_asked_for_again_at_delivery(front: Front, bucket: str, function: str) -> None:
    put(front, bucket, to(function))
    front.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    [event] = front.events()
    assert front.tap.still_permitted(event)
    front.functions.permissions.clear()
    assert not front.tap.still_permitted(event)
    front.functions.versions.pop((event.account, event.region, event.function, None))
    with pytest.raises(ResourceNotFoundException):
        front.tap.still_permitted(event)
    own = AsyncEvent(account=ACCOUNT, region="us-east-1", function="x", request_id="r", payload=b"", accepted_ms=0)
    assert front.tap.still_permitted(own)


def test_a_deleted_bucket_takes_its_configuration_along(front: Front, bucket: str, function: str) -> None:
    put(front, bucket, to(function))
    client = front.client()
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        client.delete_bucket(Bucket=bucket)
    assert read(front, bucket)
    client.delete_object(Bucket=bucket, Key="k")
    client.delete_bucket(Bucket=bucket)
    client.create_bucket(Bucket=bucket)
    assert read(front, bucket) == {}
    assert front.run(front.store.get("s3-notifications", bucket)) is None


def test_settings_of_buckets_in_memory_go_with_their_process(caplog: pytest.LogCaptureFixture) -> None:
    import os
    import signal

    with Front() as front:
        client = front.client()
        client.create_bucket(Bucket="gone")
        function = front.functions.add("f")
        front.functions.allow("f", "gone")
        put(front, "gone", to(function))
        pid = front.neighbours.embedded.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        client.create_bucket(Bucket="gone")
        assert front.neighbours.embedded.starts == 2
        assert read(front, "gone") == {}
        assert front.run(front.store.get("s3-notifications", "gone")) is None
        assert "the notification settings of gone went with them" in caplog.text


def test_another_account_and_region_keep_apart(embedded: Front) -> None:
    front, name = embedded, f"b-{uuid.uuid4().hex[:12]}"
    client = front.client(region="eu-west-1")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    arn = front.functions.add("here", region="eu-west-1")
    front.functions.allow("here", name)
    client.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"LambdaFunctionConfigurations": [to(arn)]}
    )
    front.drain()
    client.put_object(Bucket=name, Key="k", Body=b"x")
    [record] = front.records()
    assert record["awsRegion"] == "eu-west-1"


def test_events_an_s3_server_posts_itself(embedded: Front) -> None:
    front, name = embedded, f"b-{uuid.uuid4().hex[:12]}"
    front.client().create_bucket(Bucket=name)
    front.functions.allow("posted", name)
    put(front, name, to(front.functions.add("posted"), suffix=".jpg"))
    front.drain()
    body = (
        '{"EventName":"s3:ObjectCreated:Put","Key":"%s/a b.jpg","Records":[{"eventVersion":"2.0",'
        '"eventSource":"minio:s3","awsRegion":"","eventName":"s3:ObjectCreated:Put",'
        '"requestParameters":{"sourceIPAddress":"10.1.2.3"},"responseElements":{"x-amz-request-id":"ABC"},'
        '"s3":{"bucket":{"name":"%s"},"object":{"key":"%s","size":7,"eTag":"e"}}}]}'
    )
    assert front.run(front.tap.ingest((body % (name, name, "a+b.jpg")).encode())) == 1
    assert front.run(front.tap.ingest((body % (name, name, "a.png")).encode())) == 0
    [record] = front.records()
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["eventSource"] == "aws:s3"
    assert record["s3"]["object"]["key"] == "a+b.jpg"
    assert record["responseElements"]["x-amz-request-id"] == "ABC"
    with pytest.raises(Exception, match="Could not parse request body"):
        front.run(front.tap.ingest(b'{"Records": [{}]}'))
