"""Function URLs of a real node: set up with boto3, asked over HTTP, served by functions in their sandboxes."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.e2e.functions import ROLE, create
from tests.support import NodeProcess, eventually, make_zip, node_process

ECHO = "def handler(event, context): return event"
ANSWERS = """
import json

def handler(event, context):
    what = event["rawPath"].strip("/")
    if what == "raise":
        raise ValueError("secret")
    if what == "exit":
        import os; os._exit(3)
    if what == "sleep":
        import time; time.sleep(30)
    if what == "large":
        return {"statusCode": 200, "body": "x" * 7_000_000}
    if what == "arn":
        return [context.invoked_function_arn, context.function_version, context.aws_request_id]
    if what == "trace":
        import os; return os.environ["_X_AMZN_TRACE_ID"]
    return json.loads(event["body"])
"""


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(port: int, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Reply:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, target, body, headers)
        with connection.getresponse() as answer:
            return Reply(answer.status, answer.headers, answer.read())


class Url(NamedTuple):
    node: NodeProcess
    function: str
    address: str

    @property
    def host(self) -> str:
        return self.address.split("/")[2]

    def ask(self, method: str = "GET", target: str = "/", body: bytes | None = None, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.node.port, method, target, body, {"Host": self.host, **named})


def make(node: NodeProcess, name: str, source: str, *, alias: str = "", url: Any = (), **params: Any) -> Url:
    """A function, with an alias of version 1 when one is asked for, and its URL, open to everybody."""
    client = node.client("lambda")
    create(client, name, source, Publish=bool(alias), **params)
    qualified = {"Qualifier": alias} if alias else {}
    if alias:
        client.create_alias(FunctionName=name, Name=alias, FunctionVersion="1")
    settings = {"AuthType": "NONE", **dict(url)}
    address = client.create_function_url_config(FunctionName=name, **qualified, **settings)["FunctionUrl"]
    permit = {"FunctionName": name, "Principal": "*", **qualified}
    client.add_permission(
        StatementId="url", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType=settings["AuthType"], **permit
    )
    client.add_permission(StatementId="function", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **permit)
    return Url(node, name, address)


def test_a_url_from_its_creation_to_its_end(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    url = make(node, unique_name, ECHO)
    assert url.address.endswith(f".lambda-url.us-east-1.localhost:{node.port}/")
    event = json.loads(url.ask("POST", "/a/b?x=1", b"hi", Content_Type="text/plain", Cookie="a=1; b=2").body)
    assert (event["version"], event["rawPath"], event["body"]) == ("2.0", "/a/b", "hi")
    assert event["cookies"] == ["a=1", "b=2"] and event["queryStringParameters"] == {"x": "1"}
    # Either permission alone is too little.
    for statement in ("url", "function"):
        policy = json.loads(client.get_policy(FunctionName=unique_name)["Policy"])["Statement"]
        client.remove_permission(FunctionName=unique_name, StatementId=statement)
        assert url.ask().status == 403
        [gone] = [one for one in policy if one["Sid"] == statement]
        condition = gone["Condition"]
        more = {"FunctionUrlAuthType": "NONE"} if "StringEquals" in condition else {"InvokedViaFunctionUrl": True}
        client.add_permission(
            FunctionName=unique_name, StatementId=statement, Action=gone["Action"], Principal="*", **more
        )
        assert url.ask().status == 200
    client.update_function_url_config(FunctionName=unique_name, AuthType="AWS_IAM")
    assert url.ask().status == 403
    client.delete_function_url_config(FunctionName=unique_name)
    assert url.ask().body == b'{"Message":null}'


@pytest.mark.parametrize("form", ["host", "path"])
def test_curl(node: NodeProcess, unique_name: str, form: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = make(node, unique_name, ECHO)
    identifier = url.host.partition(".")[0]
    if form == "host":
        where = ["--resolve", f"{url.host}:127.0.0.1", f"{url.address}p?x=1"]
    else:
        where = [f"{node.endpoint}/_pilotlight/url/{identifier}/p?x=1"]
    command = ["curl", "-sS", "--fail", "--noproxy", "*", "-d", "a=b", *where]
    event = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    assert (event["rawPath"], event["rawQueryString"]) == ("/p", "x=1")
    assert (event["body"], event["isBase64Encoded"]) == ("YT1i", True), "a form is binary, as on AWS"


@pytest.fixture(scope="module")
def answers(node: NodeProcess) -> Url:
    return make(node, "url-answers", ANSWERS, Timeout=1)


@pytest.mark.parametrize("what", ["raise", "exit", "sleep", "large"])
def test_a_failed_function_is_a_bad_gateway(answers: Url, what: str) -> None:
    reply = answers.ask("GET", f"/{what}")
    assert (reply.status, reply.body) == (502, b"Internal Server Error")
    assert reply.headers["content-type"] == "application/json" and reply.headers["x-amzn-requestid"]


def test_answers(answers: Url) -> None:
    def said(response: Any) -> Reply:
        return answers.ask("POST", "/", json.dumps(response).encode(), Content_Type="application/json")

    assert said({"message": "hi"}).body == b'{"message":"hi"}'
    assert said("plain").body == b"plain"
    assert said(None).body == b"null"
    reply = said({"statusCode": 201, "headers": {"X-A": "b"}, "cookies": ["a=1", "b=2"], "body": "é"})
    assert (reply.status, reply.body, reply.headers["x-a"]) == (201, "é".encode(), "b")
    assert reply.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert said({"statusCode": "no"}).status == 502


def test_ids_are_those_of_the_invocation(answers: Url) -> None:
    reply = answers.ask("GET", "/arn")
    arn, version, request_id = json.loads(reply.body)
    assert (arn.split(":")[6:], version) == (["url-answers"], "$LATEST")
    assert reply.headers["x-amzn-requestid"] == request_id
    root = "Root=1-5759e988-bd862e3fe1be46a994272793"
    trace = f"{root};Parent=53995c3f42cd8ad8;Sampled=0"
    reply = answers.ask("GET", "/trace", X_Amzn_Trace_Id=trace)
    assert reply.body.decode().startswith(root) and reply.headers["x-amzn-trace-id"].startswith(root)


def test_an_aliass_url_is_routed_by_its_weights(node: NodeProcess, unique_name: str) -> None:
    url = make(node, unique_name, ANSWERS, alias="live")
    client = node.client("lambda")
    arn, version, _ = json.loads(url.ask("GET", "/arn").body)
    assert arn.endswith(f":{unique_name}:live") and version == "1"
    client.update_function_configuration(FunctionName=unique_name, Description="two")
    client.get_waiter("function_updated_v2").wait(FunctionName=unique_name)
    client.publish_version(FunctionName=unique_name)
    client.update_alias(FunctionName=unique_name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    versions = Counter(json.loads(url.ask("GET", "/arn").body)[1] for _ in range(60))
    assert set(versions) == {"1", "2"}
    # Its own permissions count, not the function's; and it goes with its alias.
    client.remove_permission(FunctionName=unique_name, Qualifier="live", StatementId="function")
    client.add_permission(FunctionName=unique_name, StatementId="x", Action="lambda:InvokeFunction", Principal="*")
    assert url.ask().status == 403
    client.delete_alias(FunctionName=unique_name, Name="live")
    assert url.ask().body == b'{"Message":null}'


def test_a_function_that_is_switched_off_throttles(node: NodeProcess, unique_name: str) -> None:
    url = make(node, unique_name, ECHO)
    node.client("lambda").put_function_concurrency(FunctionName=unique_name, ReservedConcurrentExecutions=0)
    reply = url.ask()
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (429, "TooManyRequestsException")
    assert json.loads(reply.body) == {
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "Type": "User",
        "message": "Rate Exceeded.",
    }


def test_requests_are_metrics(node: NodeProcess, unique_name: str) -> None:
    url = make(node, unique_name, ANSWERS, alias="live")
    for target, status in (("/arn", 200), ("/arn", 200), ("/raise", 502)):
        assert url.ask("GET", target).status == status
    node.client("lambda").put_function_concurrency(FunctionName=unique_name, ReservedConcurrentExecutions=0)
    assert url.ask("GET", "/arn").status == 429
    cloudwatch = node.client("cloudwatch")
    resource = [{"Name": "FunctionName", "Value": unique_name}, {"Name": "Resource", "Value": f"{unique_name}:live"}]
    now = datetime.now(UTC)

    def total(metric: str, statistic: str = "Sum") -> float:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=resource,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=7200,
            Statistics=[statistic],
        )["Datapoints"]
        return sum(point[statistic] for point in points)

    assert total("UrlRequestCount") == 4
    assert (total("Url4xxCount"), total("Url5xxCount")) == (1, 1)
    assert total("UrlRequestLatency", "SampleCount") == 4 and total("UrlRequestLatency") > 0
    assert total("Invocations") == 3


def test_pages_are_answered_by_the_cors_settings(node: NodeProcess, unique_name: str) -> None:
    cors = {"AllowOrigins": ["http://localhost:3000"], "AllowMethods": ["PUT"], "AllowHeaders": ["x-a"], "MaxAge": 5}
    url = make(node, unique_name, ECHO, url={"Cors": cors})
    page = {"Origin": "http://localhost:3000", "Sec_Fetch_Site": "cross-site"}
    reply = url.ask("OPTIONS", "/", Access_Control_Request_Method="PUT", **page)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["access-control-allow-origin"] == page["Origin"]
    assert (reply.headers["access-control-allow-methods"], reply.headers["access-control-max-age"]) == ("PUT", "5")
    groups = node.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{unique_name}")["logGroups"]
    assert not groups, "the function was not asked"
    reply = url.ask("PUT", "/", b"x", **page)
    assert reply.status == 200 and reply.headers["access-control-allow-origin"] == page["Origin"]


def test_a_function_that_is_not_active_yet() -> None:
    with node_process(state_delay_ms=60_000) as node:
        client = node.client("lambda")
        client.create_function(
            FunctionName="f",
            Runtime="python3.11",
            Role=ROLE,
            Handler="app.handler",
            Code={"ZipFile": make_zip(ECHO)},
        )
        address = client.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
        client.add_permission(FunctionName="f", StatementId="a", Action="lambda:InvokeFunctionUrl", Principal="*")
        client.add_permission(FunctionName="f", StatementId="b", Action="lambda:InvokeFunction", Principal="*")
        reply = Url(node, "f", address).ask()
        assert (reply.status, reply.headers["x-amzn-errortype"]) == (409, "ResourceConflictException")
        assert reply.body.endswith(b'currently in the following state: Pending"}')


KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def test_iam_urls_of_a_node_with_signatures_survive_a_restart() -> None:
    with node_process(auth="sigv4", access_keys={KEY: SECRET}, state_delay_ms=0) as node:
        client = node.client("lambda", aws_access_key_id=KEY, aws_secret_access_key=SECRET)
        create(client, "f", ECHO)
        address = client.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]

        def signed(secret: str) -> Reply:
            host = address.split("/")[2]
            request = AWSRequest(method="POST", url=f"{address}x?y=z", data=b'{"a": 1}')
            request.headers["Content-Type"] = "application/json"
            SigV4Auth(Credentials(KEY, secret), "lambda", "us-east-1").add_auth(request)
            return ask(node.port, "POST", "/x?y=z", b'{"a": 1}', {**dict(request.headers), "Host": host})

        for _ in range(2):
            reply = signed(SECRET)
            event = json.loads(reply.body)
            assert (reply.status, event["body"]) == (200, '{"a": 1}')
            assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == KEY
            assert signed("wrong").status == 403
            node.stop()
            node.start()
            address = address.rpartition(":")[0] + f":{node.port}/"


def test_many_urls_are_found_by_their_hosts(node: NodeProcess, unique_name: str) -> None:
    first, second = (make(node, f"{unique_name}-{number}", ECHO) for number in range(2))
    for url in (first, second, first):
        event = json.loads(url.ask().body)
        assert event["requestContext"]["apiId"] == url.host.partition(".")[0]
    node.client("lambda").delete_function(FunctionName=first.function)
    eventually(lambda: first.ask().status == 403)
    assert second.ask().status == 200


STREAMS = """
import os, time

