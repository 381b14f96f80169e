"""What each kind of provider says of somebody, read from claims whose token has been verified already.

Here: the key by which a person is linked, the assurance of the sign-in, and for NHS Care Identity the national roles.
Not here: whether the token is genuine (`tokens`), who the person is (`links`).

Care Identity's claims are those of its published scopes and claims: roles come from the userinfo endpoint, assurance
levels from the ID token.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cohortium_auth.login.people import Holding
from cohortium_auth.login.refusals import SignInRefused

__all__ = ["LEAST_IDENTITY_ASSURANCE", "Kind", "NationalRole", "Rules", "Vouched", "read_claims"]

LEAST_IDENTITY_ASSURANCE = 3
"""Care Identity's identity assurance level of somebody whose identity was checked in person or as well as that."""
_TWO_FACTORS = 2
EVERYBODY = "*"


class Kind(enum.StrEnum):
    """A kind of provider, by what it says and how."""

    CIS2 = "cis2"
    """NHS Care Identity Service 2."""
    ENTRA = "entra"
    """Microsoft Entra ID, NHSmail's among them."""
    OIDC = "oidc"
    """Any other that keeps OpenID Connect Core."""

    @property
    def asks_userinfo(self) -> bool:
        """Whether claims that matter come from the userinfo endpoint only."""
        return self is Kind.CIS2


@dataclass(frozen=True, slots=True)
class Rules:
    """What a tenant demands of a provider's claims.

    `directory` is the Entra tenant (`tid`) whose people are meant. `roles` maps a national job role code, whole
    (`S8000:G8000:R8000`) or its last part, to a role here. `levels` maps an `acr` to the assurance it stands for, and
    `EVERYBODY` to what the provider demands of every sign-in without saying so in its tokens.
    """

    least_assurance: int = 1
    directory: str = ""
    roles: Mapping[str, str] | None = None
    levels: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class NationalRole:
    """A role of somebody in the national registration, as a role here in an organisation (ODS code)."""

    id: str
    organisation: str
    role: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a provider said of somebody. `roles` is absent where the provider knows none; `selected` is the id of the
    national role that they chose at the provider.
    """

    subject: str
    assurance: int
    provider_session: str = ""
    roles: Sequence[NationalRole] | None = None
    selected: str = ""

    def offered(self, holdings: Sequence[Holding]) -> Sequence[Holding]:
        """Of the roles that a person holds here, those that the provider says they hold now."""
        if self.roles is None:
            return holdings
        held = {(role.organisation, role.role) for role in self.roles}
        return [holding for holding in holdings if (holding.organisation, holding.role) in held]

    def selection(self, holdings: Sequence[Holding]) -> Holding | None:
        """The one of them that they chose at the provider already."""
        chosen = {(r.organisation, r.role) for r in self.roles or () if self.selected and r.id == self.selected}
        found = [holding for holding in holdings if (holding.organisation, holding.role) in chosen]
        return found[0] if len(found) == 1 else None


def read_claims(kind: Kind, rules: Rules, token: Mapping[str, object], userinfo: Mapping[str, object]) -> Vouched:
    """What verified claims say. Raises `SignInRefused` when they say too little."""
    read = {Kind.CIS2: _read_cis2, Kind.ENTRA: _read_entra, Kind.OIDC: _read_any}[kind]
    vouched = read(rules, token, userinfo)
    if vouched.assurance < rules.least_assurance:
        raise SignInRefused(
            "assurance",
            "You signed in with less than this service asks for.",
            "Sign in with your smartcard, security key or second factor.",
        )
    return vouched


def _read_any(rules: Rules, token: Mapping[str, object], _userinfo: Mapping[str, object]) -> Vouched:
    return Vouched(_text(token, "sub"), _assurance(rules, token), _text(token, "sid"))


def _read_entra(rules: Rules, token: Mapping[str, object], _userinfo: Mapping[str, object]) -> Vouched:
    directory, person = _text(token, "tid"), _text(token, "oid")
    if not person or not rules.directory or directory != rules.directory:
        raise SignInRefused("directory", "Your account belongs to another directory.", "Use your own NHS account.")
    return Vouched(f"{directory}/{person}", _assurance(rules, token), _text(token, "sid"))


def _read_cis2(rules: Rules, token: Mapping[str, object], userinfo: Mapping[str, object]) -> Vouched:
    if _number(token, "id_assurance_level") < LEAST_IDENTITY_ASSURANCE:
        raise SignInRefused("identity-assurance", "Your identity has not been checked to the level that is needed.")
    roles, ids = [], set()
    for given in _list(userinfo, "nhsid_nrbac_roles"):
        role_id, code = _text(given, "person_roleid"), _text(given, "role_code")
        ids.add(role_id)
        means = (rules.roles or {}).get(code) or (rules.roles or {}).get(code.rpartition(":")[2])
        if role_id and means:
            roles.append(NationalRole(role_id, _text(given, "org_code"), means))
    selected = _text(token, "selected_roleid") or _text(userinfo, "selected_roleid")
    if selected and selected not in ids:
        raise SignInRefused("selected-role", "The role that you chose is not among those that you hold.")
    level = _number(token, "authentication_assurance_level")
    return Vouched(_text(token, "sub"), level, _text(token, "sid"), roles, selected)


def _assurance(rules: Rules, token: Mapping[str, object]) -> int:
    """The assurance of a sign-in: what its `acr` stands for, else two factors where `amr` says so."""
    levels = rules.levels or {}
    if (by_acr := levels.get(_text(token, "acr"))) is not None:
        return by_acr
    methods = token.get("amr")
    return _TWO_FACTORS if isinstance(methods, list) and "mfa" in methods else levels.get(EVERYBODY, 1)


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _number(claims: Mapping[str, object], name: str) -> int:
    """A level: Care Identity writes it as text. Zero when it is not there or no number."""
    value = claims.get(name)
    if isinstance(value, bool):
        return 0
    return value if isinstance(value, int) else int(value) if isinstance(value, str) and value.isdecimal() else 0


def _list(claims: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    value = claims.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
