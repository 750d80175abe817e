"""How the client commands reach a node: its address, AWS clients for it, and errors as sentences.

botocore rather than boto3, and imported when first used: a third of the time before the first byte goes out.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import click

DEFAULT_ENDPOINT = "http://127.0.0.1:4566"

Command = TypeVar("Command", bound=Callable[..., Any])


def node_options(command: Command) -> Command:
    """`--endpoint` and `--region`, the same for every command that talks to a node."""
    command = click.option(
        "--region",
        envvar=["AWS_REGION", "AWS_DEFAULT_REGION"],
        default="us-east-1",
        show_default=True,
        help="Region of the function. Also AWS_REGION or AWS_DEFAULT_REGION.",
    )(command)
    return click.option(
        "--endpoint",
        metavar="URL",
        envvar="PILOTLIGHT_ENDPOINT",
        default=DEFAULT_ENDPOINT,
        show_default=True,
        help="The node to talk to. Also PILOTLIGHT_ENDPOINT.",
    )(command)


def aws_client(service: str, endpoint: str, region: str, *, read_timeout_s: float = 960) -> Any:
    """A botocore client for `service` on the node at `endpoint`.

    Credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where both are set (a node with `--auth sigv4` checks
    them), else any. Nothing else is looked up: no profile, and no instance metadata to wait for. One attempt, so that
    what the node answered is what the user sees; the read timeout outlasts the longest function (900 s).
    """
    import botocore.config
    import botocore.session

    session: Any = botocore.session.Session({"profile": (None, None, None, None)})
    session.set_credentials(*(_credentials() or ("test", "test")))
    config = botocore.config.Config(
        connect_timeout=5,
        read_timeout=read_timeout_s,
        retries={"total_max_attempts": 1},
        proxies={},
        inject_host_prefix=False,  # StartLiveTail would go to stream-<host>, a name no resolver has
    )
    return session.create_client(service, endpoint_url=endpoint, region_name=region, config=config)


def signed_headers(url: str) -> dict[str, str]:
    """The headers of a signed GET of one of the node's own pages; none where there are no credentials to sign with."""
    given = _credentials()
    if given is None:
        return {}
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request: Any = AWSRequest("GET", url)
    signer: Any = SigV4Auth(Credentials(*given), "lambda", "us-east-1")
    signer.add_auth(request)
    return dict(request.headers)


def _credentials() -> tuple[str, str, str | None] | None:
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    return (key, secret, os.environ.get("AWS_SESSION_TOKEN")) if key and secret else None


@contextlib.contextmanager
def errors_as_sentences(endpoint: str) -> Generator[None]:
    """Turn what botocore raises into a click error: one sentence, exit status 1."""
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError

    try:
        yield
    except ClientError as error:
        response: Any = error.response
        detail: dict[str, str] = response.get("Error", {})
        raise click.ClickException(f"{detail.get('Code')}: {detail.get('Message') or 'no message'}") from error
    except EndpointConnectionError as error:
        raise click.ClickException(
            f"No node answers at {endpoint}. Start one with `pilotlight up`, or name another with --endpoint."
        ) from error
    except HTTPClientError as error:
        raise click.ClickException(f"The connection to {endpoint} failed: {error}") from error
    except (BotoCoreError, ValueError) as error:
        raise click.ClickException(str(error)) from error
