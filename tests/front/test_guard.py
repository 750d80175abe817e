"""No web page and no rebound DNS name can drive the node; who is meant to can."""

from __future__ import annotations

import asyncio

import pytest

from pilotlight.front.guard import check_exposure
from pilotlight.settings import Settings, SettingsError
from tests.front.parts import IDENTITY, INVOKE, RunningFront, invoke, request, running_front

PAGE = "http://localhost:3000"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:4566",
        "localhost.:4566",
        "127.0.0.1:4566",
        "127.1.2.3",
        "[::1]:4566",
        "photos.localhost:4566",
        "photos.s3.us-east-1.localhost",
        "lambda.eu-west-1.amazonaws.com",
        "photos.s3.cn-north-1.amazonaws.com.cn",
    ],
)
async def test_names_that_no_stranger_can_point_here(front: RunningFront, host: str) -> None:
    for target in (INVOKE.format("f"), "/bucket/key"):
        assert (await front.ask(request("POST", target, host=host, body=b"{}"))).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4566",
        "localhost.evil.example",
        "notlocalhost",
        "amazonaws.com.evil.example",
        "evilamazonaws.com",
        "127.0.0.1.evil.example",
        "0.0.0.0:4566",
        "192.168.1.10:4566",
        "",
    ],
)
@pytest.mark.parametrize("target", [INVOKE.format("f"), "/bucket/key", "/2015-03-31/functions", "/_pilotlight/health"])
async def test_other_names_are_refused_and_told_which_setting_admits_them(
    front: RunningFront, host: str, target: str
) -> None:
    answer = await front.ask(request("POST", target, host=host, body=b"{}"))
    assert answer.status == 403 and b"allowed_hosts" in answer.body
    assert not front.invoker.requests and not front.forward.scopes and not front.lambda_api.requests


async def test_configured_hosts_are_admitted() -> None:
    async with running_front(allowed_hosts=("pilotlight", "*.dev.example")) as front:
        for host, status in (
            ("pilotlight:4566", 200),
            ("Photos.Dev.example", 200),
            ("dev.example", 403),
            ("x.pilotlight", 403),
        ):
            assert (await front.ask(request("POST", INVOKE.format("f"), host=host, body=b""))).status == status


async def test_the_address_a_client_reached_us_on_is_ours() -> None:
    """127.0.0.2 stands for an address of the machine: a name it is not, so it can not have been rebound."""
    keys = {"AKIAEXAMPLE": "secret"}
    async with running_front(host="0.0.0.0", auth="sigv4", access_keys=keys) as front:
        reader, writer = await asyncio.open_connection("127.0.0.2", front.front.port)
        writer.write(request("GET", "/_pilotlight/health", host="127.0.0.2:1"))
        assert b" 200 " in await reader.readline()
        writer.close()
        answer = await front.ask(request("GET", "/_pilotlight/health", host="192.168.1.10"))
        assert answer.status == 403


async def test_a_page_is_refused_whatever_it_asks(front: RunningFront) -> None:
    for origin in (PAGE, "null", "http://localhost:4566", "https://evil.example"):
        for data in (
            invoke(Origin=origin),
            request("GET", "/bucket/key", Origin=origin),
            request("OPTIONS", INVOKE.format("f"), Origin=origin, Access_Control_Request_Method="POST"),
        ):
            answer = await front.ask(data)
            assert answer.status == 403 and b"allowed_origins" in answer.body
            assert not any(name.startswith("access-control") for name in answer.headers)
    assert not front.invoker.requests and not front.forward.scopes


async def test_cross_site_requests_without_an_origin_are_refused(front: RunningFront) -> None:
    answer = await front.ask(request("GET", "/bucket/key", Sec_Fetch_Site="cross-site"))
    assert answer.status == 403 and b"allowed_origins" in answer.body
    for site in ("none", "same-origin", "same-site"):
        assert (await front.ask(request("GET", "/bucket/key", Sec_Fetch_Site=site))).status == 200


async def test_a_configured_page_gets_proper_cors_answers() -> None:
    async with running_front(allowed_origins=(PAGE,)) as front:
        preflight = await front.ask(
            request(
                "OPTIONS",
                INVOKE.format("f"),
                Origin=PAGE,
                Access_Control_Request_Method="POST",
                Access_Control_Request_Headers="authorization,x-amz-date",
                Access_Control_Request_Private_Network="true",
                Sec_Fetch_Site="cross-site",
            )
        )
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"] == "authorization,x-amz-date"
        assert preflight.headers["access-control-allow-private-network"] == "true"
        assert preflight.headers["vary"] == "Origin"
        front.forward.response_headers = [(b"access-control-allow-origin", b"*")]
        client = await front.connect()
        for data in (
            invoke(Origin=PAGE, Sec_Fetch_Site="cross-site"),
            invoke(payload=b"no json", Origin=PAGE),
            request("GET", "/bucket/key", Origin=PAGE),
            request("GET", "/2015-03-31/functions", Origin=PAGE),
        ):
            client.send(data)
            answer = await client.answer()
            assert answer.headers["access-control-allow-origin"] == PAGE
        client.send(invoke())
        assert "access-control-allow-origin" not in (await client.answer()).headers
        other = await front.ask(invoke(Origin="http://localhost:3001"))
        assert other.status == 403 and "access-control-allow-origin" not in other.headers


async def test_environments_are_not_browsers(front: RunningFront) -> None:
    """Inside, the endpoint has whatever name the function's network gives it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: front.front.protocol(IDENTITY), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    writer.write(request("POST", INVOKE.format("f"), host="aws.internal", body=b"1", Origin="http://x"))
    assert b" 200 " in await reader.readline()
    writer.close()
    server.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "example.com", ""])
def test_listening_to_the_network_needs_authentication(host: str) -> None:
    with pytest.raises(SettingsError, match="auth"):
        check_exposure(Settings(host=host))
    check_exposure(Settings(host=host, auth="sigv4", access_keys={"AKIAEXAMPLE": "secret"}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    check_exposure(Settings(host=host))


@pytest.mark.parametrize(
    "domain", ["", ".", "http://fn.example", "fn.example:80", "*.example", ".example", "a..b", "-a"]
)
def test_function_urls_are_under_a_domain(domain: str) -> None:
    with pytest.raises(SettingsError, match="url_domain"):
        check_exposure(Settings(url_domain=domain))
    check_exposure(Settings(url_domain="Fn.example"))


def test_authentication_without_keys_would_lock_everybody_out() -> None:
    with pytest.raises(SettingsError, match="access_keys"):
        check_exposure(Settings(auth="sigv4"))


async def test_a_front_that_is_exposed_does_not_come_to_be() -> None:
    with pytest.raises(SettingsError):
        async with running_front(host="0.0.0.0"):
            pass