def handler(event, context):
    what = event["rawPath"].strip("/")
    if what == "plain":
        return {"statusCode": 404, "body": "not streamed"}
    return pieces(what)

def pieces(what):
    if what != "bare":
        yield {"statusCode": 201, "headers": {"Content-Type": "text/plain", "X-A": "b"}, "cookies": ["a=1"]}
    yield "one "
    if what == "raise":
        raise ValueError("secret")
    if what == "exit":
        os._exit(3)
    if what == "sleep":
        time.sleep(30)
    yield b"two"
"""


def test_a_function_streams(node: NodeProcess, unique_name: str) -> None:
    variables = {"Variables": {"PILOTLIGHT_RESPONSE_STREAM": "1"}}
    mode = {"InvokeMode": "RESPONSE_STREAM"}
    url = make(node, unique_name, STREAMS, url=mode, Environment=variables, Timeout=1)
    reply = url.ask("GET", "/")
    assert (reply.status, reply.body, reply.headers["x-a"]) == (201, b"one two", "b")
    assert reply.headers.get_all("set-cookie") == ["a=1"]
    assert (reply.headers["transfer-encoding"], reply.headers["content-type"]) == ("chunked", "text/plain")
    reply = url.ask("GET", "/bare")
    assert (reply.status, reply.body) == (200, b"one two")
    assert reply.headers["content-type"] == "application/octet-stream"
    reply = url.ask("GET", "/plain")
    assert (reply.status, json.loads(reply.body)) == (200, {"statusCode": 404, "body": "not streamed"})
    for what in ("raise", "exit", "sleep"):
        with pytest.raises(http.client.IncompleteRead) as cut:
            url.ask("GET", f"/{what}")
        assert cut.value.partial == b"one "
    # The same function behind a buffered URL.
    node.client("lambda").update_function_url_config(FunctionName=unique_name, InvokeMode="BUFFERED")
    reply = url.ask("GET", "/")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (201, b"one two", "7")
    assert url.ask("GET", "/bare").body == b"one two"
    assert url.ask("GET", "/raise").status == 502
    reply = url.ask("GET", "/plain")
    assert (reply.status, reply.body) == (404, b"not streamed")


CALLS = """
import json, os, urllib.error, urllib.request

