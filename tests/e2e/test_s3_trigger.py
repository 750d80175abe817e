"""An upload makes a function run, which uses plain boto3 from inside its environment: the main job, in small."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.functions import create, invoke
from tests.support import NodeProcess, eventually

COPYING = """
import urllib.parse
import boto3

s3 = boto3.client('s3')

def handler(event, context):
    if 'Records' not in event:
        who = boto3.client('sts').get_caller_identity()
        return [who['Account'], who['Arn'], who['UserId'].partition(':')[2]]
    record = event['Records'][0]
    bucket = record['s3']['bucket']['name']
    key = urllib.parse.unquote_plus(record['s3']['object']['key'])
    body = s3.get_object(Bucket=bucket, Key=key)['Body'].read()
    s3.put_object(Bucket=bucket, Key='out/' + key.removeprefix('in/'), Body=body.upper())
    print(record['eventName'], key, record['s3']['object']['size'])
"""


def _notify(client: Any, bucket: str, arn: str) -> None:
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".txt"}]
    client.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {
                    "LambdaFunctionArn": arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": rules}},
                }
            ]
        },
    )


def test_an_upload_makes_a_function_run(node: NodeProcess, unique_name: str) -> None:
    functions, s3 = node.client("lambda"), node.client("s3")
    s3.create_bucket(Bucket=unique_name)
    arn = create(functions, unique_name, COPYING, Timeout=20)["FunctionArn"]
    try:
        _notify(s3, unique_name, arn)
        raise AssertionError("the bucket may not invoke the function yet")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidArgument"
    functions.add_permission(
        FunctionName=unique_name,
        StatementId="bucket",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{unique_name}",
        SourceAccount="000000000000",
    )
    _notify(s3, unique_name, arn)
    for key in ("in/a picture & more.txt", "in/ignored.jpg", "other/ignored.txt"):
        s3.put_object(Bucket=unique_name, Key=key, Body=b"light")

    def made() -> set[str]:
        return {item["Key"] for item in s3.list_objects_v2(Bucket=unique_name, Prefix="out/").get("Contents", [])}

    eventually(made, what="the function's object")
    assert made() == {"out/a picture & more.txt"}
    assert s3.get_object(Bucket=unique_name, Key="out/a picture & more.txt")["Body"].read() == b"LIGHT"
    functions.remove_permission(FunctionName=unique_name, StatementId="bucket")
    s3.put_object(Bucket=unique_name, Key="in/late.txt", Body=b"x")
    assert invoke(functions, unique_name, {}) == [
        "000000000000",
        f"arn:aws:sts::000000000000:assumed-role/lambda-role/{unique_name}",
        unique_name,
    ]
    logs = node.client("logs")

    def lines() -> list[str]:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{unique_name}")["events"]
        return [event["message"].strip() for event in events]

    eventually(lambda: len([line for line in lines() if line.startswith("REPORT")]) == 2)
    assert [line for line in lines() if line.startswith("ObjectCreated")] == [
        "ObjectCreated:Put in/a picture & more.txt 5"
    ], "permission is checked again at delivery"


def test_code_from_s3(node: NodeProcess, unique_name: str) -> None:
    from tests.support import make_zip

    functions, s3 = node.client("lambda"), node.client("s3")
    s3.create_bucket(Bucket=unique_name)
    s3.put_object(Bucket=unique_name, Key="code.zip", Body=make_zip("def handler(e, c):\n    return 'from S3'\n"))
    members = {"Runtime": "python3.11", "Role": "arn:aws:iam::000000000000:role/r", "Handler": "app.handler"}
    functions.create_function(FunctionName=unique_name, Code={"S3Bucket": unique_name, "S3Key": "code.zip"}, **members)
    functions.get_waiter("function_active_v2").wait(FunctionName=unique_name, WaiterConfig={"Delay": 0.05})
    answer = functions.invoke(FunctionName=unique_name)
    assert json.loads(answer["Payload"].read()) == "from S3"
    try:
        functions.update_function_code(FunctionName=unique_name, S3Bucket=unique_name, S3Key="missing.zip")
        raise AssertionError("there is no such key")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidParameterValueException"
        assert "S3 Error Code: NoSuchKey" in error.response["Error"]["Message"]


def test_events_an_s3_server_posts_itself(node: NodeProcess, unique_name: str) -> None:
    functions, s3 = node.client("lambda"), node.client("s3")
    s3.create_bucket(Bucket=unique_name)
    source = "def handler(e, c):\n    print('posted', e['Records'][0]['s3']['object']['key'])\n"
    arn = create(functions, unique_name, source)["FunctionArn"]
    functions.add_permission(
        FunctionName=unique_name, StatementId="b", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    _notify(s3, unique_name, arn)

    def post(records: object) -> tuple[int, dict[str, object]]:
        request = urllib.request.Request(
            f"{node.endpoint}/_pilotlight/s3-events", json.dumps(records).encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {}

    record = {
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": unique_name}, "object": {"key": "in/a.txt"}},
    }
    other = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": unique_name}, "object": {"key": "b.txt"}}}
    assert post({"Records": [record, other]}) == (200, {"accepted": 1})
    assert post({"Records": [{}]})[0] == 400
    logs = node.client("logs")

    def seen() -> bool:
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{unique_name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return False
        return any("posted in/a.txt" in event["message"] for event in events)

    eventually(seen, what="the posted event ran the function")
