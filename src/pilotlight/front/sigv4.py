"""Signature Version 4, the server's side: are these bytes what the holder of the secret key signed?

Verification has two steps, because the second may need the body: `open_claim` reads who claims to have signed and
refuses what can be refused by the head alone; `verify` compares the signature. Source: "AWS API request signing"
(IAM User Guide) and "Authenticating Requests (AWS Signature Version 4)" (Amazon S3 API Reference). S3 differs in three
things: its paths are encoded once and not normalised, bodies may be unsigned or signed in chunks (then the headers'
signature is the seed and is what is verified here), and its clocks may differ by 15 minutes instead of 5.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote_to_bytes

import msgspec

from pilotlight.catalog.credentials import CredentialIssuer
from pilotlight.clock import Clock
from pilotlight.front import sigv2
from pilotlight.front import sigv4_faults as faults
from pilotlight.front.callers import Caller, Callers
from pilotlight.front.request_head import Head
from pilotlight.front.router import CredentialScope, credential_scope

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
S3_SERVICES = frozenset({"s3", "s3express", "s3-object-lambda", "s3-outposts"})

_STREAMING_PAYLOADS = frozenset(
    {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
)
_AMZ_DATE = "%Y%m%dT%H%M%SZ"
_HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_PARAMETER = re.compile(r"\s*([A-Za-z]+)=([^,]*?)\s*(?:,|$)")
_SPACES = re.compile(r"\s+")
_SKEW_S = 5 * 60
_S3_SKEW_S = 15 * 60
_MAX_PRESIGNED_S = 7 * 24 * 3600
_REMEMBERED_KEYS = 1024


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What a request says about its own signature, with what is needed to check it."""

    scope: CredentialScope
    caller: Caller
    secret: str
    """"" when its key is unknown and trusted all the same."""
    signed_headers: tuple[str, ...]
    signature: str
    amz_date: str
    presigned: bool
    declared_payload: str
    """X-Amz-Content-SHA256 as sent (a hex digest or one of S3's words); "" when absent."""
    style: faults.Style

    @property
    def needs_body(self) -> bool:
        """Whether the signature itself covers a digest of the body that only the body can tell."""
        return not self.declared_payload and not (self.presigned and self.scope.service in S3_SERVICES)

    @property
    def body_sha256(self) -> str:
        """The hex digest that the body must have; "" when none was declared."""
        return self.declared_payload.lower() if _HEX_SHA256.fullmatch(self.declared_payload) else ""


