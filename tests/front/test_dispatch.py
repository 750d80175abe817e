"""The node's own pages, services of ours, and streaming to the neighbours."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight import __version__
from pilotlight.errors import ResourceNotFoundException
from pilotlight.wire.messages import WireRequest, WireResponse
from tests.front.parts import IDENTITY, INVOKE, RunningFront, invoke, request, running_front
from tests.support import eventually_async


async def test_health(front: RunningFront) -> None:
    answer = await front.ask(request("GET", "/_pilotlight/health"))
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert answer.json == {"status": "ok", "version": __version__, "functions": 3}
    assert "x-amzn-requestid" in answer.headers


async def test_code_downloads_are_handed_on(front: RunningFront) -> None:
    answer = await front.ask(request("GET", "/_pilotlight/code/abc?sig=x&expires=1"))
    assert (answer.body, answer.headers["x-query"]) == (b"/_pilotlight/code/abc", "sig=x&expires=1")


@pytest.mark.parametrize("path", ["/_pilotlight", "/_pilotlight/", "/_pilotlight/nothing"])
async def test_other_pages_of_our_own_do_not_exist(front: RunningFront, path: str) -> None:
    answer = await front.ask(request("GET", path))
    assert answer.status == 404 and not front.forward.scopes
    assert (await front.ask(request("POST", "/_pilotlight/health", body=b""))).status == 404


async def test_a_service_gets_the_whole_request(front: RunningFront) -> None:
    body = b"z" * 3_000_000
    answer = await front.ask(
        request("PUT", "/2015-03-31/functions/a%2Fb/code?X=%20y", body=body, X_Two="1", x_two="2", Content_Type="t")
    )
    [got] = front.lambda_api.requests
    assert (got.method, got.raw_path, got.query_string) == ("PUT", "/2015-03-31/functions/a%2Fb/code", "X=%20y")
    assert got.body == body and got.headers["x-two"] == "1,2" and got.headers["content-type"] == "t"
    assert (got.host, got.request_id) == ("localhost:4566", answer.headers["x-amzn-requestid"])


async def test_bodies_over_the_limit_are_refused_before_or_while_they_are_read() -> None:
    async with running_front(max_body_bytes=100_000) as front:
        assert (await front.ask(request("POST", "/2015-03-31/functions", body=b"x" * 100_000))).status == 200
        declared = await front.ask(request("POST", "/2015-03-31/functions", Content_Length="100001"))
        assert declared.status == 413
        assert b"Request must be smaller than 100000 bytes for the CreateFunction operation" in declared.body
        unnamed = await front.ask(
            request("POST", "/2015-03-31/nothing", Content_Length="100001", X_Amz_Target="Logs_1.No")
        )
        assert unnamed.status == 413 and b"max_body_bytes" in unnamed.body
        client = await front.connect()
        client.send(request("POST", "/2015-03-31/functions", Transfer_Encoding="chunked"))
        for _ in range(20):
            client.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        assert (await client.answer()).status == 413
        assert len(front.lambda_api.requests) == 1


async def test_a_refused_upload_gets_its_answer_although_the_connection_is_to_be_closed() -> None:
    """The client reads when it has sent everything: had we closed with data unread, it would find a reset."""
    async with running_front(max_body_bytes=100_000) as front:
        client = await front.connect()
        client.send(request("POST", "/2015-03-31/functions", Connection="close", Content_Length="20000000"))
        for _ in range(20):
            client.send(b"x" * 1_000_000)
            await client.writer.drain()
        assert (await client.answer()).status == 413
        assert await client.closed()


async def test_a_streamed_answer_arrives_as_it_is_made_and_is_closed_with_the_client(front: RunningFront) -> None:
    made: asyncio.Queue[bytes] = asyncio.Queue()
    closed = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield await made.get()
        finally:
            closed.set()

    front.lambda_api.response = WireResponse(200, {"Content-Type": "x"}, pieces())
    client = await front.connect()
    client.send(request("GET", "/2015-03-31/functions"))
    made.put_nowait(b"first")
    while (await client.line()) != b"5\r\n":
        pass
    assert await client.reader.readexactly(7) == b"first\r\n"
    client.close()

    def made_more() -> bool:  # that the client is gone shows when something is sent to it
        made.put_nowait(b"more")
        return closed.is_set()

    await eventually_async(made_more)


async def test_an_exception_of_a_service_is_a_500_and_the_connection_lives(front: RunningFront) -> None:
    async def broken(request: WireRequest) -> WireResponse:
        raise ZeroDivisionError

    front.lambda_api.handle = broken  # type: ignore[method-assign]
    client = await front.connect()
    client.send(request("GET", "/2015-03-31/functions"))
    answer = await client.answer()
    assert answer.status == 500 and answer.headers["x-amzn-errortype"] == "ServiceException"
    client.send(invoke())
    assert (await client.answer()).status == 200


async def test_an_upload_is_streamed_with_back_pressure(front: RunningFront) -> None:
    """100 MB pass through, and while the neighbour does not read, neither do we."""
    size, piece = 100_000_000, b"u" * 1_000_000
    front.forward.gate = asyncio.Event()
    client = await front.connect()
    client.send(request("PUT", "/bucket/key", Content_Length=str(size)))
    sent = 0

    async def upload() -> None:
        nonlocal sent
        while sent < size:
            client.send(piece)
            await client.writer.drain()
            sent += len(piece)

    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    uploading = asyncio.create_task(upload())
    await eventually_async(lambda: sent > 0)
    stalled_at = await _until_it_rests(lambda: sent)
    assert stalled_at < 20_000_000, "the client is held back by what the sockets hold"
    front.forward.gate.set()
    await uploading
    assert (await client.answer()).body == b"forwarded"
    assert sum(front.forward.pieces) == size and max(front.forward.pieces) < 2_000_000
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < 40_000, f"grew by {grown_kib} KiB"
    assert front.forward.bodies == [hashlib.sha256(piece * 100).hexdigest()]


async def _until_it_rests(value: Any) -> int:
    last, same = value(), 0
    while same < 30:
        await asyncio.sleep(0.01)
        now = value()
        last, same = now, same + 1 if now == last else 0
    return last


async def test_what_is_passed_on_is_untouched(front: RunningFront) -> None:
    target = "/b/%E2%82%AC%2F..//x%20y?list-type=2&prefix=%7e+a&empty"
    await front.ask(request("GET", target, X_Amz_Meta_A="1"))
    [scope] = front.forward.scopes
    assert scope["raw_path"] + b"?" + scope["query_string"] == target.encode()
    assert (b"x-amz-meta-a", b"1") in scope["headers"]
    assert scope["path"] == "/b/€/..//x y"


async def test_s3_answers_have_both_request_ids(front: RunningFront) -> None:
    answer = await front.ask(request("GET", "/b/k"))
    assert answer.headers["x-amzn-requestid"] == front.forward.destinations[0].request_id
    assert answer.headers["x-amz-request-id"] == answer.headers["x-amzn-requestid"]
    front.forward.response_headers = [(b"x-amz-request-id", b"THEIRS")]
    assert (await front.ask(request("GET", "/b/k"))).headers["x-amz-request-id"] == "THEIRS", "events name it too"


async def test_errors_of_what_is_behind_are_shaped_for_their_client(front: RunningFront) -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        raise ResourceNotFoundException("no such thing")

    front.forward = refuse  # type: ignore[assignment]
    with pytest.raises(ClientError) as refused:
        await front.call(front.client("s3").list_objects_v2, Bucket="b")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    with pytest.raises(ClientError) as refused:
        await front.call(front.client("dynamodb").list_tables)
    assert refused.value.response["Error"]["Message"] == "no such thing"


async def test_inside_an_environment_the_connection_says_who_calls(front: RunningFront) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: front.front.protocol(IDENTITY), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    signed = (
        "AWS4-HMAC-SHA256 Credential=999988887777/20261121/ap-south-1/{}/aws4_request, SignedHeaders=host, Signature=0"
    )
    writer.write(
        request("POST", INVOKE.format("f"), body=b"1", Authorization=signed.format("lambda"))
        + request("GET", "/2015-03-31/functions")
        + request("GET", "/b/k", Authorization=signed.format("s3"))
    )
    await eventually_async(lambda: front.forward.destinations)
    [invocation], [listed], [got] = front.invoker.requests, front.lambda_api.requests, front.forward.destinations
    arn = IDENTITY.caller_arn
    assert (invocation.account, invocation.region, invocation.caller) == ("123456789012", "ap-south-1", arn)
    assert (listed.account, listed.region, listed.caller) == ("123456789012", "eu-west-1", arn)
    assert (got.account, got.region, got.caller) == ("123456789012", "ap-south-1", arn)
    writer.close()
    server.close()


# --- draining ---


async def test_draining_finishes_what_is_under_way_and_takes_nothing_new() -> None:
    async with running_front() as front:
        front.invoker.holding = True
        front.forward.gate = asyncio.Event()
        busy, idle, talking, other = [await front.connect() for _ in range(4)]
        busy.send(invoke(payload=b"1"))
        talking.send(request("PUT", "/b/k", body=b"x"))
        other.send(invoke(payload=b"2") + invoke(payload=b"3") + request("GET", "/_pilotlight/health"))
        idle.send(request("GET", "/_pilotlight/health"))
        assert (await idle.answer()).status == 200
        await eventually_async(lambda: len(front.invoker.held) == 2 and front.forward.scopes)
        draining = asyncio.create_task(front.front.drain(10))
        assert await idle.closed(), "idle connections are closed"
        port = front.front.port
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not draining.done()
        front.invoker.release()
        front.forward.gate.set()
        for client, body in ((busy, b"1"), (talking, b"forwarded"), (other, b"2")):
            answer = await client.answer()
            assert answer.body == body and answer.headers["connection"] == "close"
            assert await client.closed()
        await asyncio.wait_for(draining, 5)


async def test_while_draining_new_invocations_are_refused_and_health_says_so() -> None:
    async with running_front() as front:
        requests = [invoke(), request("GET", "/_pilotlight/health")]
        clients = [await front.connect() for _ in requests]
        for client, data in zip(clients, requests, strict=True):  # begun, so that draining waits for them
            client.send(data[:30])
        await eventually_async(lambda: front.front.statistics()["receiving"] == 2)
        draining = asyncio.create_task(front.front.drain(10))
        await asyncio.sleep(0)
        for client, data in zip(clients, requests, strict=True):
            client.send(data[30:])
        refused, health = [await client.answer() for client in clients]
        assert refused.status == 503 and refused.headers["x-amzn-errortype"] == "ServiceUnavailableException"
        assert health.status == 503 and health.json["status"] == "draining"
        for client, answer in zip(clients, (refused, health), strict=True):
            assert answer.headers["connection"] == "close"
            assert await client.closed()
        assert not front.invoker.requests
        await asyncio.wait_for(draining, 5)


async def test_draining_has_an_end() -> None:
    async with running_front() as front:
        front.invoker.holding = True
        client = await front.connect()
        client.send(invoke())
        await eventually_async(lambda: front.invoker.held)
        await asyncio.wait_for(front.front.drain(0.05), 5)
        assert front.connections == 1


async def test_stop_ends_everything_without_an_error(caplog: pytest.LogCaptureFixture) -> None:
    async with running_front() as front:
        front.forward.gate = asyncio.Event()
        front.forward.gate.set()
        front.invoker.holding = True
        endless = request("GET", "/2015-03-31/functions")

        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.Event().wait()

        front.lambda_api.response = WireResponse(200, {}, pieces())
        for data in (invoke(), request("PUT", "/b/k", Content_Length="10"), b"GET /", endless + endless):
            (await front.connect()).send(data)
        await eventually_async(lambda: front.invoker.held and front.forward.scopes and front.lambda_api.requests)
        await front.front.stop()
        assert front.front.statistics() == {
            "connections": 0,
            "environment_connections": 0,
            "receiving": 0,
            "requests": 0,
        }
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
