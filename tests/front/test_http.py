"""HTTP/1.1 as clients really speak it, and what bad input gets: every case over a raw socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilotlight.wire.messages import WireResponse
from tests.front.parts import INVOKE, RunningFront, invoke, request, running_front
from tests.support import eventually_async

CHUNKED_BODY = b'7\r\n{"a": [\r\n4;ext=1\r\n1,2]\r\n1\r\n}\r\n0\r\n\r\n'


async def test_keep_alive_serves_many_requests(front: RunningFront) -> None:
    client = await front.connect()
    for number in range(50):
        client.send(invoke(payload=b"%d" % number))
        assert (await client.answer()).body == b"%d" % number
        client.send(request("GET", "/_pilotlight/health"))
        assert (await client.answer()).status == 200
    client.close()


async def test_connection_close_is_obeyed(front: RunningFront) -> None:
    for asked in (invoke(Connection="close"), request("GET", "/_pilotlight/health", Connection="close")):
        client = await front.connect()
        client.send(asked)
        answer = await client.answer()
        assert answer.status == 200 and answer.headers["connection"] == "close"
        assert await client.closed()


async def test_pipelined_requests_are_answered_in_order(front: RunningFront) -> None:
    """Invocations, refused payloads, cycles and more invocations than the parser should recurse through."""
    client = await front.connect()
    wanted: list[tuple[int, bytes | None]] = []
    sent = b""
    for number in range(3000):
        if number % 7 == 3:
            sent += request("PUT", f"/bucket/{number}", body=b"x" * 10)
            wanted.append((200, b"forwarded"))
        elif number % 11 == 5:
            sent += invoke(payload=b"no json")
            wanted.append((400, None))
        else:
            sent += invoke(payload=b"%d" % number)
            wanted.append((200, b"%d" % number))
    client.send(sent)
    for status, body in wanted:
        answer = await client.answer()
        assert answer.status == status and (body is None or answer.body == body)
    client.close()


async def test_a_pipelined_request_waits_for_the_answer_before_it(front: RunningFront) -> None:
    front.invoker.holding = True
    client = await front.connect()
    client.send(invoke(payload=b"1") + invoke(payload=b"2") + request("GET", "/_pilotlight/health"))
    await eventually_async(lambda: front.invoker.held)
    assert len(front.invoker.requests) == 1, "the second is not started before the first is answered"
    front.invoker.holding = False
    front.invoker.release()
    assert [(await client.answer()).body for _ in range(2)] == [b"1", b"2"]
    assert (await client.answer()).json["functions"] == 3
    client.close()


async def test_a_client_that_pipelines_and_does_not_read_is_not_read_from(front: RunningFront) -> None:
    big = b'"%b"' % (b"z" * 1_000_000)
    client = await front.connect()
    client.reader._limit = 1  # pyright: ignore[reportAttributeAccessIssue]
    client.writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(100):
        client.send(invoke(payload=big))
    await eventually_async(lambda: len(front.invoker.requests) > 1)
    started = await _settled(lambda: len(front.invoker.requests))
    assert started < 40, "answers pile up no further than the socket's buffers"
    client.writer.transport.abort()


async def _settled(value: Any) -> int:
    """The value once it has stayed the same for a while of other work."""
    last, same = value(), 0
    while same < 50:
        await asyncio.sleep(0.01)
        now = value()
        last, same = now, same + 1 if now == last else 0
    return last


@pytest.mark.parametrize("piece", [1, 7, 1000])
async def test_chunked_bodies_in_any_pieces(front: RunningFront, piece: int) -> None:
    head = request("POST", INVOKE.format("f"), Transfer_Encoding="chunked")
    client = await front.connect()
    data = (head + CHUNKED_BODY) * 2
    for at in range(0, len(data), piece):
        client.send(data[at : at + piece])
        await asyncio.sleep(0)
    for _ in range(2):
        assert (await client.answer()).json == {"a": [1, 2]}
    client.close()


async def test_trailers_are_not_headers_of_any_request(front: RunningFront) -> None:
    head = request("PUT", "/bucket/key", Transfer_Encoding="chunked")
    client = await front.connect()
    client.send(head + b"3\r\nabc\r\n0\r\nX-Amz-Checksum-Crc32: AAAA\r\n\r\n" + request("GET", "/bucket/key"))
    for _ in range(2):
        assert (await client.answer()).status == 200
    for scope in front.forward.scopes:
        assert b"x-amz-checksum-crc32" not in dict(scope["headers"])
    client.close()


@pytest.mark.parametrize("target", [INVOKE.format("f"), "/bucket/key", "/2015-03-31/functions"])
async def test_expect_100_continue(front: RunningFront, target: str) -> None:
    client = await front.connect()
    client.send(request("POST", target, Expect="100-continue", Content_Length="2"))
    assert (await client.answer()).status == 100
    client.send(b"{}")
    assert (await client.answer()).status == 200
    client.close()


async def test_continue_waits_for_the_answers_before_it(front: RunningFront) -> None:
    front.invoker.holding = True
    client = await front.connect()
    client.send(invoke(payload=b"1"))
    await eventually_async(lambda: front.invoker.held)
    client.send(request("POST", INVOKE.format("f"), Expect="100-continue", Content_Length="1"))
    await eventually_async(lambda: front.front.statistics()["receiving"])
    front.invoker.holding = False
    front.invoker.release()
    assert (await client.answer()).body == b"1"
    assert (await client.answer()).status == 100
    client.send(b"2")
    assert (await client.answer()).body == b"2"
    client.close()


async def test_an_answer_without_continue_ends_the_connection(front: RunningFront) -> None:
    """Else the body that may still come, or never, would be taken for the next request."""
    front.forward.read_body = False
    client = await front.connect()
    client.send(request("PUT", "/bucket/key", Expect="100-continue", Content_Length="10"))
    answer = await client.answer()
    assert answer.status == 200 and answer.headers["connection"] == "close"
    assert await client.closed()


async def test_too_large_is_said_before_the_body_is_sent(front: RunningFront) -> None:
    for target in (INVOKE.format("f"), "/2015-03-31/functions"):
        client = await front.connect()
        client.send(request("POST", target, Expect="100-continue", Content_Length="80000000"))
        answer = await client.answer()
        assert answer.status == 413 and answer.headers["connection"] == "close"
        client.close()


async def test_head_has_no_body(front: RunningFront) -> None:
    client = await front.connect()
    for target in ("/_pilotlight/health", "/bucket/key", "/2015-03-31/functions"):
        client.send(request("HEAD", target))
        answer = await client.answer(head_request=True)
        assert answer.status == 200 and int(answer.headers["content-length"]) > 0
    client.close()
    refused = await front.connect()
    refused.send(request("HEAD", "/bucket/key", host="evil.example"))
    assert (await refused.answer(head_request=True)).status == 403
    assert await refused.reader.read() == b""


@pytest.mark.parametrize("keep_alive", ["", "Connection: keep-alive\r\n"])
async def test_http_1_0(front: RunningFront, keep_alive: str) -> None:
    async def pieces() -> Any:
        yield b"one, "
        yield b"two"

    front.lambda_api.response = WireResponse(200, {}, pieces())
    for method, target, body, wanted in (
        ("POST", INVOKE.format("f"), "[1]", b"[1]"),
        ("GET", "/2015-03-31/functions", "", b"one, two"),
    ):
        client = await front.connect()
        client.send(f"{method} {target} HTTP/1.0\r\n{keep_alive}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = await client.answer()
        assert answer.body == wanted and "transfer-encoding" not in answer.headers
        assert await client.closed()


async def test_a_request_for_an_upgrade_is_answered_in_http_1_1(front: RunningFront) -> None:
    """As Java's HTTP client sends its first request, also with a body, whole or in pieces."""
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAEAAEAA"}
    client = await front.connect()
    client.send(invoke(payload=b'{"up":1}', **upgrade) + invoke(payload=b"2"))
    assert (await client.answer()).json == {"up": 1}
    assert (await client.answer()).body == b"2"
    data = request("PUT", "/bucket/key", body=b"0123456789", **upgrade)
    client.send(data[:-6])
    await eventually_async(lambda: front.forward.destinations)
    client.send(data[-6:])
    assert (await client.answer()).body == b"forwarded"
    assert sum(front.forward.pieces) == 10
    client.send(request("GET", "/_pilotlight/health", **upgrade))
    assert (await client.answer()).status == 200
    client.close()