class Verifier:
    """Checks requests against configured access keys and credentials that this node issued. `domains` are further
    names of the node that S3 buckets may stand before. One that `trusts_unknown` keys asks of what is signed with them
    only that it is well formed."""

    def __init__(
        self,
        access_keys: dict[str, str],
        issuer: CredentialIssuer,
        callers: Callers,
        clock: Clock,
        domains: tuple[str, ...] = (),
        *,
        trusts_unknown: bool = False,
    ) -> None:
        self._trusts_unknown = trusts_unknown
        self._domains = domains
        self._access_keys = access_keys
        self._issuer = issuer
        self._callers = callers
        self._clock = clock
        self._signing_keys: dict[tuple[str, CredentialScope], bytes] = {}

    def open_claim(self, head: Head, style: faults.Style) -> Claim:
        """Read the signature's parts and refuse what the head alone shows to be wrong.

        Raises AWS's errors for a missing, incomplete, malformed, expired or unknown credential.
        """
        authorization = head.text(b"authorization")
        if authorization:
            return self._open_header(head, authorization, style)
        query = _query_pairs(head.query)
        if "X-Amz-Signature" in query or "X-Amz-Credential" in query:
            return self._open_presigned(head, query, style)
        raise faults.missing(style)

    def verify(self, claim: Claim, head: Head, body_sha256: str) -> None:
        """Raise unless the signature is right. `body_sha256` is the hex digest of the body, used when the client
        declared none (`claim.needs_body`); what was declared must be compared with the body by who reads it."""
        if not claim.secret:
            return  # an unknown key's, trusted
        if claim.declared_payload:
            payload = claim.declared_payload
        elif claim.presigned and claim.scope.service in S3_SERVICES:
            payload = UNSIGNED_PAYLOAD
        else:
            payload = body_sha256
        canonical = canonical_request(head, claim.scope.service, claim.signed_headers, payload)
        scope = claim.scope
        to_sign = (
            f"{ALGORITHM}\n{claim.amz_date}\n{scope.date}/{scope.region}/{scope.service}/aws4_request\n"
            f"{hashlib.sha256(canonical.encode('latin-1')).hexdigest()}"
        )
        wanted = hmac.new(self._signing_key(claim), to_sign.encode("latin-1"), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), claim.signature.encode("latin-1")):
            raise faults.mismatch(claim.style)

    def verify_v2(self, head: Head) -> Caller:
        """Verify S3's old signature, which covers no body: all of it at once."""
        given = sigv2.read(head)
        if given is None:
            raise faults.incomplete_v2()
        now = self._clock.time_ms() / 1000
        if given.expires_s is not None and given.expires_s < now:
            raise faults.presigned_expired("s3", "", "")
        if given.date_s is not None and abs(given.date_s - now) > _S3_SKEW_S:
            raise faults.not_yet("s3", "", "", _S3_SKEW_S)
        caller, secret = self._secret(CredentialScope(given.access_key_id, "", "", "s3"), given.token, "s3")
        if not sigv2.matches(given, head, secret, self._domains):
            raise faults.mismatch("s3")
        return caller

    def _open_header(self, head: Head, authorization: str, style: faults.Style) -> Claim:
        algorithm, _, rest = authorization.partition(" ")
        if algorithm != ALGORITHM:
            raise faults.unsupported(style, algorithm, authorization)
        parameters = dict(_PARAMETER.findall(rest))
        lacking = [name for name in ("Credential", "Signature", "SignedHeaders") if not parameters.get(name)]
        amz_date = head.text(b"x-amz-date") or _from_http_date(head.text(b"date"))
        if lacking or not amz_date:
            raise faults.incomplete_header(style, lacking, no_date=not amz_date, authorization=authorization)
        signed_headers = tuple(parameters["SignedHeaders"].lower().split(";"))
        moment = _moment(amz_date)
        if moment is None:
            raise faults.incomplete(style, f"Date must be in ISO-8601 'basic format'. Got '{amz_date}'.")
        scope = self._scope(parameters["Credential"], amz_date, style)
        self._check_skew(moment, amz_date, style)
        caller, secret = self._secret(scope, head.text(b"x-amz-security-token"), style)
        _check_signed(head, signed_headers, style)
        declared = _declared_payload(head.text(b"x-amz-content-sha256"), style)
        return Claim(scope, caller, secret, signed_headers, parameters["Signature"], amz_date, False, declared, style)

    def _open_presigned(self, head: Head, query: dict[str, str], style: faults.Style) -> Claim:
        if query.get("X-Amz-Algorithm", ALGORITHM) != ALGORITHM:
            raise faults.unsupported(style, query["X-Amz-Algorithm"], "")
        names = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
        # Only S3 insists on X-Amz-Expires; elsewhere a query signature is good for as long as a header's.
        expires_text = query.get("X-Amz-Expires", "604801" if style == "s3" else str(_SKEW_S))
        lacking = [name for name in names if not query.get(name)]
        if lacking or ("X-Amz-Expires" not in query and style == "s3"):
            raise faults.incomplete_query(style, lacking)
        amz_date = query["X-Amz-Date"]
        moment = _moment(amz_date)
        if moment is None:
            raise faults.incomplete(style, f"X-Amz-Date must be in the ISO8601 Long Format. Got '{amz_date}'.")
        if not expires_text.isdecimal() or int(expires_text) > _MAX_PRESIGNED_S:
            raise faults.incomplete(
                style,
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
                "than 604800 seconds",
            )
        scope = self._scope(query["X-Amz-Credential"], amz_date, style)
        now = self._clock.time_ms() / 1000
        if moment > now + _S3_SKEW_S:
            raise faults.not_yet(style, amz_date, _shown(now), _S3_SKEW_S)
        if moment + int(expires_text) < now:
            raise faults.presigned_expired(style, amz_date, _shown(now))
        caller, secret = self._secret(scope, query.get("X-Amz-Security-Token", ""), style)
        signed_headers = tuple(query["X-Amz-SignedHeaders"].lower().split(";"))
        _check_signed(head, signed_headers, style)
        declared = _declared_payload(query.get("X-Amz-Content-Sha256", "") or head.text(b"x-amz-content-sha256"), style)
        return Claim(scope, caller, secret, signed_headers, query["X-Amz-Signature"], amz_date, True, declared, style)

    def _scope(self, credential: str, amz_date: str, style: faults.Style) -> CredentialScope:
        scope = credential_scope(credential)
        if scope is None or not scope.region or not credential.endswith("/aws4_request"):
            raise faults.malformed_credential(style, credential)
        if scope.date != amz_date[:8]:
            raise faults.wrong_scope_date(style, scope.date, amz_date)
        return scope

    def _check_skew(self, moment: float, amz_date: str, style: faults.Style) -> None:
        now = self._clock.time_ms() / 1000
        allowed_s = _S3_SKEW_S if style == "s3" else _SKEW_S
        if moment < now - allowed_s:
            raise faults.expired(style, amz_date, _shown(now - allowed_s), _shown(now), allowed_s)
        if moment > now + allowed_s:
            raise faults.not_yet(style, amz_date, _shown(now), allowed_s)

    def _secret(self, scope: CredentialScope, token: str, style: faults.Style) -> tuple[Caller, str]:
        """The caller and the secret key of a credential: one this node issued, or one of the settings."""
        if token:
            # Time 0: genuine at all? Only then is "expired" an answer that tells nothing to strangers.
            opened = self._issuer.verify(token, 0)
            if opened is None or opened[1].access_key_id != scope.access_key_id:
                if self._trusts_unknown:
                    return self._callers.of_key(scope, verified=False), ""
                raise faults.unknown_key(style, scope.access_key_id)
            identity, credentials = opened
            if identity.expires_at_ms <= self._clock.time_ms():
                raise faults.expired_token(style)
            return self._callers.of_identity(identity, scope), credentials.secret_access_key
        secret = self._access_keys.get(scope.access_key_id)
        if secret is None:
            if self._trusts_unknown:
                return self._callers.of_key(scope, verified=False), ""
            raise faults.unknown_key(style, scope.access_key_id)
        return self._callers.of_key(scope, verified=True), secret

    def _signing_key(self, claim: Claim) -> bytes:
        remembered = (claim.secret, claim.scope)
        key = self._signing_keys.get(remembered)
        if key is None:
            key = f"AWS4{claim.secret}".encode()
            for part in (claim.scope.date, claim.scope.region, claim.scope.service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            if len(self._signing_keys) >= _REMEMBERED_KEYS:
                self._signing_keys.clear()
            self._signing_keys[remembered] = key
        return key


def canonical_request(head: Head, service: str, signed_headers: tuple[str, ...], payload: str) -> str:
    """The text whose digest is signed. Characters stand for bytes (latin-1)."""
    values: dict[str, list[str]] = {}
    for name, value in head.headers:
        values.setdefault(name.decode("latin-1"), []).append(_SPACES.sub(" ", value.decode("latin-1").strip()))
    lines = [f"{name}:{','.join(values.get(name, ()))}" for name in signed_headers]
    path = _once_encoded(head.raw_path) if service in S3_SERVICES else quote(_normalized(head.raw_path), safe="/-_.~")
    return "\n".join((head.method, path, _canonical_query(head.query), *lines, "", ";".join(signed_headers), payload))


def _once_encoded(raw_path: str) -> str:
    return quote(unquote_to_bytes(raw_path), safe="/-_.~") or "/"


def _normalized(raw_path: str) -> str:
    """RFC 3986 dot segments and repeated slashes removed, as every service but S3 has it."""
    kept: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    trailing = "/" if kept and raw_path.endswith("/") else ""
    return "/" + "/".join(kept) + trailing


def _canonical_query(query: str) -> str:
    pairs: list[tuple[str, str]] = []
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            name = quote(unquote_to_bytes(name), safe="-_.~")
            if name != "X-Amz-Signature":
                pairs.append((name, quote(unquote_to_bytes(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _query_pairs(query: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        pairs.setdefault(unquote_to_bytes(name).decode("latin-1"), unquote_to_bytes(value).decode("latin-1"))
    return pairs


def _check_signed(head: Head, signed_headers: tuple[str, ...], style: faults.Style) -> None:
    """Host and every x-amz- header must be covered, or somebody on the way could change what a request means."""
    if "host" not in signed_headers:
        raise faults.not_signed(style, ["host"])
    unsigned = [
        name
        for name in (field.decode("latin-1") for field in head.fields)
        if name.startswith("x-amz-") and name not in signed_headers
    ]
    if unsigned:
        raise faults.not_signed(style, unsigned)


def _declared_payload(text: str, style: faults.Style) -> str:
    if not text or _HEX_SHA256.fullmatch(text):
        return text
    if text == UNSIGNED_PAYLOAD or (style == "s3" and text in _STREAMING_PAYLOADS):
        return text
    raise faults.bad_payload_word(style)


def _moment(amz_date: str) -> float | None:
    try:
        return datetime.strptime(amz_date, _AMZ_DATE).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _from_http_date(text: str) -> str:
    """A Date header in the form X-Amz-Date has; "" when it is absent or no date."""
    if _moment(text) is not None:
        return text
    try:
        return parsedate_to_datetime(text).astimezone(UTC).strftime(_AMZ_DATE) if text else ""
    except (ValueError, TypeError):
        return ""


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_AMZ_DATE)
