"""Who may ask at a function URL: AuthType AWS_IAM signed by real clients, and what policies open."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.front.parts import CALLER_ARN, IDENTITY, RunningFront, running_front
from tests.front.test_function_urls import FORBIDDEN

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OTHER_ACCOUNT = "111122223333"
SIGV4 = {"auth": "sigv4", "access_keys": {KEY: SECRET, OTHER_ACCOUNT: SECRET}, "account_id": "123456789012"}


def statement(action: str, principal: Any, **condition: Any) -> dict[str, Any]:
    given = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}
    return {**given, "Condition": condition} if condition else given


URL, FUNCTION = "lambda:InvokeFunctionUrl", "lambda:InvokeFunction"


def signed(
    method: str,
    url: str,
    body: bytes = b"",
    *,
    credentials: tuple[str, ...] = (KEY, SECRET),
    region: str = "eu-west-1",
    service: str = "lambda",
    in_query: bool = False,
) -> AWSRequest:
    request = AWSRequest(method=method, url=url, data=body)
    signer = SigV4QueryAuth if in_query else SigV4Auth
    signer(Credentials(*credentials), service, region).add_auth(request)
    return request


async def send(front: RunningFront, request: AWSRequest, body: bytes | None = None) -> tuple[int, Any, Any]:
    """Send it as it was signed, to the front; with another body when one is given."""

    def ask() -> tuple[int, Any, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", front.front.port, timeout=10)
        host, _, target = request.url.removeprefix("http://").partition("/")
        content = request.data if body is None else body
        connection.request(request.method, "/" + target, content or None, {**dict(request.headers), "Host": host})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, answer.headers, json.loads(text)

    return await front.call(ask)


async def test_a_signed_request_says_who_calls() -> None:
    async with running_front(**SIGV4) as front:
        host = front.urls.add(auth_type="AWS_IAM")
        for in_query in (False, True):
            method, body = ("GET", b"") if in_query else ("POST", b"\0body")  # botocore puts no body into a query
            request = signed(method, f"http://{host}/a%20b//c/../d?x=1&y=%2F&x=0", body, in_query=in_query)
            status, _, event = await send(front, request)
            assert status == 200
            context = event["requestContext"]
            assert context["accountId"] == "123456789012"
            assert context["authorizer"] == {
                "iam": {
                    "accessKey": KEY,
                    "accountId": "123456789012",
                    "callerId": "123456789012",
                    "cognitoIdentity": None,
                    "principalOrgId": None,
                    "userArn": "arn:aws:iam::123456789012:root",
                    "userId": "123456789012",
                }
            }
            assert context["apiId"] == "abc123" and context["http"]["method"] == method
        assert front.invoker.requests[-1].caller == "arn:aws:iam::123456789012:root"


async def test_the_path_form_is_signed_as_it_is_sent() -> None:
    async with running_front(**SIGV4) as front:
        front.urls.add(auth_type="AWS_IAM")
        status, _, event = await send(front, signed("GET", "http://localhost:4566/_pilotlight/url/abc123/x?a=1"))
        assert (status, event["rawPath"]) == (200, "/x")


async def test_a_functions_credentials() -> None:
    async with running_front(**SIGV4) as front:
        host = front.urls.add(auth_type="AWS_IAM")
        issued = front.issuer.issue(IDENTITY, front.clock.time_ms())
        keys = (issued.access_key_id, issued.secret_access_key, issued.session_token)
        status, _, event = await send(front, signed("GET", f"http://{host}/", credentials=keys))
        iam = event["requestContext"]["authorizer"]["iam"]
        assert (status, iam["userArn"], iam["accessKey"]) == (200, CALLER_ARN, issued.access_key_id)
        assert iam["userId"].startswith("AROA") and iam["userId"].endswith(":thumb")


@pytest.mark.parametrize("auth", ["none", "sigv4"])
async def test_unsigned_requests_are_forbidden(auth: str) -> None:
    """Also in development: a function tested here must not be surprised there."""
    async with running_front(**{**SIGV4, "auth": auth}) as front:
        host = front.urls.add(auth_type="AWS_IAM", policies={"": (statement("*", "*"),)})
        status, headers, body = await send(front, AWSRequest(method="POST", url=f"http://{host}/", data=b"x"))
        assert (status, body, headers["x-amzn-errortype"]) == (403, FORBIDDEN, "AccessDeniedException")
        assert not front.invoker.requests


MISMATCH = "The request signature we calculated does not match the signature you provided."


@pytest.mark.parametrize("auth", ["none", "sigv4"])
async def test_signatures_that_are_wrong(auth: str) -> None:
    async with running_front(**{**SIGV4, "auth": auth}) as front:
        host = front.urls.add(auth_type="AWS_IAM")
        url = f"http://{host}/"
        wrong_secret = signed("GET", url, credentials=(KEY, "other"))
        other_method = signed("GET", url)
        other_method.method = "POST"
        for request, body, code, words in (
            (wrong_secret, None, "InvalidSignatureException", MISMATCH),
            (other_method, None, "InvalidSignatureException", MISMATCH),
            (signed("POST", url, b"one"), b"two", "InvalidSignatureException", MISMATCH),
            (signed("GET", url, service="s3"), None, "InvalidSignatureException", "correct service: 'lambda'"),
            (signed("GET", url, region="us-east-1"), None, "InvalidSignatureException", "a valid region"),
        ):
            status, headers, said = await send(front, request, body)
            assert (status, headers["x-amzn-errortype"]) == (403, code)
            assert words in said["message"]
        half = signed("GET", url)
        half.headers.replace_header("Authorization", half.headers["Authorization"].partition(", Signature=")[0])
        status, headers, said = await send(front, half)
        assert headers["x-amzn-errortype"] == "IncompleteSignatureException" and "Signature" in said["message"]
        assert not front.invoker.requests


async def test_unknown_keys() -> None:
    """In development a signature is asked for, and checked when the node knows the key."""
    unknown = (OTHER_ACCOUNT[::-1], "whatever")
    for auth, expected in (("sigv4", 403), ("none", 200)):
        async with running_front(**{**SIGV4, "auth": auth}) as front:
            host = front.urls.add(auth_type="AWS_IAM", policies={"": (statement("lambda:*", "*"),)})
            for credentials in (unknown, (*unknown, "a session token of elsewhere")):
                status, headers, body = await send(
                    front, signed("POST", f"http://{host}/", b"x", credentials=credentials)
                )
                assert status == expected
                if status == 403:
                    assert headers["x-amzn-errortype"] == "UnrecognizedClientException"
                else:
                    assert body["requestContext"]["authorizer"]["iam"]["accountId"] == unknown[0]


async def test_authorization_of_ones_own_is_the_functions_affair() -> None:
    async with running_front(**SIGV4) as front:
        host = front.urls.add()
        request = AWSRequest(method="GET", url=f"http://{host}/", headers={"Authorization": "Bearer token"})
        status, _, event = await send(front, request)
        assert (status, event["headers"]["authorization"]) == (200, "Bearer token")
        assert event["requestContext"]["accountId"] == "anonymous"


NONE = {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
IAM = {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}
VIA_URL = {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
ROOT_OF_OTHER = {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}


@pytest.mark.parametrize(
    ("policies", "opens"),
    [
        ({}, False),
        ({"": (statement(URL, "*", **NONE),)}, False),
        ({"": (statement(FUNCTION, "*", **VIA_URL),)}, False),
        ({"": (statement(URL, "*", **NONE), statement(FUNCTION, "*", **VIA_URL))}, True),
        ({"": (statement(URL, "*"), statement(FUNCTION, "*"))}, True),
        ({"": (statement("lambda:*", {"AWS": "*"}),)}, True),
        ({"": (statement(URL, "*", **IAM), statement(FUNCTION, "*", **VIA_URL))}, False),
        ({"": (statement(URL, "*"), statement(FUNCTION, "*", Bool={"lambda:InvokedViaFunctionUrl": "false"}))}, False),
        ({"": (statement(URL, ROOT_OF_OTHER), statement(FUNCTION, ROOT_OF_OTHER))}, False),
        ({"": (statement("lambda:*", "*"), {**statement(FUNCTION, "*", **VIA_URL), "Effect": "Deny"})}, False),
        ({"prod": (statement("lambda:*", "*"),)}, False),
        (
            {"": ({**statement("lambda:*", "*"), "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:hello"},)},
            True,
        ),
        (
            {"": ({**statement("lambda:*", "*"), "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:hell"},)},
            False,
        ),
    ],
)
async def test_two_permissions_open_a_url_without_authentication(
    front: RunningFront, policies: Any, opens: bool
) -> None:
    host = front.urls.add(policies=policies)
    for _ in range(2):
        status, headers, body = await send(front, AWSRequest(method="GET", url=f"http://{host}/"))
        assert status == (200 if opens else 403)
        if not opens:
            assert (body, headers["x-amzn-errortype"]) == (FORBIDDEN, "AccessDeniedException")


async def test_an_aliass_url_needs_the_aliass_permissions(front: RunningFront) -> None:
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:hello"
    for resource, opens in ((arn, False), (f"{arn}:prod", True), (f"{arn}:*", True)):
        host = front.urls.add(alias="prod", policies={"prod": ({**statement("lambda:*", "*"), "Resource": resource},)})
        status, _, _ = await send(front, AWSRequest(method="GET", url=f"http://{host}/"))
        assert (status == 200) is opens


@pytest.mark.parametrize(
    ("policies", "opens"),
    [
        ({}, False),
        ({"": (statement(URL, ROOT_OF_OTHER, **IAM),)}, False),
        ({"": (statement(URL, ROOT_OF_OTHER, **IAM), statement(FUNCTION, ROOT_OF_OTHER, **VIA_URL))}, True),
        ({"": (statement(URL, ROOT_OF_OTHER, **NONE), statement(FUNCTION, ROOT_OF_OTHER))}, False),
        ({"": (statement("lambda:*", {"AWS": "arn:aws:iam::999988887777:root"}),)}, False),
        ({"": (statement("lambda:*", "*", StringEquals={"aws:PrincipalAccount": OTHER_ACCOUNT}),)}, True),
    ],
)
async def test_another_accounts_caller_needs_the_policy(policies: Any, opens: bool) -> None:
    async with running_front(**SIGV4) as front:
        host = front.urls.add(auth_type="AWS_IAM", policies=policies)
        request = signed("GET", f"http://{host}/", credentials=(OTHER_ACCOUNT, SECRET))
        status, _, body = await send(front, request)
        assert status == (200 if opens else 403)
        assert opens or body == FORBIDDEN
        # Callers of the function's own account have identity policies for it, which are not evaluated.
        status, _, _ = await send(front, signed("GET", f"http://{host}/"))
        assert status == 200


async def test_from_inside_an_environment_the_connection_says_who_calls(front: RunningFront) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: front.front.protocol(IDENTITY), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    host = front.urls.add(auth_type="AWS_IAM", policies={})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    event = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
    assert event["requestContext"]["authorizer"]["iam"]["userArn"] == CALLER_ARN
    writer.close()
    server.close()
