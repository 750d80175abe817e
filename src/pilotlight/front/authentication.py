"""Who sent a request: the connection says (from inside an environment), or its credentials, verified when auth is on.

The signature is checked as early as possible: before the body is read when the client declared the body's digest,
after it when the signature covers a digest that only the body tells.
"""

from __future__ import annotations

import hashlib
import hmac

from pilotlight.errors import AccessDeniedException
from pilotlight.front import sigv2, sigv4_faults
from pilotlight.front.answers import fault_style
from pilotlight.front.callers import Caller
from pilotlight.front.desk import Desk
from pilotlight.front.request_head import Head
from pilotlight.front.router import query_value, scope_of
from pilotlight.front.sigv4 import S3_SERVICES, Claim, Verifier


def authenticate(desk: Desk, head: Head, service: str) -> tuple[Caller, Claim | None]:
    """The caller, and the claim to pass to `check_body` when there is one. Raises AWS's authentication errors."""
    scope = scope_of(head)
    if head.identity is not None:
        return desk.callers.of_identity(head.identity, scope), None
    verifier = desk.verifier
    if verifier is None:
        if scope is None:
            return desk.callers.unsigned(head.fields.get(b"host")), None
        return desk.callers.of_claim(scope, _session_token(head)), None
    if service in S3_SERVICES and sigv2.key_id(head):
        return verifier.verify_v2(head), None
    claim = verifier.open_claim(head, fault_style(head, service))
    if not claim.needs_body:
        verifier.verify(claim, head, "")
    return claim.caller, claim


def admit_reader(desk: Desk, head: Head) -> None:
    """May this request read one of the node's reports? Asked where callers are asked who they are: a signature will do,
    or `report_token` as a bearer token, for what cannot sign. Raises AccessDeniedException and AWS's errors."""
    if desk.verifier is None:
        return
    authorization = head.text(b"authorization")
    if authorization[:7].lower() == "bearer ":
        token = desk.settings.report_token
        if token and hmac.compare_digest(authorization[7:].strip().encode("latin-1"), token.encode()):
            return
        raise AccessDeniedException("The bearer token is not the one of the setting report_token.")
    if not authorization and scope_of(head) is None and head.identity is None:
        raise AccessDeniedException(
            f'{head.raw_path} needs a signature, or the setting report_token as a bearer token: auth is "sigv4".'
        )
    _, claim = authenticate(desk, head, "lambda")
    if claim is not None:
        check_body(desk.verifier, claim, head, b"")


def _session_token(head: Head) -> str:
    token = head.text(b"x-amz-security-token")
    return token or query_value(head.query, "X-Amz-Security-Token") or query_value(head.query, "x-amz-security-token")


def check_body(verifier: Verifier | None, claim: Claim, head: Head, body: bytes) -> None:
    """Raise unless the body is what was signed. `verifier` is the one that opened the claim."""
    if claim.needs_body:
        assert verifier is not None
        verifier.verify(claim, head, hashlib.sha256(body).hexdigest())
    else:
        check_digest(claim, hashlib.sha256(body).hexdigest() if claim.body_sha256 else "")


def check_digest(claim: Claim, body_sha256: str) -> None:
    """Raise unless the body has the digest that the client declared."""
    if claim.body_sha256 and claim.body_sha256 != body_sha256:
        raise sigv4_faults.body_mismatch(claim.style)
