"""Verifying a provider's tokens: signature under a pinned algorithm, and every claim that could be somebody else's.

Here: ID tokens and logout tokens. Not here: fetching keys (`network`), what claims mean (`kinds`).

The algorithm is the one that the tenant's row names, never one that a token or a discovery document asks for: so `none`
and a public key used as a shared secret have no way in. The audience is this client and nobody besides.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import import_key

from cohortium_auth.login.refusals import SignInRefused

__all__ = ["ALGORITHMS", "LOGOUT_EVENT", "Expected", "Keys", "PublicKey", "verify_id_token", "verify_logout_token"]

ALGORITHMS: Mapping[str, str] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
}
"""The algorithms that a provider may sign with, and the type of key that each needs. All of them asymmetric."""
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LEEWAY = 60
"""Seconds by which clocks may differ."""
_OLDEST = 600
"""Seconds after which a token is too old to have been made for this sign-in."""
_MOST_BYTES = 64 * 1024


PublicKey = Mapping[str, str | list[str]]
"""A JSON Web Key (RFC 7517) as a provider publishes it."""


class Keys(Protocol):
    """Where a provider's public keys come from."""

    def current(self) -> Sequence[PublicKey]:
        """Those known now."""

    def anew(self) -> Sequence[PublicKey]:
        """Those of the provider at this moment, asked once for a token."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say. `acr_values` are those accepted; empty when none is demanded."""

    issuer: str
    audience: str
    algorithm: str
    acr_values: Sequence[str] = ()


def verify_id_token(  # noqa: PLR0913 - what a token is compared with
    token: str, keys: Keys, expected: Expected, *, nonce: str, access_token: str, now: int
) -> Mapping[str, object]:
    """The claims of an ID token made for this sign-in. Raises `SignInRefused`, whose `why` names what was wrong."""
    header, claims = _verified(token, keys, expected.algorithm)
    _check_claims(
        claims,
        now,
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.audience},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
        nonce={"essential": True, "value": nonce},
        acr={"essential": True, "values": list(expected.acr_values)} if expected.acr_values else {"essential": False},
    )
    _check_audience(claims, expected)
    if not isinstance(claims.get("iat"), int) or int(str(claims["iat"])) < now - _OLDEST:
        raise SignInRefused("iat")
    given = claims.get("at_hash")
    if given is not None and given != _half_hash(access_token, str(header["alg"])):
        raise SignInRefused("at_hash")
    return claims


def verify_logout_token(token: str, keys: Keys, expected: Expected, *, now: int) -> Mapping[str, object]:
    """The claims of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.4 and 2.6). Raises `SignInRefused`."""
    header, claims = _verified(token, keys, expected.algorithm)
    if str(header.get("typ", "logout+jwt")).lower() not in {"logout+jwt", "jwt"}:
        raise SignInRefused("typ")
    _check_claims(
        claims,
        now,
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.audience},
        iat={"essential": True},
        jti={"essential": True},
    )
    _check_audience(claims, expected)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise SignInRefused("events")
    if "nonce" in claims:
        raise SignInRefused("nonce")
    if not claims.get("sub") and not claims.get("sid"):
        raise SignInRefused("sub")
    if not isinstance(claims.get("iat"), int) or int(str(claims["iat"])) < now - _OLDEST:
        raise SignInRefused("iat")
    return claims


def _verified(token: str, keys: Keys, algorithm: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Header and claims of a token signed by one of the provider's keys under the one algorithm that is accepted."""
    if len(token) > _MOST_BYTES:
        raise SignInRefused("too-long")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, AttributeError, TypeError) as unreadable:
        raise SignInRefused("unreadable") from unreadable
    if header.get("alg") != algorithm:
        raise SignInRefused("algorithm")
    key = _choose(keys, header, algorithm)
    try:
        verified = jwt.decode(token, import_key(dict(key)), algorithms=[algorithm])
    except (JoseError, ValueError, TypeError) as forged:
        raise SignInRefused("signature") from forged
    if not isinstance(verified.claims, dict):
        raise SignInRefused("unreadable")
    return header, verified.claims


def _choose(keys: Keys, header: Mapping[str, object], algorithm: str) -> PublicKey:
    """The key that a token names; where it is not known, the provider is asked once more. A token that names none is
    accepted only where there is just one that fits.
    """
    fits = _fitting(header, algorithm)
    found = [key for key in keys.current() if fits(key)] or [key for key in keys.anew() if fits(key)]
    if len(found) != 1:
        raise SignInRefused("unknown-key")
    return found[0]


def _fitting(header: Mapping[str, object], algorithm: str) -> Callable[[PublicKey], bool]:
    def fits(key: PublicKey) -> bool:
        return (
            key.get("kty") == ALGORITHMS[algorithm]
            and key.get("use", "sig") == "sig"
            and key.get("alg", algorithm) == algorithm
            and ("kid" not in header or key.get("kid") == header["kid"])
        )

    return fits


def _check_claims(claims: Mapping[str, object], now: int, **demanded: Mapping[str, object]) -> None:
    registry = jwt.JWTClaimsRegistry(now=now, leeway=_LEEWAY, **demanded)  # type: ignore[arg-type]
    try:
        registry.validate(dict(claims))
    except ClaimError as wrong:
        raise SignInRefused(wrong.claim) from wrong
    except (JoseError, ValueError, TypeError) as wrong:
        raise SignInRefused("claims") from wrong


def _check_audience(claims: Mapping[str, object], expected: Expected) -> None:
    """This client alone: a token for others as well could be brought here by one of them, whatever `azp` says."""
    if claims.get("aud") not in (expected.audience, [expected.audience]):
        raise SignInRefused("aud")
    if claims.get("azp", expected.audience) != expected.audience:
        raise SignInRefused("azp")
    if not isinstance(claims.get("sub", ""), str):
        raise SignInRefused("sub")


def _half_hash(access_token: str, algorithm: str) -> str:
    digest = hashlib.new(f"sha{algorithm[-3:]}", access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