# --- bad input ---


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 300,  # TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"NONSENSE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_not_http_gets_a_400(front: RunningFront, data: bytes) -> None:
    client = await front.connect()
    client.send(data)
    answer = await client.answer()
    assert answer.status == 400 and answer.headers["connection"] == "close"
    assert "x-amzn-requestid" in answer.headers and answer.body
    assert await client.closed()
    assert not front.forward.scopes
    assert (await front.ask(invoke())).status == 200, "others are untouched"


@pytest.mark.parametrize("chunks", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}xx0\r\n\r\n", b"-1\r\n{}\r\n0\r\n\r\n"])
@pytest.mark.parametrize("target", [INVOKE.format("f"), "/2015-03-31/functions", "/bucket/key"])
async def test_bad_chunking(front: RunningFront, target: str, chunks: bytes) -> None:
    client = await front.connect()
    client.send(request("POST", target, Transfer_Encoding="chunked") + chunks)
    answer = await client.answer()
    assert answer.status == 400 and b"valid HTTP" in answer.body
    assert (b"<Error>" in answer.body) == (target == "/bucket/key"), "each client gets what it can parse"
    assert await client.closed()
    assert not front.invoker.requests and not front.lambda_api.requests and not front.forward.bodies


@pytest.mark.parametrize("rest", [b"zz\r\n", b""], ids=["broken", "missing"])
async def test_a_body_that_goes_wrong_after_its_answer_gets_no_second_one(rest: bytes) -> None:
    async with running_front(slow_client_s=0.2) as front:
        front.forward.read_body = False
        client = await front.connect()
        client.send(request("PUT", "/bucket/key", Transfer_Encoding="chunked") + b"1\r\nx\r\n")
        assert (await client.answer()).status == 200
        client.send(rest)
        assert await client.reader.read() == b"", "closed, and nothing said"


