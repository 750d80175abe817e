"""Signatures: botocore signs, the front verifies, and every way of being wrong has AWS's name."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import pytest_asyncio
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.catalog.credentials import CredentialIssuer
from pilotlight.clock import SystemClock
from pilotlight.errors import AwsError
from pilotlight.front.callers import Callers
from pilotlight.front.request_head import Head
from pilotlight.front.sigv4 import Verifier
from pilotlight.settings import Settings
from tests.front.parts import CALLER_ARN, IDENTITY, RunningFront, running_front
from tests.front.parts import request as raw_request
from tests.support import aws_client, eventually_async

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
GOOD = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
ACCOUNT_KEY = {"aws_access_key_id": "111122223333", "aws_secret_access_key": "other secret"}


@pytest_asyncio.fixture
async def locked() -> AsyncIterator[RunningFront]:
    """A front that wants signatures."""
    keys = {KEY: SECRET, "111122223333": "other secret"}
    async with running_front(auth="sigv4", access_keys=keys, allowed_hosts=("aws.test", "*.aws.test")) as running:
        running.forward.body = b""  # botocore wants XML or nothing from S3
        yield running


# --- through boto3 ---


async def test_signed_calls_pass(locked: RunningFront) -> None:
    client = locked.client("lambda", region="eu-west-1", **GOOD)
    name = "arn:aws:lambda:eu-west-1:000000000000:function:f"
    answer = await locked.call(client.invoke, FunctionName=name, Qualifier="$LATEST", Payload=b'{"a": "\xc3\xa9"}')
    assert answer["Payload"].read() == b'{"a": "\xc3\xa9"}'
    await locked.call(client.list_functions, MaxItems=3)
    await locked.call(locked.client("logs", **ACCOUNT_KEY).describe_log_groups)
    [got], [listed, described] = locked.invoker.requests, locked.lambda_api.requests
    assert (got.account, got.region, got.caller) == ("000000000000", "eu-west-1", "arn:aws:iam::000000000000:root")
    assert (listed.caller, described.caller) == (got.caller, "arn:aws:iam::111122223333:root")
    assert described.account == "111122223333"


async def test_signed_uploads_pass_and_stream(locked: RunningFront) -> None:
    client = locked.client("s3", **GOOD)
    body = b"photo" * 100_000
    await locked.call(client.put_object, Bucket="b", Key="a b/ü+~'()*!.jpg", Body=body, Metadata={"a": "b  c"})
    await locked.call(client.get_object, Bucket="b", Key="k//./../x")
    assert locked.forward.bodies[0] == hashlib.sha256(body).hexdigest()
    assert [got.caller for got in locked.forward.destinations] == ["arn:aws:iam::000000000000:root"] * 2


@pytest.mark.parametrize(
    ("service", "method", "arguments"),
    [
        ("dynamodb", "list_tables", {}),
        ("sqs", "list_queues", {}),
        ("events", "list_rules", {}),
    ],
)
async def test_signed_calls_to_neighbours_pass(
    locked: RunningFront, service: str, method: str, arguments: dict[str, Any]
) -> None:
    async def json(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        locked.forward.bodies.append(message["body"].decode())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    bodies = locked.forward.bodies
    locked.forward, locked.forward.bodies = json, bodies  # type: ignore[assignment]
    await locked.call(getattr(locked.client(service, **GOOD), method), **arguments)
    assert bodies == ["{}"], "a body that had to be read for its signature is given again"


@pytest.mark.parametrize("service", ["lambda", "s3"])
async def test_credentials_of_an_environment_are_keys_too(locked: RunningFront, service: str) -> None:
    issued = locked.issuer.issue(IDENTITY, locked.clock.time_ms())
    client = locked.client(
        service,
        region="eu-west-1",
        aws_access_key_id=issued.access_key_id,
        aws_secret_access_key=issued.secret_access_key,
        aws_session_token=issued.session_token,
    )
    if service == "lambda":
        await locked.call(client.invoke, FunctionName="f", Payload=b"1")
        got = locked.invoker.requests[0]
    else:
        await locked.call(client.put_object, Bucket="b", Key="k", Body=b"x")
        got = locked.forward.destinations[0]
    assert (got.account, got.caller) == ("123456789012", CALLER_ARN)


WRONG_SECRET = {"aws_access_key_id": KEY, "aws_secret_access_key": "wrong"}
WRONG_KEY = {"aws_access_key_id": "AKIAUNKNOWNUNKNOWN00", "aws_secret_access_key": SECRET}
FOREIGN_TOKEN = {**GOOD, "aws_session_token": "from.elsewhere"}


@pytest.mark.parametrize(
    ("service", "method", "arguments", "keys", "code", "message"),
    [
        ("lambda", "invoke", {"FunctionName": "f"}, WRONG_SECRET, "InvalidSignatureException", "does not match"),
        ("lambda", "list_functions", {}, WRONG_SECRET, "InvalidSignatureException", "does not match"),
        ("lambda", "invoke", {"FunctionName": "f"}, WRONG_KEY, "UnrecognizedClientException", "is invalid."),
        ("lambda", "list_functions", {}, FOREIGN_TOKEN, "UnrecognizedClientException", "is invalid."),
        ("dynamodb", "list_tables", {}, WRONG_SECRET, "InvalidSignatureException", "does not match"),
        ("sts", "get_caller_identity", {}, WRONG_SECRET, "SignatureDoesNotMatch", "does not match"),
        ("sts", "get_caller_identity", {}, WRONG_KEY, "InvalidClientTokenId", "is invalid."),
        ("s3", "list_objects_v2", {"Bucket": "b"}, WRONG_SECRET, "SignatureDoesNotMatch", "does not match"),
        ("s3", "list_objects_v2", {"Bucket": "b"}, WRONG_KEY, "InvalidAccessKeyId", "does not exist in our records."),
    ],
)
async def test_wrong_keys(
    locked: RunningFront,
    service: str,
    method: str,
    arguments: dict[str, Any],
    keys: dict[str, str],
    code: str,
    message: str,
) -> None:
    with pytest.raises(ClientError) as refused:
        await locked.call(getattr(locked.client(service, **keys), method), **arguments)
    error = refused.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, 403)
    assert message in error["Error"]["Message"]
    assert not locked.invoker.requests and not locked.lambda_api.requests and not locked.forward.bodies


async def test_unsigned_calls_are_refused_before_their_bodies_are_read(locked: RunningFront) -> None:
    for target, code in (
        ("/2015-03-31/functions/f/invocations", b"Missing Authentication Token"),
        ("/2015-03-31/functions", b"Missing Authentication Token"),
        ("/bucket/key", b"<Code>AccessDenied</Code>"),
    ):
        client = await locked.connect()
        client.send(raw_request("POST", target, Content_Length="1000000"))
        answer = await client.answer()
        assert answer.status == 403 and code in answer.body
    assert (await locked.ask(raw_request("GET", "/_pilotlight/health"))).status == 200, "health needs no key"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
async def test_presigned_urls(locked: RunningFront, version: str) -> None:
    """Both signatures: version 2 is what boto3 presigns with when it is not told otherwise."""
    client = locked.client("s3", config=Config(signature_version=version), **GOOD)
    urls = [
        client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "a b+ü.jpg"}),
        client.generate_presigned_url("put_object", {"Bucket": "b", "Key": "k"}),
    ]
    authority = urlsplit(locked.endpoint).netloc
    for method, url in zip(("GET", "PUT"), urls, strict=True):
        target = url.partition(authority)[2]
        assert (await locked.ask(raw_request(method, target, host=authority, body=b"any"))).status == 200
        assert (await locked.ask(raw_request("DELETE", target, host=authority))).status == 403
        assert (await locked.ask(raw_request(method, target.replace("/b/", "/c/"), host=authority))).status == 403
        assert (await locked.ask(raw_request(method, target, host="bucket.localhost"))).status == 403
    assert len(locked.forward.bodies) == 2


async def test_version_2_presigned_urls_expire_and_hold_in_every_address_style(locked: RunningFront) -> None:
    issued = locked.issuer.issue(IDENTITY, locked.clock.time_ms())
    token = {"aws_access_key_id": issued.access_key_id, "aws_secret_access_key": issued.secret_access_key}
    token["aws_session_token"] = issued.session_token
    config = Config(s3={"addressing_style": "virtual"}, signature_version="s3")
    for endpoint in ("http://localhost:4566", "http://aws.test:4566"):
        client = aws_client("s3", endpoint, config=config, **token)
        arguments = {"Bucket": "photos", "Key": "a b/ü", "VersionId": "v/1", "ResponseContentType": "text/x y"}
        url = urlsplit(client.generate_presigned_url("get_object", arguments))
        assert url.netloc == "photos." + endpoint.removeprefix("http://") and "Signature=" in url.query
        target = f"{url.path}?{url.query}"
        assert (await locked.ask(raw_request("GET", target, host=url.netloc))).status == 200
        other = target.replace("versionId=v", "versionId=w")
        assert (await locked.ask(raw_request("GET", other, host=url.netloc))).status == 403
    assert [got.caller for got in locked.forward.destinations] == [CALLER_ARN] * 2
    expired = locked.client("s3", **GOOD).generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"}, -5)
    answer = await locked.ask(raw_request("GET", expired.partition(locked.endpoint)[2]))
    assert answer.status == 403 and b"Request has expired" in answer.body


async def test_version_2_headers(locked: RunningFront) -> None:
    config = Config(signature_version="s3")
    put = {"Bucket": "b", "Key": "k", "Body": b"x", "Metadata": {"a": "b"}, "ContentType": "text/plain"}
    await locked.call(locked.client("s3", config=config, **GOOD).put_object, **put)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        await locked.call(locked.client("s3", config=config, **WRONG_SECRET).put_object, **put)
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        await locked.call(locked.client("s3", config=config, **WRONG_KEY).put_object, **put)
    assert len(locked.forward.bodies) == 1


async def test_a_body_that_is_not_what_was_signed_never_completes(locked: RunningFront) -> None:
    """As S3 has it: the digest is declared and signed, and the body is another."""
    authority = urlsplit(locked.endpoint).netloc
    data = b"x" * 1_000_000
    signed = sign(S3SigV4Auth, "PUT", f"http://{authority}/b/k", data, "s3")
    headers = {name: value for name, value in signed.headers.items() if name.lower() != "host"}
    right = await locked.ask(raw_request("PUT", "/b/k", host=authority, body=data, **headers))
    wrong = await locked.ask(raw_request("PUT", "/b/k", host=authority, body=data[:-1] + b"y", **headers))
    assert right.status == 200
    assert wrong.status == 400 and b"<Code>XAmzContentSHA256Mismatch</Code>" in wrong.body
    assert len(locked.forward.bodies) == 1 and locked.forward.gone == 1
    # In chunks, so that all of the data comes before its end is known.
    locked.forward.pieces.clear()
    client = await locked.connect()
    client.send(raw_request("PUT", "/b/k", host=authority, Transfer_Encoding="chunked", **headers))
    for piece in (b"x" * 999_999, b"y"):
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await locked.ask(raw_request("GET", "/_pilotlight/health"))
    await eventually_async(lambda: sum(locked.forward.pieces) == len(data) - 1)
    client.send(b"0\r\n\r\n")
    assert (await client.answer()).status == 400
    assert sum(locked.forward.pieces) == len(data) - 1, "the last piece was held back"


@pytest.mark.parametrize("target", ["/2015-03-31/functions/f/invocations", "/2015-03-31/functions"])
async def test_a_changed_body_or_header_breaks_the_signature(locked: RunningFront, target: str) -> None:
    authority = urlsplit(locked.endpoint).netloc
    signed = sign(SigV4Auth, "POST", f"http://{authority}{target}", b'{"a":1}', "lambda")
    headers = {name: value for name, value in signed.headers.items() if name.lower() != "host"}
    asked: Callable[..., bytes] = lambda **more: raw_request(  # noqa: E731
        "POST", target, **{"host": authority, "body": b'{"a":1}', **headers, **more}
    )
    assert (await locked.ask(asked())).status == 200
    for more in ({"body": b'{"a":2}'}, {"host": "localhost"}, {"X_Amz_Invocation_Type": "Event"}):
        answer = await locked.ask(asked(**more))
        assert answer.status == 403 and answer.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert len(locked.invoker.requests) + len(locked.lambda_api.requests) == 1


# --- the verifier by itself ---


def sign(auth: type, method: str, url: str, body: bytes, service: str, **headers: str) -> Any:
    signed = AWSRequest(method=method, url=url, data=body, headers={"Host": urlsplit(url).netloc, **headers})
    credentials = Credentials(KEY, SECRET)
    # S3's signers ask where the body is to go.
    signed.context["client_config"] = None
    signed.context["payload_signing_enabled"] = True
    auth(credentials, service, "us-east-1").add_auth(signed)
    return signed


def head_of(signed: Any) -> Head:
    parts = urlsplit(signed.url)
    prepared = signed.prepare()
    parts = urlsplit(prepared.url)
    headers = [
        (name.lower().encode(), value if isinstance(value, bytes) else str(value).encode("latin-1"))
        for name, value in prepared.headers.items()
    ]
    return Head(prepared.method, parts.path or "/", parts.query, headers, dict(headers), "id")


class Held:
    """A clock that stands where it is put, in seconds from now."""

    def __init__(self) -> None:
        self.offset_s = 0

    def time_ms(self) -> int:
        return SystemClock().time_ms() + self.offset_s * 1000

    async def sleep_until(self, when_ms: int) -> None:
        raise NotImplementedError


class Checked:
    def __init__(self) -> None:
        self.clock = Held()
        self.issuer = CredentialIssuer(b"k" * 32)
        callers = Callers(Settings(), self.issuer, self.clock)
        self.verifier = Verifier({KEY: SECRET}, self.issuer, callers, self.clock)

    def verify(self, head: Head, body: bytes = b"", style: Any = "json") -> None:
        claim = self.verifier.open_claim(head, style)
        self.verifier.verify(claim, head, hashlib.sha256(body).hexdigest())

    def refusal(self, head: Head, style: Any = "json") -> AwsError:
        with pytest.raises(AwsError) as refused:
            self.verify(head, style=style)
        return refused.value


@pytest.fixture
def checked() -> Checked:
    return Checked()


SEGMENTS = st.text(st.characters(codec="utf-8", exclude_characters="/\x7f", min_codepoint=33), max_size=8)
QUERIES = st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=4)
BODIES = st.binary(max_size=40)


@settings(deadline=None, max_examples=150)
@given(path=st.lists(SEGMENTS, max_size=4), query=QUERIES, body=BODIES, value=st.text("ab \t", max_size=8))
@pytest.mark.parametrize(
    ("auth", "service", "style"), [(SigV4Auth, "lambda", "json"), (S3SigV4Auth, "s3", "s3")], ids=["others", "s3"]
)
def test_what_botocore_signs_is_what_we_verify(
    auth: type, service: str, style: str, path: list[str], query: list[tuple[str, str]], body: bytes, value: str
) -> None:
    checked = Checked()
    text = "&".join(f"{quote(name, safe='-_.~')}={quote(item, safe='-_.~')}" for name, item in query)
    url = "http://localhost:4566/" + "/".join(quote(part, safe="-_.~") for part in path) + (f"?{text}" if text else "")
    head = head_of(sign(auth, "POST", url, body, service, **{"X-Amz-Meta-A": value}))
    checked.verify(head, body, style)
    if service != "s3":
        with pytest.raises(AwsError):
            checked.verify(head, body + b"!", style)


@settings(deadline=None, max_examples=50)
@given(path=st.lists(SEGMENTS, max_size=3), query=QUERIES)
@pytest.mark.parametrize(
    ("auth", "service", "style"), [(SigV4QueryAuth, "lambda", "json"), (S3SigV4QueryAuth, "s3", "s3")]
)
def test_presigned_urls_of_botocore(
    auth: type, service: str, style: str, path: list[str], query: list[tuple[str, str]]
) -> None:
    text = "&".join(f"{quote(name, safe='-_.~')}={quote(item, safe='-_.~')}" for name, item in query)
    url = "http://localhost:4566/" + "/".join(quote(part, safe="-_.~") for part in path) + (f"?{text}" if text else "")
    Checked().verify(head_of(sign(auth, "GET", url, b"", service)), style=style)


@pytest.mark.parametrize(
    "word",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ],
)
def test_payloads_that_s3_clients_do_not_digest(checked: Checked, word: str) -> None:
    """The signature over the headers is verified, with the word in the digest's place."""

    class Streaming(S3SigV4Auth):
        def payload(self, request: Any) -> str:
            return word

    head = head_of(sign(Streaming, "PUT", "http://localhost/b/k", b"chunks", "s3"))
    checked.verify(head, b"whatever", "s3")
    assert (
        checked.refusal(replaced(head, b"x-amz-content-sha256", b"UNSIGNED-PAYLOADS"), "s3").code == "InvalidArgument"
    )
    other = b"UNSIGNED-PAYLOAD" if word != "UNSIGNED-PAYLOAD" else b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert checked.refusal(replaced(head, b"x-amz-content-sha256", other), "s3").code == "SignatureDoesNotMatch"