def handler(event, context):
    url = os.environ["AWS_ENDPOINT_URL"] + "/_pilotlight/url/" + event["id"] + "/from/inside?x=1"
    with urllib.request.urlopen(url, data=b"hi", timeout=10) as answer:
        return json.loads(answer.read())
"""


def test_a_function_asks_at_anothers_url(node: NodeProcess, unique_name: str) -> None:
    """In the sandbox no name resolves: it uses the path form. Its connection says who it is."""
    url = make(node, unique_name, ECHO, url={"AuthType": "AWS_IAM"})
    client = node.client("lambda")
    assert url.ask().status == 403
    create(client, f"{unique_name}-caller", CALLS)
    payload = json.dumps({"id": url.host.partition(".")[0]})
    event = json.loads(client.invoke(FunctionName=f"{unique_name}-caller", Payload=payload)["Payload"].read())
    assert (event["rawPath"], event["rawQueryString"]) == ("/from/inside", "x=1")
    caller = event["requestContext"]["authorizer"]["iam"]["userArn"]
    assert caller.endswith(f":assumed-role/lambda-role/{unique_name}-caller")


SLOW = """
import time

def handler(event, context):
    print("begun", flush=True)
    if event["rawPath"] == "/slow":
        time.sleep(1)
    print("finished")
"""


def test_a_client_that_goes_away_does_not_stop_the_function(node: NodeProcess, unique_name: str) -> None:
    url = make(node, unique_name, SLOW, Timeout=10)
    assert url.ask().status == 200
    client = socket.create_connection(("127.0.0.1", node.port))
    client.sendall(f"GET /slow HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
    logs = node.client("logs")

    def lines(word: str) -> int:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{unique_name}", filterPattern=word)["events"]
        return len(events)

    eventually(lambda: lines("begun") == 2)
    client.close()
    eventually(lambda: lines("finished") == 2)
