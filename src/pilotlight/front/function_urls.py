"""Function URLs as the front knows them: who serves them is handed in, who signed a request to one is found out here.

AuthType AWS_IAM asks for Signature Version 4 for the service `lambda` in the URL's region. With auth = "sigv4" the
signature is checked against the configured access keys and the credentials the node issued; in development mode it
must be there and well formed, and is checked when the node knows the key. From inside an environment the connection
says who calls. Source: developer guide, "Control access to Lambda function URLs".
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from pilotlight.catalog.credentials import Identity
from pilotlight.catalog.principals import unique_id
from pilotlight.errors import AwsError, InvalidSignatureException
from pilotlight.front.request_head import Head
from pilotlight.front.router import scope_of
from pilotlight.front.sigv4 import Claim, Verifier
from pilotlight.invoke.messages import InvokeReply, InvokeRequest
from pilotlight.wire.http_messages import Headers, HttpAnswer, HttpCaller, HttpRequest

#: `/_pilotlight/url/<id>/path` is `/path` of the URL with that id, for clients that cannot resolve its host
PATH_PREFIX = b"/_pilotlight/url/"

_JSON = (b"content-type", b"application/json")
_DENIED = (b"x-amzn-ErrorType", b"AccessDeniedException")
#: what AWS answers at the host of a URL that does not exist
UNKNOWN = HttpAnswer(403, [_JSON, _DENIED], b'{"Message":null}')
FORBIDDEN = HttpAnswer(
    403,
    [_JSON, _DENIED],
    b'{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: '
    b'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}',
)


class FunctionUrl(Protocol):
    """One URL as it stands: its settings, and what turns requests into invocations."""

    @property
    def region(self) -> str: ...
    @property
    def is_signed(self) -> bool:
        """Whether its AuthType is AWS_IAM."""
        ...

    @property
    def streams(self) -> bool:
        """Whether its InvokeMode is RESPONSE_STREAM."""
        ...

    def preflight(self, fields: dict[bytes, bytes]) -> HttpAnswer | None:
        """The answer to a request that is a preflight and the settings' affair; None for all others."""
        ...

    def page_headers(self, origin: bytes) -> Headers:
        """What every answer to a page of `origin` has beside the function's own headers (CORS)."""
        ...

    def is_open_to(self, caller: HttpCaller | None) -> bool: ...
    def invocation(self, request: HttpRequest, body: bytes) -> InvokeRequest: ...
    def answer(self, reply: InvokeReply) -> HttpAnswer:
        """Of a reply that is no error."""
        ...

    def streamed_head(self, content_type: str, got: bytes, *, ended: bool) -> tuple[HttpAnswer, bool] | None:
        """How to answer with a streamed response that began with `got`: status, headers and what of the body is there,
        and whether the rest of it is to follow. None while `got` does not tell (a prelude that is not complete)."""
        ...

    def answered(self, status: int, took_ms: float) -> None:
        """A request to it has its answer, or the beginning of one: to be counted."""
        ...


class FunctionUrls(Protocol):
    def at_host(self, host: bytes) -> FunctionUrl | None:
        """By the value of a Host header."""
        ...

    def with_id(self, url_id: str) -> FunctionUrl | None: ...


class UrlCall(msgspec.Struct):
    """One request to a function URL, from its head to its answer."""

    request: HttpRequest
    url: FunctionUrl | None
    began_s: float
    """By time.perf_counter."""
    keep: bool
    """Whether the connection is kept after it."""
    answer: HttpAnswer | None = None
    """Set when it is not the function that answers."""
    error: AwsError | None = None
    """Of its signature: told when its body was read, as the connection is good for more."""
    invocation: InvokeRequest | None = None
    """Once it has come to one; the invoker has given it the trace header that the function has."""
    claim: Claim | None = None
    head: Head | None = None
    body: list[bytes] = []
    size: int = 0
    """Bytes of `body`."""
    is_path_form: bool = False


def signer(head: Head, url: FunctionUrl, verifier: Verifier) -> tuple[HttpCaller | None, Claim | None]:
    """Who signed a request, None for nobody, and the claim whose signature also covers the body.

    Raises AWS's authentication errors.
    """
    scope = scope_of(head)
    identity: Identity | None = head.identity
    if identity is not None:
        key_id = scope.access_key_id if scope is not None else ""
        return _caller(identity.account, identity.caller_arn, key_id), None
    if scope is None:
        return None, None
    if scope.service != "lambda":
        raise InvalidSignatureException("Credential should be scoped to correct service: 'lambda'. ")
    if scope.region != url.region:
        raise InvalidSignatureException("Credential should be scoped to a valid region. ")
    claim = verifier.open_claim(head, "json")
    if not claim.needs_body:
        verifier.verify(claim, head, "")
    caller = claim.caller
    return _caller(caller.account, caller.arn, scope.access_key_id), claim


def _caller(account: str, arn: str, key_id: str) -> HttpCaller:
    arn = arn or f"arn:aws:iam::{account}:root"
    return HttpCaller(account, arn, unique_id(account, arn), key_id)
