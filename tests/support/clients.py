"""boto3 clients as a developer would make them: one endpoint, any credentials, no retries that would hide an error."""

from __future__ import annotations

import functools
import io
import threading
from typing import Any

import boto3
from botocore.config import Config


def aws_client(service: str, endpoint: str, *, region: str = "us-east-1", **options: Any) -> Any:
    """A boto3 client for `service` at `endpoint`. `options` go to `client()`; `config` is merged over ours.

    All are made by one session, one at a time: a session keeps the models it has read (10 MB and 30 ms for each client
    otherwise), and is not safe to share between threads; clients are.
    """
    config = Config(
        retries={"total_max_attempts": 1},
        connect_timeout=5,
        read_timeout=120,
        s3={"addressing_style": "path"},
        proxies={},
        max_pool_connections=50,
    )
    extra = options.pop("config", None)
    if extra is not None:
        config = config.merge(extra)
    options.setdefault("aws_access_key_id", "test")
    options.setdefault("aws_secret_access_key", "test")
    with _making:
        client = _session().client(service, endpoint_url=endpoint, region_name=region, config=config, **options)
    # A payload that a test does not read would keep its connection, to be collected in the middle of another test.
    client.meta.events.register("after-call.lambda.Invoke", _read_payload)
    _open_clients.append(client)
    return client


_making = threading.Lock()


@functools.cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()


def _read_payload(parsed: dict[str, Any], **_: Any) -> None:
    if "Payload" in parsed:
        parsed["Payload"] = io.BytesIO(parsed["Payload"].read())


_open_clients: list[Any] = []


def close_clients() -> None:
    """Close every client made so far (one used again opens anew), lest its sockets be collected in another test."""
    while _open_clients:
        _open_clients.pop().close()
