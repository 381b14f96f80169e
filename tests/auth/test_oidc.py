"""Parts of signing in through a provider that need no provider: keys, claims, limits of what is believed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from cohortium_auth.login import Role
from cohortium_auth.login.oidc import Kind
from cohortium_auth.login.oidc.kinds import NationalRole, Rules, Vouched, read_claims
from cohortium_auth.login.oidc.tokens import Expected, verify_id_token
from cohortium_auth.login.people import Holding
from cohortium_auth.login.refusals import SignInRefused

FIRST, SECOND = (RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}) for kid in ("first", "second"))
CURVE = ECKey.generate_key("P-256", {"kid": "curve"})
EXPECTED = Expected("https://issuer.example", "client", "RS256")
NOW = int(time.time())
CLAIMS = {"iss": EXPECTED.issuer, "aud": "client", "sub": "s", "nonce": "n", "iat": NOW, "exp": NOW + 60}


@dataclass
class Published:
    """Keys as a provider publishes them: before it was asked anew, and after."""

    before: list
    after: list = field(default_factory=list)
    asked: int = 0

    def current(self):
        return self.before

    def anew(self):
        self.asked += 1
        return self.after


def _public(*keys, **changed):
    return [{**key.as_dict(private=False), **changed} for key in keys]


def _token(key=FIRST, kid="first", claims=(), algorithm="RS256", **header):
    head = {"alg": algorithm, **({"kid": kid} if kid else {}), **header}
    found = {name: value for name, value in {**CLAIMS, **dict(claims)}.items() if value is not None}
    return jwt.encode(head, found, key, algorithms=[algorithm])


def _verify(token, keys, expected=EXPECTED, access_token=""):
    return verify_id_token(token, keys, expected, nonce="n", access_token=access_token, now=NOW)


def test_a_key_that_came_since_is_found_by_asking_once() -> None:
    keys = Published(_public(SECOND), _public(SECOND, FIRST))
    assert _verify(_token(), keys)["sub"] == "s"
    assert keys.asked == 1
    known = Published(_public(FIRST))
    assert _verify(_token(), known)["sub"] == "s"
    assert known.asked == 0


def test_a_key_that_is_not_there_then_either_is_refused_after_one_question() -> None:
    keys = Published(_public(SECOND), _public(SECOND))
    with pytest.raises(SignInRefused) as refused:
        _verify(_token(), keys)
    assert (refused.value.why, keys.asked) == ("unknown-key", 1)


def test_a_token_that_names_no_key_is_believed_only_where_there_is_one() -> None:
    assert _verify(_token(kid=""), Published(_public(FIRST)))["sub"] == "s"
    assert _verify(_token(kid=""), Published([*_public(FIRST), *_public(CURVE)]))["sub"] == "s"
    with pytest.raises(SignInRefused):
        _verify(_token(kid=""), Published(_public(FIRST, SECOND), _public(FIRST, SECOND)))


@pytest.mark.parametrize("changed", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "EC"}])
def test_a_key_for_something_else_verifies_nothing(changed) -> None:
    keys = _public(FIRST, **changed)
    with pytest.raises(SignInRefused) as refused:
        _verify(_token(), Published(keys, keys))
    assert refused.value.why == "unknown-key"


def test_the_algorithm_is_the_one_that_was_set_and_no_other() -> None:
    keys = Published([*_public(FIRST), *_public(CURVE)])
    es256 = Expected(EXPECTED.issuer, "client", "ES256")
    assert _verify(_token(CURVE, "curve", algorithm="ES256"), keys, es256)["sub"] == "s"
    for token, expected in ((_token(CURVE, "curve", algorithm="ES256"), EXPECTED), (_token(), es256)):
        with pytest.raises(SignInRefused) as refused:
            _verify(token, keys, expected)
        assert refused.value.why == "algorithm"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"at_hash": "x"}, "at_hash"),
        ({"iat": NOW - 3600}, "iat"),
        ({"iat": None}, "iat"),
        ({"iat": True}, "iat"),
        ({"aud": []}, "aud"),
        ({"aud": {"client": 1}}, "aud"),
        ({"sub": 7}, "sub"),
        ({"sub": ""}, "sub"),
        ({"iss": EXPECTED.issuer + "/"}, "iss"),
        ({"nbf": NOW + 3600}, "nbf"),
        ({"exp": "soon"}, "exp"),
    ],
)
def test_claims_that_are_not_right(claims, why) -> None:
    with pytest.raises(SignInRefused) as refused:
        _verify(_token(claims=claims), Published(_public(FIRST)))
    assert refused.value.why == why


def test_headers_that_demand_to_be_understood_are_not() -> None:
    token = _token()
    head = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImZpcnN0IiwiY3JpdCI6WyJ4Il0sIngiOjF9"  # {"crit": ["x"], ...}
    for forged in (f"{head}.{token.partition('.')[2]}", "....", "é.é.é", "\0"):
        with pytest.raises(SignInRefused):
            _verify(forged, Published(_public(FIRST)))


@pytest.mark.parametrize(
    ("levels", "claims", "assurance"),
    [
        ({}, {}, 1),
        ({}, {"amr": ["pwd", "mfa"]}, 2),
        ({"high": 3}, {"acr": "high"}, 3),
        ({"high": 3}, {"acr": "other", "amr": ["mfa"]}, 2),
        ({"*": 2}, {}, 2),
        ({"low": 1, "*": 2}, {"acr": "low", "amr": ["mfa"]}, 1),
        ({}, {"amr": "mfa"}, 1),
    ],
)
def test_the_assurance_of_a_sign_in(levels, claims, assurance) -> None:
    assert read_claims(Kind.OIDC, Rules(levels=levels), {"sub": "s", **claims}, {}).assurance == assurance


def _holding(number, role, organisation):
    return Holding(None, "", number, role, organisation)


def test_roles_offered_are_those_held_here_and_there_in_the_same_organisation() -> None:
    here = [_holding(1, Role.CLINICIAN, "A"), _holding(2, Role.CLINICIAN, "B"), _holding(3, Role.CARE_COORDINATOR, "A")]
    there = [NationalRole("1", "A", "clinician"), NationalRole("2", "B", "care coordinator")]
    vouched = Vouched("s", 3, roles=there, selected="2")
    assert [holding.membership_id for holding in vouched.offered(here)] == [1]
    assert vouched.selection(vouched.offered(here)) is None
    assert Vouched("s", 3, roles=there, selected="1").selection(here).membership_id == 1
    assert list(Vouched("s", 3).offered(here)) == here
