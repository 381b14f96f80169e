"""A tenant's providers: registered, opened, enabled. Not here: whom they vouch for (`links`), their `network`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from sqlmodel import Session, col, select

from cohortium_auth.login.oidc.kinds import Kind, Rules
from cohortium_auth.login.oidc.models import SignInProvider
from cohortium_auth.login.oidc.tokens import Expected
from cohortium_auth.login.roles import Role
from cohortium_auth.login.signatures import ALGORITHMS
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_platform.keys import TenantKeys

__all__ = [
    "SCOPES",
    "NewProvider",
    "OpenedProvider",
    "add_provider",
    "enabled_providers",
    "find_provider",
    "list_providers",
    "may_be_asked",
    "open_provider",
    "provider_of",
    "replace_secret",
    "set_enabled",
]

SCOPES: Mapping[Kind, str] = {
    Kind.CIS2: "openid profile nationalrbacaccess selectedrole associatedorgs",
    Kind.ENTRA: "openid profile",
    Kind.OIDC: "openid profile",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_HIGHEST = 3


@dataclass(frozen=True, slots=True)
class NewProvider:
    """A provider to add. `secret` is the client secret, or with `key_id` the private key (PEM) with which we sign.

    `algorithm` is what its tokens are signed with, `acr_values` what is demanded and accepted; `rules` what its claims
    must say. `issuer` is exactly what its tokens say.
    """

    name: str
    title: str
    kind: Kind
    issuer: str
    client_id: str
    secret: str = field(repr=False)
    key_id: str = ""
    algorithm: str = "RS256"
    scopes: str = ""
    acr_values: Sequence[str] = ()
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class OpenedProvider:
    """A provider with its secret opened; keep it no longer than the sign-in takes."""

    id: UUID
    tenant_id: UUID
    name: str
    title: str
    kind: Kind
    expected: Expected
    scopes: str
    rules: Rules
    secret: str = field(repr=False)
    key_id: str = ""


def add_provider(session: Session, keys: TenantKeys, new: NewProvider, *, loopback: bool = False) -> UUID:
    """Add a provider, enabled. `loopback` permits one on this machine without HTTPS, for a demonstration or a test.

    Raises `BadInput` when something cannot be right, and `Conflict` when the name is taken.
    """
    _check(new, loopback=loopback)
    if session.exec(select(SignInProvider).where(SignInProvider.name == new.name)).first() is not None:
        raise Conflict(f"There is a provider called {new.name} already.", "Choose another name.")
    provider_id = uuid4()
    row = SignInProvider(
        tenant_id=tenant_of(session),
        id=provider_id,
        name=new.name,
        title=new.title,
        kind=new.kind,
        issuer=new.issuer,
        client_id=new.client_id,
        key_id=new.key_id,
        sealed=keys.seal(new.secret.encode(), _context(provider_id)),
        algorithm=new.algorithm,
        scopes=new.scopes or SCOPES[new.kind],
        acr_values=list(new.acr_values),
        least_assurance=new.rules.least_assurance,
        directory=new.rules.directory,
        roles=dict(new.rules.roles or {}),
        levels=dict(new.rules.levels or {}),
        created=datetime.now(UTC),
    )
    session.add(row)
    session.flush()
    return provider_id


def list_providers(session: Session) -> Sequence[SignInProvider]:
    """Every provider of the tenant, by name."""
    return session.exec(select(SignInProvider).order_by(col(SignInProvider.name))).all()


def enabled_providers(session: Session) -> Sequence[SignInProvider]:
    """Those by which one can sign in now."""
    return [provider for provider in list_providers(session) if provider.enabled]


def find_provider(session: Session, name: str) -> SignInProvider:
    """A provider by its name, enabled or not. Raises `NotFound`."""
    found = session.exec(select(SignInProvider).where(SignInProvider.name == name)).one_or_none()
    if found is None:
        raise NotFound("There is no such way to sign in.", "Choose one from the sign-in page.")
    return found


def provider_of(session: Session, provider_id: UUID) -> SignInProvider | None:
    """A provider by its id."""
    return session.get(SignInProvider, (tenant_of(session), provider_id))


def open_provider(session: Session, keys: TenantKeys, name: str) -> OpenedProvider:
    """An enabled provider with its secret. Raises `NotFound`."""
    row = find_provider(session, name)
    if not row.enabled:
        raise NotFound("There is no such way to sign in.", "Choose one from the sign-in page.")
    return OpenedProvider(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        title=row.title,
        kind=Kind(row.kind),
        expected=Expected(row.issuer, row.client_id, row.algorithm, tuple(row.acr_values)),
        scopes=row.scopes,
        rules=Rules(row.least_assurance, row.directory, row.roles, row.levels),
        secret=keys.open(row.sealed, _context(row.id)).decode(),
        key_id=row.key_id,
    )


def set_enabled(session: Session, name: str, *, enabled: bool) -> None:
    """Let people sign in by a provider, or no more. Sessions that it opened stay. Raises `NotFound`."""
    row = find_provider(session, name)
    row.enabled = enabled
    session.add(row)


def replace_secret(session: Session, keys: TenantKeys, name: str, secret: str, key_id: str = "") -> None:
    """Prove ourselves to a provider by another secret, or private key, from now on; links stay. Raises `NotFound` and
    `BadInput`.
    """
    row = find_provider(session, name)
    if not secret:
        raise BadInput("The secret must not be empty.", "Correct it and try again.")
    row.key_id, row.sealed = key_id, keys.seal(secret.encode(), _context(row.id))
    session.add(row)


def may_be_asked(url: str, *, loopback: bool) -> bool:
    """Whether an address may be sent anything: over HTTPS, or without it on this machine where that is permitted."""
    parts = urlsplit(url)
    if parts.username or parts.fragment or not parts.hostname:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _check(new: NewProvider, *, loopback: bool) -> None:
    rules = new.rules
    problems = {
        "The name must be small letters, digits and single hyphens.": not _NAME.fullmatch(new.name),
        "The issuer must be an address that begins with https://.": not may_be_asked(new.issuer, loopback=loopback),
        "The issuer of one directory is needed, not of all: it names the directory's id.": new.kind is Kind.ENTRA
        and (not rules.directory or urlsplit(new.issuer).path.split("/")[1:2] in (["common"], ["organizations"])),
        f"Tokens may be signed with one of {', '.join(ALGORITHMS)}.": new.algorithm not in ALGORITHMS,
        "The assurance level must be 1, 2 or 3.": not 1 <= rules.least_assurance <= _HIGHEST,
        f"A job role code may stand for one of {', '.join(Role)}.": not set((rules.roles or {}).values()) <= set(Role),
        "For Care Identity, say which job role codes stand for which roles.": new.kind is Kind.CIS2 and not rules.roles,
        "The title, the client id and the secret must not be empty.": not (new.title and new.client_id and new.secret),
        "The scopes must begin with openid.": bool(new.scopes) and new.scopes.split()[0] != "openid",
    }
    for problem, holds in problems.items():
        if holds:
            raise BadInput(problem, "Correct it and try again.")


def _context(provider_id: UUID) -> bytes:
    return b"sign-in provider\0" + provider_id.bytes