def replaced(head: Head, name: bytes, value: bytes | None) -> Head:
    headers = [(field, value if field == name else given) for field, given in head.headers]
    kept = [(field, given) for field, given in headers if given is not None]
    return Head(head.method, head.raw_path, head.query, kept, dict(kept), head.request_id)


@pytest.mark.parametrize(
    ("offset_s", "style", "code", "message"),
    [
        (299, "json", "", ""),
        (-299, "json", "", ""),
        (301, "json", "InvalidSignatureException", "Signature expired: {0} is now earlier than "),
        (-301, "json", "InvalidSignatureException", "Signature not yet current: {0} is still later than "),
        (301, "query", "SignatureDoesNotMatch", "Signature expired: "),
        (899, "s3", "", ""),
        (
            901,
            "s3",
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        ),
        (-901, "s3", "RequestTimeTooSkewed", "The difference between "),
    ],
)
def test_clocks_may_differ_a_little(checked: Checked, offset_s: int, style: str, code: str, message: str) -> None:
    service, auth = ("s3", S3SigV4Auth) if style == "s3" else ("lambda", SigV4Auth)
    head = head_of(sign(auth, "GET", "http://localhost/x", b"", service))
    checked.clock.offset_s = offset_s
    if not code:
        checked.verify(head, style=style)
        return
    error = checked.refusal(head, style)
    assert (error.code, error.status) == (code, 403)
    assert error.message.startswith(message.format(head.text(b"x-amz-date")))


