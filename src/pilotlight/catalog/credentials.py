"""Temporary role credentials of an environment: issued, signed, expiring, and checked without a look-up.

The session token carries who may use it and until when, sealed with the node's key (HMAC-SHA256); the secret access
key is derived from the token with the same key, so that the front can verify a SigV4 signature made with it and
nothing has to be stored. The shape (ASIA key id, 40-character secret, opaque token) is that of AWS STS.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """Who an environment is: its function's role, and the function itself."""

    account: str
    region: str
    role_arn: str
    function_arn: str
    environment_id: str
    expires_at_ms: int = 0

    @property
    def caller_arn(self) -> str:
        """The assumed-role ARN that AWS shows for a function's calls."""
        role_name = self.role_arn.rpartition("/")[2]
        function_name = self.function_arn.split(":")[6] if self.function_arn.count(":") >= 6 else ""
        return f"arn:aws:sts::{self.account}:assumed-role/{role_name}/{function_name}"


class Credentials(msgspec.Struct, frozen=True):
    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at_ms: int


class CredentialIssuer:
    """Issues and verifies; `key` is 32 secret bytes that live in the node's data directory."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, identity: Identity, now_ms: int, lifetime_s: int = 12 * 3600) -> Credentials:
        sealed = msgspec.structs.replace(identity, expires_at_ms=now_ms + lifetime_s * 1000)
        body = base64.urlsafe_b64encode(msgspec.msgpack.encode(sealed)).decode()
        token = f"{body}.{self._sign('token', body)}"
        return Credentials(self._access_key_id(token), self._secret(token), token, sealed.expires_at_ms)

    def verify(self, session_token: str, now_ms: int) -> tuple[Identity, Credentials] | None:
        """The identity and credentials behind a token; None when it was not issued here or has expired."""
        body, _, signature = session_token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("token", body).encode()):
            return None
        identity = msgspec.msgpack.decode(base64.urlsafe_b64decode(body), type=Identity)
        if identity.expires_at_ms <= now_ms:
            return None
        credentials = Credentials(
            self._access_key_id(session_token), self._secret(session_token), session_token, identity.expires_at_ms
        )
        return identity, credentials

    def _sign(self, purpose: str, text: str) -> str:
        digest = hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _secret(self, token: str) -> str:
        return self._sign("secret", token)[:40]

    def _access_key_id(self, token: str) -> str:
        text = base64.b32encode(hashlib.sha256(token.encode()).digest()).decode()
        return "ASIA" + text[:16]
