"""The assertion by which a program proves who it is: `private_key_jwt` as SMART Backend Services demands it.

RS384 or ES384; made by and about the client; for this token address alone; good for five minutes at most; used once.
Not here: whether it was used before (`login.replay`), the token that it is exchanged for (`tokens`).
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cohortium_auth.login.oidc.network import ProviderNetwork
from cohortium_auth.login.programs.models import Program
from cohortium_auth.login.programs.service import client_id
from cohortium_auth.login.refusals import SignInRefused
from cohortium_auth.login.signatures import Keys, PublicKey, check_claims, verified

__all__ = ["ALGORITHMS", "ASSERTION_TYPE", "Assertion", "client_of", "verify_assertion"]

ALGORITHMS = ("RS384", "ES384")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_SECONDS = 300
_CLOCKS_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Assertion:
    """A genuine assertion: what it calls itself, and until when it must be remembered."""

    id: str
    expires: int


@dataclass(frozen=True, slots=True)
class _GivenKeys:
    """Keys that an administrator gave; `signatures.Keys`."""

    keys: Sequence[PublicKey]

    def current(self) -> Sequence[PublicKey]:
        """Those given."""
        return self.keys

    def anew(self) -> Sequence[PublicKey]:
        """The same."""
        return self.keys


def client_of(assertion: str) -> tuple[UUID, UUID]:
    """The tenant and program that an assertion, not yet believed, says it is of. Raises `SignInRefused`."""
    try:
        body = assertion.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        tenant, _, program = claims["iss"].partition(".")
        return UUID(hex=tenant), UUID(hex=program)
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, binascii.Error, RecursionError) as wrong:
        raise SignInRefused("unreadable") from wrong


def verify_assertion(assertion: str, program: Program, network: ProviderNetwork, token_url: str) -> Assertion:
    """Verify an assertion against a program's keys. Raises `SignInRefused` and `Unavailable`."""
    keys: Keys = network.published_keys(program.keys_url) if program.keys_url else _GivenKeys(program.keys)
    header, claims = verified(assertion, keys, ALGORITHMS)
    if "kid" not in header:
        raise SignInRefused("kid")
    name, now = client_id(program), int(time.time())
    check_claims(
        claims,
        now,
        iss={"essential": True, "value": name},
        sub={"essential": True, "value": name},
        aud={"essential": True, "value": token_url},
        exp={"essential": True},
        jti={"essential": True},
    )
    if claims.get("aud") not in (token_url, [token_url]):
        raise SignInRefused("aud")
    expires = claims.get("exp")
    if not isinstance(expires, int) or not now - _CLOCKS_SECONDS < expires <= now + _LONGEST_SECONDS + _CLOCKS_SECONDS:
        raise SignInRefused("exp")
    return Assertion(str(claims["jti"]), expires)
