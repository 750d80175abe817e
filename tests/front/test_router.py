"""One URL for all of AWS: which service, account and region a request is for."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from pilotlight.front.request_head import Head
from pilotlight.front.router import CredentialScope, credential_scope, region_in_host, scope_of, service_of
from tests.front.parts import CALLER_ARN, IDENTITY, RunningFront, request


def head(method: str = "GET", path: str = "/", query: str = "", host: str = "localhost:4566", **fields: str) -> Head:
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    headers.append((b"host", host.encode()))
    return Head(method, path, query, headers, dict(headers), "id")


def service(request_head: Head) -> str:
    return service_of(request_head, scope_of(request_head))


def signed(service_name: str) -> str:
    scope = f"test/20261121/eu-west-1/{service_name}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("request_head", "wanted"),
    [
        (head(authorization=signed("dynamodb"), path="/2015-03-31/functions"), "dynamodb"),
        (head(query="X-Amz-Credential=test%2F20261121%2Feu-west-1%2Fs3%2Faws4_request", path="/k"), "s3"),
        (head(query="AWSAccessKeyId=a&Signature=b&Expires=1", path="/2015-03-31/functions/f"), "s3"),
        (head(authorization="AWS test:signature", path="/2015-03-31/functions/f"), "s3"),
        (head(method="POST", x_amz_target="Logs_20140328.DescribeLogGroups"), "logs"),
        (head(method="POST", x_amz_target="DynamoDB_20120810.ListTables"), "dynamodb"),
        (head(method="POST", x_amz_target="DynamoDBStreams_20120810.ListStreams"), "dynamodb"),
        (head(method="POST", x_amz_target="AmazonSQS.SendMessage"), "sqs"),
        (head(method="POST", x_amz_target="AWSEvents.PutEvents"), "events"),
        (head(method="POST", x_amz_target="AmazonEC2ContainerRegistry_V20150921.GetToken"), "ecr"),
        (head(method="POST", x_amz_target="Unheard_20300101.Of"), "unheard"),
        (head(host="lambda.us-east-1.amazonaws.com", path="/anything"), "lambda"),
        (head(host="sqs.us-east-1.localhost:4566"), "sqs"),
        (head(host="photos.s3.us-east-1.amazonaws.com", path="/2015-03-31/functions/"), "s3"),
        (head(host="photos.s3-us-west-2.amazonaws.com"), "s3"),
        (head(host="s3.localhost:4566", path="/photos/key"), "s3"),
        (head(host="photos.localhost:4566", path="/2015-03-31/functions/x"), "s3"),
        (head(host="my.photos.localhost"), "s3"),
        (head(host="abc123.lambda-url.us-east-1.localhost"), "lambda"),
        (head(path="/2015-03-31/functions/f"), "lambda"),
        (head(path="/2018-10-31/layers"), "lambda"),
        (head(path="/2015-03-31/event-source-mappings/"), "lambda"),
        (head(path="/2016-08-19/account-settings/"), "lambda"),
        (head(path="/2015-03-31/photos/key"), "s3"),
        (head(method="POST", query="Action=ListQueues&Version=2012-11-05"), "sqs"),
        (head(query="Action=ConfirmSubscription&Version=2010-03-31"), "sns"),
        (head(), "s3"),
        (head(path="/photos/key", host="127.0.0.1:4566"), "s3"),
    ],
)
def test_the_service_of_a_request(request_head: Head, wanted: str) -> None:
    assert service(request_head) == wanted


@pytest.mark.parametrize(
    ("credential", "wanted"),
    [
        ("AKIA/20261121/us-east-1/s3/aws4_request", CredentialScope("AKIA", "20261121", "us-east-1", "s3")),
        ("a/b/20261121/us-east-1/s3/aws4_request", CredentialScope("a/b", "20261121", "us-east-1", "s3")),
        ("AKIA/20261121/s3/aws4_request", CredentialScope("AKIA", "20261121", "", "s3")),
        ("AKIA/20261121/../s3/aws4_request", None),
        ("AKIA/20261121/us-east-1/s%2e/aws4_request", None),
        ("AKIA", None),
    ],
)
def test_credential_scopes(credential: str, wanted: CredentialScope | None) -> None:
    assert credential_scope(credential) == wanted


def test_regions_in_host_names() -> None:
    assert region_in_host("lambda.us-gov-west-1.amazonaws.com") == "us-gov-west-1"
    assert region_in_host("photos.s3.eu-central-1.localhost:4566") == "eu-central-1"
    assert region_in_host("localhost:4566") == ""


@pytest.mark.parametrize(
    ("name", "method", "arguments", "wanted"),
    [
        ("s3", "list_objects_v2", {"Bucket": "photos"}, "s3"),
        ("sqs", "list_queues", {}, "sqs"),
        ("dynamodb", "list_tables", {}, "dynamodb"),
        ("sts", "get_caller_identity", {}, "sts"),
        ("cloudwatch", "list_metrics", {}, "monitoring"),
        ("stepfunctions", "list_state_machines", {}, "states"),
    ],
)
async def test_boto3_reaches_the_neighbours(
    front: RunningFront, name: str, method: str, arguments: dict[str, Any], wanted: str
) -> None:
    client = front.client(name, region="eu-west-1", aws_access_key_id="111122223333")
    with suppress(Exception):  # the answer is no answer of that service
        await front.call(getattr(client, method), **arguments)
    [destination] = front.forward.destinations
    assert (destination.service, destination.region, destination.account) == (wanted, "eu-west-1", "111122223333")
    assert destination.caller == ""


async def test_boto3_reaches_our_services(front: RunningFront) -> None:
    await front.call(front.client("lambda", region="eu-west-1").list_functions, MaxItems=5)
    await front.call(front.client("logs", aws_access_key_id="999988887777").describe_log_groups)
    first, second = front.lambda_api.requests
    assert (first.raw_path, first.query_string, first.region) == ("/2015-03-31/functions", "MaxItems=5", "eu-west-1")
    assert (second.account, second.method, second.region) == ("999988887777", "POST", "us-east-1")
    assert first.host == f"127.0.0.1:{front.front.port}" and first.caller == ""


async def test_credentials_of_an_environment_give_its_caller(front: RunningFront) -> None:
    issued = front.issuer.issue(IDENTITY, front.clock.time_ms())
    keys = {
        "aws_access_key_id": issued.access_key_id,
        "aws_secret_access_key": issued.secret_access_key,
        "aws_session_token": issued.session_token,
    }
    client = front.client("lambda", region="eu-west-1", **keys)
    await front.call(client.invoke, FunctionName="f")
    await front.call(client.list_functions)
    for version in ("s3v4", "s3"):
        client = front.client("s3", region="ap-south-1", config=Config(signature_version=version), **keys)
        url = client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
        await front.ask(request("GET", url.partition(front.endpoint)[2]))
    [invocation], [listed], [got, old] = front.invoker.requests, front.lambda_api.requests, front.forward.destinations
    assert (invocation.account, invocation.region, invocation.caller) == ("123456789012", "eu-west-1", CALLER_ARN)
    assert (listed.account, listed.caller) == ("123456789012", CALLER_ARN)
    assert (got.account, got.region, got.caller) == ("123456789012", "ap-south-1", CALLER_ARN)
    assert (old.account, old.region, old.caller) == ("123456789012", "eu-west-1", CALLER_ARN), "names no region"


@pytest.mark.parametrize("fault", ["forged", "expired", "other key"])
async def test_a_token_that_is_not_good_makes_nobody_a_function(front: RunningFront, fault: str) -> None:
    now_ms = front.clock.time_ms()
    issued = front.issuer.issue(IDENTITY, now_ms - 24 * 3600 * 1000 if fault == "expired" else now_ms)
    token = issued.session_token[:-1] + ("A" if issued.session_token[-1] != "A" else "B")
    client = front.client(
        "lambda",
        aws_access_key_id="ASIAOTHERKEYOTHERKEY" if fault == "other key" else issued.access_key_id,
        aws_session_token=token if fault == "forged" else issued.session_token,
    )
    await front.call(client.invoke, FunctionName="f")
    [got] = front.invoker.requests
    assert (got.account, got.caller) == ("000000000000", "")


async def test_an_error_is_one_that_the_client_can_parse(front: RunningFront) -> None:
    """Refused for its size before any service saw it."""
    with pytest.raises(ClientError) as refused:
        await front.call(
            front.client("logs").put_log_events,
            logGroupName="g",
            logStreamName="s",
            logEvents=[{"timestamp": 1, "message": "x" * 80_000_000}],
        )
    error = refused.value.response
    assert error["Error"]["Code"] == "RequestEntityTooLargeException"
    assert error["Error"]["Message"] == "Request must be smaller than 70167211 bytes for the PutLogEvents operation"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 413
