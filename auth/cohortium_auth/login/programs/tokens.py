"""Access tokens of programs: JWTs as RFC 9068 has them (`at+jwt`), signed here with Ed25519, good for five minutes.

Here: issuing and reading. Not here: to whom one is issued (`assertions`), and whether its program still exists, which
each request asks the database.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from cohortium_auth.login.programs.scopes import Scope, read_scopes
from cohortium_platform.errors import BadInput, Unauthenticated

__all__ = ["LIFETIME_SECONDS", "AccessTokens", "Bearer"]

LIFETIME_SECONDS = 300
_ALGORITHM = "Ed25519"
_TYPE = "at+jwt"
_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a genuine token says: whose it is, what it is for, and its own name for the audit."""

    tenant_id: UUID
    program_id: UUID
    scopes: tuple[Scope, ...]
    token_id: str


class AccessTokens:
    """Signs with the newest key and reads what older ones signed. `keys` are 32 secret bytes each, oldest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = KeySet([_signing_key(key) for key in keys])
        self._newest = self._keys.keys[-1]

    def issue(self, tenant_id: UUID, program_id: UUID, scopes: Sequence[Scope], *, issuer: str) -> str:
        """A token for a program at the service whose address is `issuer`."""
        now, client = int(time.time()), f"{tenant_id.hex}.{program_id.hex}"
        claims = {
            "iss": issuer,
            "aud": _audience(issuer),
            "sub": client,
            "client_id": client,
            "scope": " ".join(str(scope) for scope in scopes),
            "jti": secrets.token_urlsafe(_ID_BYTES),
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": self._newest.kid}
        return jwt.encode(header, claims, self._newest, algorithms=[_ALGORITHM])

    def read(self, token: str, *, issuer: str) -> Bearer:
        """What a token says. Raises `Unauthenticated` when it is not one of ours, for this service, and in time."""
        registry = jwt.JWTClaimsRegistry(
            now=int(time.time()),
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": _audience(issuer)},
            exp={"essential": True},
            typ={"essential": True, "value": _TYPE},
        )
        try:
            found = jwt.decode(token, self._keys, algorithms=[_ALGORITHM])
            registry.validate({**found.claims, "typ": found.header.get("typ")})
            tenant, _, program = str(found.claims["client_id"]).partition(".")
            scopes = read_scopes(str(found.claims["scope"]))
            return Bearer(UUID(hex=tenant), UUID(hex=program), scopes, str(found.claims["jti"]))
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, BadInput) as wrong:
            raise Unauthenticated("The access token is not valid.", "Ask for a new one.") from wrong


def _audience(issuer: str) -> str:
    return f"{issuer}/api"


def _signing_key(secret: bytes) -> OKPKey:
    private = Ed25519PrivateKey.from_private_bytes(secret)
    public = private.public_key().public_bytes_raw()
    parts = {"kty": "OKP", "crv": "Ed25519", "x": _text(public), "d": _text(secret)}
    return OKPKey.import_key({**parts, "kid": hashlib.sha256(public).hexdigest()[:16], "alg": _ALGORITHM, "use": "sig"})


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