def test_presigned_urls_expire(checked: Checked) -> None:
    head = head_of(sign(lambda *given: S3SigV4QueryAuth(*given, expires=60), "GET", "http://localhost/b/k", b"", "s3"))  # type: ignore[arg-type]
    checked.clock.offset_s = 58
    checked.verify(head, style="s3")
    checked.clock.offset_s = 62
    error = checked.refusal(head, "s3")
    assert (error.code, error.status, error.message) == ("AccessDenied", 403, "Request has expired")
    checked.clock.offset_s = -3600
    assert checked.refusal(head, "s3").code == "RequestTimeTooSkewed"


def test_presigned_for_longer_than_a_week_is_refused(checked: Checked) -> None:
    head = head_of(
        sign(lambda *given: S3SigV4QueryAuth(*given, expires=604801), "GET", "http://localhost/b/k", b"", "s3")
    )  # type: ignore[arg-type]
    assert "604800" in checked.refusal(head, "s3").message


def test_an_expired_session_token(checked: Checked) -> None:
    issued = checked.issuer.issue(IDENTITY, checked.clock.time_ms(), lifetime_s=60)
    signed = AWSRequest(method="GET", url="http://localhost/x", headers={"Host": "localhost"})
    keys = Credentials(issued.access_key_id, issued.secret_access_key, issued.session_token)
    SigV4Auth(keys, "lambda", "us-east-1").add_auth(signed)
    head = head_of(signed)
    checked.verify(head)
    checked.clock.offset_s = 61
    assert checked.refusal(head).code == "ExpiredTokenException"
    assert checked.refusal(head, "s3").code == "ExpiredToken"
    foreign = replaced(head, b"x-amz-security-token", b"abc.def")
    assert checked.refusal(foreign).code == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("authorization", "date", "code", "message"),
    [
        (None, "20261121T000000Z", "MissingAuthenticationTokenException", "Missing Authentication Token"),
        ("Bearer token", "", "IncompleteSignatureException", "Authorization header requires 'Credential' parameter. "),
        ("AWS4-HMAC-SHA1 Credential=a", "x", "IncompleteSignatureException", "Unsupported AWS 'algorithm'"),
        ("AWS4-HMAC-SHA256 Credential=a", "", "IncompleteSignatureException", "requires 'Signature' parameter."),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=s",
            "",
            "IncompleteSignatureException",
            "requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=s",
            "yesterday",
            "IncompleteSignatureException",
            "Date must be in ISO-8601 'basic format'. Got 'yesterday'.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=s",
            "20261121T000000Z",
            "IncompleteSignatureException",
            "Credential must have exactly 5 slash-delimited elements",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/20261120/c/d/aws4_request, SignedHeaders=host, Signature=s",
            "20261121T000000Z",
            "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261120'",
        ),
    ],
)
def test_malformed_signatures(checked: Checked, authorization: str | None, date: str, code: str, message: str) -> None:
    fields = [(b"host", b"localhost")]
    if authorization is not None:
        fields.append((b"authorization", authorization.encode()))
    if date:
        fields.append((b"x-amz-date", date.encode()))
    error = checked.refusal(Head("GET", "/", "", fields, dict(fields), "id"))
    assert (error.code, error.status) == (code, 403) and message in error.message
    assert checked.refusal(Head("GET", "/", "", fields, dict(fields), "id"), "s3").code in {
        "AccessDenied",
        "AuthorizationHeaderMalformed",
        "InvalidRequest",
    }


def test_host_and_every_amz_header_must_be_signed(checked: Checked) -> None:
    head = head_of(sign(SigV4Auth, "GET", "http://localhost/x", b"", "lambda"))
    authorization = head.fields[b"authorization"]
    without_host = replaced(head, b"authorization", authorization.replace(b"=host;", b"="))
    assert (
        checked.refusal(without_host).message
        == "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
    )
    head.headers.append((b"x-amz-invocation-type", b"Event"))
    more = Head(head.method, head.raw_path, head.query, head.headers, dict(head.headers), "id")
    assert "'x-amz-invocation-type' must be a 'SignedHeader'" in checked.refusal(more).message
    assert checked.refusal(more, "s3").members["HeadersNotSigned"] == "x-amz-invocation-type"


def test_a_date_header_will_do(checked: Checked) -> None:
    """As HTTP writes dates; botocore's signer takes it when the request has it already."""
    head = head_of(sign(SigV4Auth, "GET", "http://localhost/x", b"", "lambda", Date="placeholder"))
    assert b"x-amz-date" not in head.fields and head.text(b"date").endswith("-0000")
    checked.verify(head)
