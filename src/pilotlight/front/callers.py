"""Who calls: account, region and caller ARN of a request, from its credential, its session token or its connection.

With auth = "none" nothing is verified and the access key id only chooses the account (twelve digits are one); but a
session token that this node issued counts only when it is genuine, unexpired and used with its own key id, so that
nobody passes for a function. With auth = "sigv4" the same answer comes from `sigv4`, after the signature held.
"""

from __future__ import annotations

import msgspec

from pilotlight.catalog.credentials import CredentialIssuer, Identity
from pilotlight.clock import Clock
from pilotlight.front.router import CredentialScope, credential_scope, region_in_host
from pilotlight.settings import Settings

_REMEMBERED = 4096


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who calls, and what service and region they signed for ("" when they did not sign)."""

    account: str
    region: str
    arn: str
    service: str = ""
    expires_at_ms: int = 0
    """When the session token behind it ends; 0 for never."""


class Callers:
    """Remembers answers: a client sends the same credential for a day."""

    def __init__(self, settings: Settings, issuer: CredentialIssuer, clock: Clock) -> None:
        self._settings = settings
        self._issuer = issuer
        self._clock = clock
        self._remembered: dict[tuple[bytes, bytes | None], Caller] = {}
        self._unsigned: dict[bytes | None, Caller] = {}

    def unsigned(self, host: bytes | None) -> Caller:
        """Nobody in particular; the region is the host name's (`lambda.eu-west-1.localhost`), else the setting."""
        caller = self._unsigned.get(host)
        if caller is None:
            region = region_in_host((host or b"").decode("latin-1")) or self._settings.region
            caller = Caller(self._settings.account_id, region, "")
            if len(self._unsigned) >= _REMEMBERED:
                self._unsigned.clear()
            self._unsigned[host] = caller
        return caller

    def claimed(self, credential: bytes, token: bytes | None) -> Caller:
        """The caller that an unverified credential (`AKID/date/region/service/aws4_request`) and session token name."""
        caller = self._remembered.get((credential, token))
        if caller is not None and (not caller.expires_at_ms or caller.expires_at_ms > self._clock.time_ms()):
            return caller
        scope = credential_scope(credential.decode("latin-1"))
        caller = self.of_claim(scope, (token or b"").decode("latin-1"))
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[(credential, token)] = caller
        return caller

    def of_claim(self, scope: CredentialScope | None, token: str) -> Caller:
        """`claimed`, from the parts."""
        if scope is None:
            return self.unsigned(None)
        if token:
            opened = self._issuer.verify(token, self._clock.time_ms())
            if opened is not None and opened[1].access_key_id == scope.access_key_id:
                return self.of_identity(opened[0], scope)
        return self.of_key(scope, verified=False)

    def of_key(self, scope: CredentialScope, *, verified: bool) -> Caller:
        """The caller behind an access key id of the settings (verified) or any at all (not)."""
        account = account_of_key(scope.access_key_id, self._settings.account_id)
        arn = f"arn:aws:iam::{account}:root" if verified else ""
        return Caller(account, scope.region or self._settings.region, arn, scope.service)

    def of_identity(self, identity: Identity, scope: CredentialScope | None) -> Caller:
        """An environment's own caller. The region is the one it signed for, else its own: a function may call
        another region, never another account."""
        region = (scope.region if scope is not None else "") or identity.region
        service = scope.service if scope is not None else ""
        return Caller(identity.account, region, identity.caller_arn, service, identity.expires_at_ms)


def account_of_key(access_key_id: str, default: str) -> str:
    """An access key id of twelve digits is an account id."""
    return access_key_id if len(access_key_id) == 12 and access_key_id.isdecimal() else default
