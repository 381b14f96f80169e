"""Signatures of tokens that others make: which key, under which algorithm; and claims compared with what is expected.

Here: what ID tokens, logout tokens and the assertions of programs have in common. Not here: what each of them must say.

The algorithms are those that the caller names, all of them asymmetric, never one that a token or a document of its
maker asks for: so `none` and a public key used as a shared secret have no way in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import import_key

from cohortium_auth.login.refusals import SignInRefused

__all__ = ["ALGORITHMS", "LEEWAY", "Keys", "PublicKey", "check_claims", "verified"]

ALGORITHMS: Mapping[str, str] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
}
"""The algorithms that somebody else may sign with, and the type of key that each needs."""
LEEWAY = 60
"""Seconds by which clocks may differ."""
_MOST_BYTES = 64 * 1024

PublicKey = Mapping[str, str | list[str]]
"""A JSON Web Key (RFC 7517) as its owner publishes it."""


class Keys(Protocol):
    """Where somebody's public keys come from."""

    def current(self) -> Sequence[PublicKey]:
        """Those known now."""

    def anew(self) -> Sequence[PublicKey]:
        """Those of their owner at this moment, asked once for a token."""


def verified(token: str, keys: Keys, algorithms: Collection[str]) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Header and claims of a token signed by one of the keys under one of the algorithms. Raises `SignInRefused`."""
    if len(token) > _MOST_BYTES:
        raise SignInRefused("too-long")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, AttributeError, TypeError) as unreadable:
        raise SignInRefused("unreadable") from unreadable
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in ALGORITHMS:
        raise SignInRefused("algorithm")
    key = _choose(keys, header, algorithm)
    try:
        found = jwt.decode(token, import_key(dict(key)), algorithms=[algorithm])
    except (JoseError, ValueError, TypeError) as forged:
        raise SignInRefused("signature") from forged
    if not isinstance(found.claims, dict):
        raise SignInRefused("unreadable")
    return header, found.claims


def check_claims(claims: Mapping[str, object], now: int, **demanded: Mapping[str, object]) -> None:
    """Compare claims with what is demanded (joserfc's options). Raises `SignInRefused`, whose `why` names the claim."""
    registry = jwt.JWTClaimsRegistry(now=now, leeway=LEEWAY, **demanded)  # type: ignore[arg-type]
    try:
        registry.validate(dict(claims))
    except ClaimError as wrong:
        raise SignInRefused(wrong.claim) from wrong
    except (JoseError, ValueError, TypeError) as wrong:
        raise SignInRefused("claims") from wrong


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
