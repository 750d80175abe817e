"""The proxy passes on what it gets, byte for byte and piece by piece; what it cannot do it says in AWS's shapes."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.neighbours.harness import KEYS, Front, other_s3, other_s3_server
from tests.support import aws_client

MIB = 1 << 20


class Backend(BaseHTTPRequestHandler):
    """A server that keeps what reached it and answers what the test set."""

    protocol_version = "HTTP/1.1"
    seen: list[dict[str, Any]] = []
    gate = threading.Event()

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = b"" if self.headers.get("Transfer-Encoding") else self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.seen.append({"line": self.requestline, "headers": self.headers.items(), "body": body})
        status = int(self.headers.get("x-test-status") or 200)
        self.send_response(status)
        self.send_header("X-Raw", "grün")
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Connection", "x-secret-hop")
        self.send_header("X-Secret-Hop", "1")
        if status in (204, 304):
            self.end_headers()
            return
        self.send_header("Content-Length", "5")
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if self.command != "HEAD":
            if self.headers.get("x-test-break"):
                self.wfile.write(b"he")
                self.close_connection = True
                return
            self.wfile.write(b"hello")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def backend() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Backend.seen.clear()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def plain() -> Iterator[Front]:
    """A front whose S3 and DynamoDB are the server above; the embedded neighbours are off."""
    with (
        backend() as port,
        Front(
            endpoints={"s3": f"http://127.0.0.1:{port}", "dynamodb": f"http://127.0.0.1:{port}/base"},
            neighbours=False,
        ) as front,
    ):
        yield front


def send(front: Front, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, list[Any], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)
    try:
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, [(name.lower(), value) for name, value in response.getheaders()], response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "target",
    [
        "/bucket/a%20b%2Fc//d/../e/%C3%BC+~",
        "/bucket/k?x=1&y=%20+&empty=&flag&versionId=a%2Fb",
        "/b/%7Euser/!*'()",
    ],
)
def test_path_and_query_byte_for_byte(plain: Front, target: str) -> None:
    send(plain, "GET", target)
    assert Backend.seen[-1]["line"] == f"GET {target} HTTP/1.1"


def test_headers_both_ways(plain: Front) -> None:
    status, headers, body = send(
        plain,
        "PUT",
        "/bucket/k",
        b"body",
        x_amz_meta_name="grün".encode().decode("latin-1"),
        Connection="x-mine",
        x_mine="1",
        Expect="100-continue",
        authorization="AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=h, Signature=s",
    )
    seen = Backend.seen[-1]
    sent = {name.lower(): value for name, value in seen["headers"]}
    assert (seen["body"], sent["host"], sent["content-length"]) == (b"body", f"127.0.0.1:{plain.port}", "4")
    assert sent["authorization"].endswith("Signature=s")
    assert sent["x-amz-meta-name"].encode("latin-1").decode() == "grün"
    assert not {"connection", "x-mine", "expect", "x-moto-account-id", "user-agent", "accept"} & set(sent)

    assert (status, body) == (200, b"hello")
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert dict(headers)["content-encoding"] == "gzip"
    assert dict(headers)["x-raw"] == "grün"
    assert "x-secret-hop" not in dict(headers)
    assert len([name for name, _ in headers if name in ("date", "server")]) == 2


@pytest.mark.parametrize(("method", "status", "length"), [("HEAD", 200, "5"), ("GET", 204, None), ("GET", 304, None)])
def test_answers_without_a_body(plain: Front, method: str, status: int, length: str | None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", plain.port, timeout=20)
    for _ in range(2):  # the second on the same connection: nothing of the first was left in it
        connection.request(method, "/bucket/k", headers={"x-test-status": str(status)})
        response = connection.getresponse()
        assert (response.status, response.getheader("content-length"), response.read()) == (status, length, b"")
    connection.close()


def test_a_chunked_body(plain: Front) -> None:
    send(plain, "PUT", "/bucket/k", iter([b"one", b"two" * 100_000]))
    assert Backend.seen[-1]["body"] == b"one" + b"two" * 100_000


def test_an_answer_that_breaks_off_is_not_taken_for_whole(plain: Front) -> None:
    with pytest.raises(http.client.IncompleteRead):
        send(plain, "GET", "/bucket/k", x_test_break="1")


def test_an_endpoint_with_a_path(plain: Front) -> None:
    credential = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, Signature=s"
    send(plain, "POST", "/", b"{}", authorization=credential)
    assert Backend.seen[-1]["line"] == "POST /base/ HTTP/1.1"


def test_a_service_without_an_endpoint_is_named_with_its_setting(plain: Front) -> None:
    with pytest.raises(ClientError) as caught:
        plain.client("sqs").list_queues()
    error = caught.value.response["Error"]
    assert error["Code"] == "ServiceUnavailableException"
    assert "endpoints.sqs" in error["Message"]


@pytest.fixture(scope="module")
def refused() -> Iterator[Front]:
    """Every service of it is where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://who:hush@127.0.0.1:{port}"
    services = ("s3", "sqs", "sns", "dynamodb", "kinesis", "ec2", "apigateway")
    with Front(endpoints=dict.fromkeys(services, url)) as front:
        yield front


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "list_buckets", "ServiceUnavailable"),
        ("sqs", "list_queues", "ServiceUnavailableException"),
        ("sns", "list_topics", "ServiceUnavailableException"),
        ("dynamodb", "list_tables", "ServiceUnavailableException"),
        ("kinesis", "list_streams", "ServiceUnavailableException"),
        ("ec2", "describe_regions", "ServiceUnavailableException"),
        ("apigateway", "get_rest_apis", "ServiceUnavailableException"),
    ],
)
def test_an_endpoint_where_nobody_listens(refused: Front, service: str, operation: str, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(refused.client(service), operation)()
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert response["Error"]["Code"] == code
    message = response["Error"]["Message"]
    assert f'The service "{service}" does not answer at http://127.0.0.1:' in message
    assert "hush" not in message


def memory_mib() -> float:
    """The most this process has had resident since `forget_peak`, and what it has now, told by the kernel."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_a_large_object_passes_without_staying(front: Front, tmp_path: Path) -> None:
    size = 100 * MIB
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(size)
    client = front.client(config=Config(request_checksum_calculation="when_required"))
    bucket = f"b-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="small", Body=b"x")
    forget_peak()
    before = memory_mib()
    with path.open("rb") as file:
        client.put_object(Bucket=bucket, Key="large", Body=file)
    up = memory_mib()
    body = client.get_object(Bucket=bucket, Key="large")["Body"]
    assert sum(len(piece) for piece in body.iter_chunks(MIB)) == size
    down = memory_mib()
    print(f"resident before {before:.0f} MiB, at most {up:.0f} during the upload, {down:.0f} with the download")
    assert up - before < 24
    assert down - before < 32


def test_back_pressure_reaches_the_client() -> None:
    """A backend that reads nothing stops the upload: the node does not take in what it cannot pass on."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Front(endpoints={"s3": f"http://127.0.0.1:{listener.getsockname()[1]}"}) as front,
    ):
        with socket.create_connection(("127.0.0.1", front.port)) as client:
            client.sendall(b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx")
            accepted, _ = listener.accept()
            client.settimeout(0.5)
            sent = 0
            with pytest.raises(TimeoutError):
                while True:
                    sent += client.send(b"x" * MIB)
            assert sent < 64 * MIB
        # The client is gone, in the middle of its body: the connection to the backend ends too.
        accepted.settimeout(10)
        with accepted:
            while accepted.recv(MIB):
                pass


def test_a_client_that_goes_away_ends_the_call_behind() -> None:
    """Otherwise a message would be received by nobody, at the end of a long poll."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Front(endpoints={"s3": f"http://127.0.0.1:{listener.getsockname()[1]}"}) as front,
    ):
        with socket.create_connection(("127.0.0.1", front.port)) as client:
            client.sendall(b"GET /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n")
            accepted, _ = listener.accept()
            accepted.settimeout(10)
            assert accepted.recv(4096).startswith(b"GET /bucket/k")
        with accepted:
            assert accepted.recv(4096) == b""


def test_the_embedded_one_cannot_be_driven_from_outside(front: Front) -> None:
    bucket = f"b-{uuid.uuid4().hex[:12]}"
    front.client().create_bucket(Bucket=bucket)
    request = urllib.request.Request(f"{front.endpoint}/moto-api/reset", b"", method="POST")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request)
    front.client().head_bucket(Bucket=bucket)


def test_accounts_keep_apart_whatever_a_client_claims(front: Front) -> None:
    sqs = front.client("sqs")

    def claim(request: Any, **_: Any) -> None:
        request.headers["x-moto-account-id"] = "999999999999"

    sqs.meta.events.register("before-send.sqs.*", claim)
    url = sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    assert "/000000000000/" in url
    assert url.startswith(front.endpoint)


def test_services_beside_s3(front: Front) -> None:
    table = f"t-{uuid.uuid4().hex[:8]}"
    dynamodb = front.client("dynamodb")
    dynamodb.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName=table, Item={"k": {"S": "ü"}})
    assert dynamodb.get_item(TableName=table, Key={"k": {"S": "ü"}})["Item"] == {"k": {"S": "ü"}}
    iam = front.client("iam")
    role = f"r-{uuid.uuid4().hex[:8]}"
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    binary = other_s3_server()
    if binary is None:
        pytest.skip("no other S3 server: versitygw is neither on PATH nor in .cache/bin")
    with other_s3(binary) as authority:
        yield authority


def test_a_clients_signature_holds_all_the_way(gateway: str) -> None:
    """An endpoint without credentials: the backend checks what the client signed, Host included."""
    with Front(endpoints={"s3": f"http://{gateway}"}) as front:
        keys = {"aws_access_key_id": KEYS[0], "aws_secret_access_key": KEYS[1]}
        client = front.client(**keys)
        bucket = f"b-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="a b+ü/~", Body=b"signed", Metadata={"x": "y  z"})
        assert client.get_object(Bucket=bucket, Key="a b+ü/~")["Body"].read() == b"signed"
        config = Config(s3={"addressing_style": "virtual"}, proxies={"http": front.endpoint})
        virtual = aws_client("s3", f"http://localhost:{front.port}", config=config, **keys)
        assert [item["Key"] for item in virtual.list_objects_v2(Bucket=bucket)["Contents"]] == ["a b+ü/~"]
        with pytest.raises(ClientError, match=r"InvalidAccessKeyId|XAdminUserNotFound"):
            front.client().list_buckets()


def test_an_endpoint_with_credentials_is_signed_for(gateway: str) -> None:
    with Front(endpoints={"s3": f"http://{KEYS[0]}:{KEYS[1]}@{gateway}"}) as front:
        client = front.client()
        bucket = f"b-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="a b+ü/~ (1)", Body=b"again", ChecksumAlgorithm="SHA256")
        listed = client.list_objects_v2(Bucket=bucket, Prefix="a b+", Delimiter="/")
        assert listed["CommonPrefixes"] == [{"Prefix": "a b+ü/"}]
        url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b+ü/~ (1)"})
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"again"
        assert front.virtual_host_client().head_object(Bucket=bucket, Key="a b+ü/~ (1)")["ContentLength"] == 5


def test_signed_chunks_are_taken_apart_before_they_are_signed_anew(gateway: str) -> None:
    """What Java's SDK sends over plain HTTP: each chunk signed with the client's key."""
    with Front(endpoints={"s3": f"http://{KEYS[0]}:{KEYS[1]}@{gateway}"}) as front:
        client = front.client()
        bucket = f"b-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=bucket)
        data = bytes(range(256)) * 1000
        chunks = [data[at : at + 65536] for at in range(0, len(data), 65536)]
        signature = b";chunk-signature=" + b"0" * 64 + b"\r\n"
        body = b"".join(b"%x" % len(chunk) + signature + chunk + b"\r\n" for chunk in [*chunks, b""])
        status, _, answer = send(
            front,
            "PUT",
            f"/{bucket}/k",
            body,
            authorization="AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, Signature=0",
            x_amz_content_sha256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            x_amz_decoded_content_length=str(len(data)),
            Content_Encoding="aws-chunked",
        )
        assert (status, answer) == (200, b"")
        stored = client.get_object(Bucket=bucket, Key="k")
        assert stored["Body"].read() == data
        assert "ContentEncoding" not in stored
        cut = body[: len(body) // 2]
        status, _, answer = send(
            front,
            "PUT",
            f"/{bucket}/cut",
            cut,
            x_amz_content_sha256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            x_amz_decoded_content_length=str(len(data)),
        )
        assert (status, b"<Code>IncompleteBody</Code>" in answer) == (400, True)


def test_many_at_once(front: Front) -> None:
    bucket = f"b-{uuid.uuid4().hex[:12]}"
    client = front.client()
    client.create_bucket(Bucket=bucket)

    async def put_all() -> None:
        await asyncio.gather(
            *(asyncio.to_thread(client.put_object, Bucket=bucket, Key=f"k{n}", Body=b"x" * 100_000) for n in range(60))
        )

    asyncio.run(put_all())
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 60