async def test_bad_chunking_after_a_good_request_is_answered_after_it(front: RunningFront) -> None:
    front.invoker.holding = True
    client = await front.connect()
    client.send(invoke(payload=b"1") + request("PUT", "/bucket/key", Transfer_Encoding="chunked") + b"zz\r\n")
    await eventually_async(lambda: front.invoker.held)
    front.invoker.release()
    assert (await client.answer()).body == b"1"
    assert (await client.answer()).status == 400
    assert await client.closed()
    assert not front.forward.scopes


async def test_a_header_block_over_the_limit() -> None:
    async with running_front(max_header_bytes=4000) as front:
        assert (await front.ask(invoke(X_Long="x" * 3700))).status == 200
        for data in (
            invoke(X_Long="x" * 3950),  # complete
            request("GET", "/" + "k" * 4100),  # in the request line
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Endless: " + b"x" * 9000,  # never complete
            b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(1000)),
        ):
            client = await front.connect()
            for at in range(0, len(data), 1000):
                client.send(data[at : at + 1000])
                await asyncio.sleep(0)
            answer = await client.answer()
            assert answer.status == 431 and b"max_header_bytes" in answer.body
            assert await client.closed()


async def test_headers_up_to_a_megabyte_pass(front: RunningFront) -> None:
    assert (await front.ask(invoke(X_Long="x" * 1_000_000))).status == 200
    assert (await front.ask(invoke(X_Long="x" * 1_048_576))).status == 431


async def test_a_truncated_request_is_said_to_be_one(front: RunningFront) -> None:
    for data in (
        b"POST /2015-03-31/func",
        invoke(payload=b'{"a":1}')[:-3],
        request("PUT", "/bucket/key", body=b"x" * 100)[:-1],
        request("POST", "/2015-03-31/functions", body=b"x" * 100)[:-1],
    ):
        client = await front.connect()
        client.send(data)
        client.writer.write_eof()
        answer = await client.answer()
        assert answer.status == 400 and b"ended before" in answer.body
        assert await client.closed()
    assert not front.invoker.requests and not front.lambda_api.requests and not front.forward.bodies
    await eventually_async(lambda: front.front.statistics()["requests"] == 0)


@pytest.mark.parametrize("number", [1, 2])
async def test_half_open_clients_get_their_answers(front: RunningFront, number: int) -> None:
    """A client that has shut down its sending side still reads."""
    front.invoker.holding = True
    client = await front.connect()
    client.send(invoke(payload=b"1") * number)
    client.writer.write_eof()
    await eventually_async(lambda: front.invoker.held)
    # What another client is told was read later than the end of the first.
    assert (await front.ask(request("GET", "/_pilotlight/health"))).status == 200
    front.invoker.holding = False
    front.invoker.release()
    assert [(await client.answer()).body for _ in range(number)] == [b"1"] * number
    assert await client.closed()


