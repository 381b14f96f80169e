"""Verifying a provider's tokens: signature under a pinned algorithm, and every claim that could be somebody else's.

Here: ID tokens and logout tokens. Not here: signatures as such (`login.signatures`), fetching keys (`network`), what
claims mean (`kinds`). The algorithm is the one that the tenant's row names; the audience is this client and nobody
besides.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cohortium_auth.login.refusals import SignInRefused
from cohortium_auth.login.signatures import Keys, check_claims, verified

__all__ = ["LOGOUT_EVENT", "Expected", "verify_id_token", "verify_logout_token"]

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_OLDEST = 600
"""Seconds after which a token is too old to have been made for this sign-in."""


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
    header, claims = verified(token, keys, {expected.algorithm})
    check_claims(
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
    header, claims = verified(token, keys, {expected.algorithm})
    if str(header.get("typ", "logout+jwt")).lower() not in {"logout+jwt", "jwt"}:
        raise SignInRefused("typ")
    check_claims(
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
