"""boto3 over real HTTP, with nothing between it and `ServiceApi` but a socket."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from pilotlight import errors
from pilotlight.wire import Call, Handler, ServiceApi, WireRequest
from tests.support import aws_client


class Server:
    """Serves one ServiceApi; `call` runs a boto3 call beside the event loop."""

    def __init__(self, service: str, handlers: dict[str, Handler]) -> None:
        self._service = service
        self._api = ServiceApi(service, handlers)
        self._runner = web.AppRunner(self._application())

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=2**27)
        application.router.add_route("*", "/{path:.*}", self._serve)
        return application

    async def __aenter__(self) -> Server:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.client = aws_client(self._service, f"http://127.0.0.1:{self._runner.addresses[0][1]}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()
        await self._runner.cleanup()

    async def call(self, operation: str, **params: Any) -> Any:
        return await asyncio.to_thread(getattr(self.client, operation), **params)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        response = await self._api.handle(
            WireRequest(
                method=request.method,
                raw_path=path,
                query_string=query,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
                account="111122223333",
                region="us-east-1",
                request_id=str(uuid.uuid4()),
            )
        )
        if isinstance(response.body, bytes):
            return web.Response(status=response.status, headers=response.headers, body=response.body)
        streamed = web.StreamResponse(status=response.status, headers=response.headers)
        await streamed.prepare(request)
        async for piece in response.body:
            await streamed.write(piece)
        return streamed


ROLE = "arn:aws:iam::111122223333:role/lambda"


async def test_create_function() -> None:
    calls: list[Call] = []

    async def create(call: Call) -> dict[str, Any]:
        calls.append(call)
        return {"FunctionName": call.params["FunctionName"], "CodeSize": len(call.params["Code"]["ZipFile"])}

    content = bytes(range(256)) * 4096
    async with Server("lambda", {"CreateFunction": create}) as server:
        created = await server.call(
            "create_function",
            FunctionName="photos",
            Role=ROLE,
            Runtime="python3.12",
            Handler="app.handler",
            Code={"ZipFile": content},
            Environment={"Variables": {"GREETING": "grüß dich"}},
            Tags={"team": "a b"},
        )
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert created["ResponseMetadata"]["RequestId"] == calls[0].request_id
    assert (created["FunctionName"], created["CodeSize"]) == ("photos", len(content))
    assert calls[0].params["Code"] == {"ZipFile": content}
    assert calls[0].params["Environment"] == {"Variables": {"GREETING": "grüß dich"}}


@pytest.mark.parametrize(
    "name",
    ["photos", "111122223333:photos", "photos:live", "arn:aws:lambda:us-east-1:111122223333:function:photos:$LATEST"],
)
async def test_names_in_all_forms_reach_the_handler_and_errors_reach_the_client(name: str) -> None:
    async def get(call: Call) -> dict[str, Any]:
        raise errors.ResourceNotFoundException(f"Function not found: {call.params['FunctionName']}")

    async with Server("lambda", {"GetFunction": get}) as server:
        with pytest.raises(server.client.exceptions.ResourceNotFoundException) as caught:
            await server.call("get_function", FunctionName=name)
    assert caught.value.response["Error"]["Message"] == f"Function not found: {name}"
    assert caught.value.response["Type"] == "User"


async def test_a_paginator_gets_its_marker_through() -> None:
    async def list_functions(call: Call) -> dict[str, Any]:
        start = int(call.params.get("Marker", 0))
        page = [{"FunctionName": f"f{n}"} for n in range(start, start + call.params["MaxItems"])]
        return {"Functions": page, "NextMarker": str(start + len(page)) if start < 4 else None}

    async with Server("lambda", {"ListFunctions": list_functions}) as server:
        paginator = server.client.get_paginator("list_functions")
        pages = await asyncio.to_thread(lambda: list(paginator.paginate(PaginationConfig={"PageSize": 2})))
    assert [f["FunctionName"] for page in pages for f in page["Functions"]] == [f"f{n}" for n in range(6)]


async def test_a_streamed_invocation() -> None:
    async def events() -> AsyncIterator[dict[str, Any]]:
        for piece in (b"one ", b"two"):
            yield {"PayloadChunk": {"Payload": piece}}
        yield {"InvokeComplete": {"LogResult": "bG9n"}}

    async def invoke(call: Call) -> dict[str, Any]:
        assert call.params["Payload"] == b'{"a": 1}'
        return {"ExecutedVersion": "$LATEST", "EventStream": events()}

    async with Server("lambda", {"InvokeWithResponseStream": invoke}) as server:
        answer = await server.call("invoke_with_response_stream", FunctionName="f", Payload=b'{"a": 1}')
        seen = await asyncio.to_thread(lambda: list(answer["EventStream"]))
    assert answer["ExecutedVersion"] == "$LATEST"
    assert b"".join(event["PayloadChunk"]["Payload"] for event in seen[:2]) == b"one two"
    assert seen[2] == {"InvokeComplete": {"LogResult": "bG9n"}}


async def test_cloudwatch_logs() -> None:
    async def get(call: Call) -> dict[str, Any]:
        if call.params["logStreamName"] == "none":
            raise errors.LogsResourceNotFoundException("The specified log stream does not exist.")
        return {"events": [{"timestamp": 5, "message": "héllo", "ingestionTime": 6}], "nextForwardToken": "f/1"}

    async with Server("logs", {"GetLogEvents": get}) as server:
        answer = await server.call("get_log_events", logGroupName="/aws/lambda/f", logStreamName="s", limit=5)
        assert answer["events"] == [{"timestamp": 5, "message": "héllo", "ingestionTime": 6}]
        with pytest.raises(server.client.exceptions.ResourceNotFoundException):
            await server.call("get_log_events", logGroupName="/aws/lambda/f", logStreamName="none")
        with pytest.raises(server.client.exceptions.InvalidParameterException, match="at 'limit' failed to satisfy"):
            await server.call("get_log_events", logGroupName="/aws/lambda/f", logStreamName="s", limit=10_001)