async def test_an_application_learns_that_its_client_is_gone_although_more_was_pipelined(front: RunningFront) -> None:
    closed = asyncio.Event()

    async def pieces() -> Any:
        try:
            while True:
                yield b"more"
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    front.lambda_api.response = WireResponse(200, {}, pieces())
    client = await front.connect()
    client.send(request("GET", "/2015-03-31/functions") + request("GET", "/bucket/key"))
    assert (await client.line()).startswith(b"HTTP/1.1 200")
    client.writer.transport.abort()
    await asyncio.wait_for(closed.wait(), 10)


async def test_a_client_gone_in_the_middle_of_a_body_reaches_the_application(front: RunningFront) -> None:
    client = await front.connect()
    client.send(request("PUT", "/bucket/key", Content_Length="1000") + b"x" * 10)
    await eventually_async(lambda: front.forward.pieces)
    client.writer.transport.abort()
    await eventually_async(lambda: front.forward.gone == 1)


# --- slow clients ---


@pytest.mark.parametrize(
    "data",
    [
        b"POST /2015-03-31/functions/f/invo",
        invoke(payload=b'{"a":1}')[:-3],
        request("PUT", "/bucket/key", body=b"x" * 100)[:-1],
    ],
)
async def test_a_client_that_stops_sending_is_cut(data: bytes) -> None:
    async with running_front(slow_client_s=0.2) as front:
        client = await front.connect()
        client.send(data)
        answer = await client.answer()
        assert answer.status == 400 and b"not read from or written to within the timeout period" in answer.body
        assert await client.closed()


async def test_headers_sent_byte_by_byte_are_cut_all_the_same() -> None:
    async with running_front(slow_client_s=0.2) as front:
        client = await front.connect()

        async def dribble() -> None:
            for byte in b"GET /bucket/" + b"k" * 10_000:
                client.send(bytes([byte]))
                await asyncio.sleep(0.01)

        dribbling = asyncio.create_task(dribble())
        assert (await client.answer()).status == 400
        dribbling.cancel()
        client.close()


async def test_a_slow_body_that_moves_is_not_cut() -> None:
    async with running_front(slow_client_s=0.2) as front:
        client = await front.connect()
        client.send(request("POST", INVOKE.format("f"), Content_Length="12") + b"[")
        for _ in range(10):
            client.send(b"1")
            await asyncio.sleep(0.05)
        client.send(b"]")
        assert (await client.answer()).body == b"[1111111111]"
        client.close()


async def test_an_idle_connection_is_closed_and_a_waiting_one_is_not() -> None:
    async with running_front(slow_client_s=0.2) as front:
        front.invoker.holding = True
        waiting, idle = await front.connect(), await front.connect()
        waiting.send(invoke())
        idle.send(request("GET", "/_pilotlight/health"))
        assert (await idle.answer()).status == 200
        assert await idle.closed(within_s=5)
        front.invoker.release()
        assert (await waiting.answer()).status == 200, "an invocation may take its time"
        waiting.close()


async def test_a_client_that_does_not_take_its_answer_is_cut() -> None:
    async with running_front(slow_client_s=0.2) as front:
        client = await front.connect()
        client.writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        payload = b'"%b"' % (b"x" * 6_000_000)
        for _ in range(5):
            client.send(invoke(payload=payload))
        await eventually_async(lambda: front.connections == 1)
        await eventually_async(lambda: front.connections == 0, within_s=10)
        client.writer.transport.abort()


async def test_a_refused_client_that_goes_on_sending_is_cut_in_the_end() -> None:
    async with running_front(slow_client_s=0.2) as front:
        client = await front.connect()
        client.send(request("PUT", "/bucket/key", host="evil.example", Content_Length="100000000"))
        assert (await client.answer()).status == 403

        async def endless() -> None:
            while True:
                client.send(b"x" * 1000)
                await client.writer.drain()
                await asyncio.sleep(0.01)

        sending = asyncio.create_task(endless())
        await eventually_async(lambda: front.connections == 0, within_s=10)
        sending.cancel()
        client.close()
