"""One sign-in through a provider: begun, finished, recognised, and the role chosen.

`begin` gives where to send the browser; `finish` verifies what comes back, without any transaction while it waits for
the network; `recognise` finds the person; `release` is the choice of one of several roles. Not here: pages.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import Session

from cohortium_auth.login.attempts import Stage, keep, take
from cohortium_auth.login.oidc.kinds import Vouched, read_claims
from cohortium_auth.login.oidc.links import linked_person
from cohortium_auth.login.oidc.network import ProviderNetwork
from cohortium_auth.login.oidc.providers import OpenedProvider
from cohortium_auth.login.oidc.tokens import verify_id_token
from cohortium_auth.login.people import Holding, roles_of
from cohortium_auth.login.refusals import NotBegunHere, SignInRefused
from cohortium_auth.login.signed_in import Identified, Standing
from cohortium_platform.keys import TenantKeys

__all__ = ["Finished", "Recognised", "begin", "finish", "recognise", "release"]

_BYTES = 32


@dataclass(frozen=True, slots=True)
class Recognised:
    """A person whom a provider vouched for, and the roles that they may act in now. They were going to `wanted`."""

    person_id: UUID
    standing: Standing
    holdings: Sequence[Holding]
    method: str
    wanted: str
    chosen: Holding | None

    def identified(self, tenant_id: UUID, holding: Holding) -> Identified:
        """Them, in one of those roles."""
        return Identified(tenant_id, self.person_id, holding.membership_id, self.standing)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a provider vouched for, and where the person was going."""

    provider: OpenedProvider
    vouched: Vouched
    wanted: str


@dataclass(frozen=True, slots=True)
class Begun:
    """What was remembered of a sign-in while the provider had the browser."""

    nonce: str
    verifier: str
    wanted: str

    @classmethod
    def taken(cls, session: Session, keys: TenantKeys, provider: OpenedProvider, visit: str, state: str) -> Begun:
        """Take it, once. Raises `SignInRefused` when this browser began no such sign-in with this provider."""
        content = take(session, keys, Stage.PROVIDER, visit, state)
        if content["provider"] != str(provider.id):
            raise NotBegunHere
        return cls(str(content["nonce"]), str(content["verifier"]), str(content["wanted"]))


def begin(  # noqa: PLR0913 - one of each
    session: Session,
    keys: TenantKeys,
    network: ProviderNetwork,
    provider: OpenedProvider,
    *,
    visit: str,
    redirect: str,
    wanted: str,
) -> str:
    """Remember a sign-in of a browser (`visit`), and give the provider's address for it. Raises `Unavailable`."""
    nonce, verifier = secrets.token_urlsafe(_BYTES), secrets.token_urlsafe(_BYTES)
    content = {"provider": str(provider.id), "nonce": nonce, "verifier": verifier, "wanted": wanted}
    state = keep(session, keys, Stage.PROVIDER, visit, content)
    return network.authorization_url(provider, redirect, state=state, nonce=nonce, code_verifier=verifier)


def finish(
    network: ProviderNetwork, provider: OpenedProvider, begun: Begun, answer: Mapping[str, str], *, redirect: str
) -> Finished:
    """Verify a provider's answer. Raises `SignInRefused` when it proves nothing, `Unavailable` without an answer."""
    promised, named = network.metadata(provider).says_issuer, answer.get("iss")
    if (named is None and promised) or named not in (None, provider.expected.issuer):
        raise SignInRefused("response-issuer")
    if "code" not in answer:
        raise SignInRefused("provider-refused", "Your sign-in service did not sign you in.", "Try again.")
    granted = network.exchange(provider, redirect, answer["code"], begun.verifier)
    claims = verify_id_token(
        granted.id_token,
        network.keys(provider),
        provider.expected,
        nonce=begun.nonce,
        access_token=granted.access_token,
        now=int(time.time()),
    )
    userinfo: Mapping[str, object] = {}
    if provider.kind.asks_userinfo:
        userinfo = network.userinfo(provider, granted.access_token)
        if userinfo.get("sub") != claims["sub"]:
            raise SignInRefused("userinfo-subject")
    return Finished(provider, read_claims(provider.kind, provider.rules, claims, userinfo), begun.wanted)


def recognise(session: Session, finished: Finished) -> Recognised:
    """The person whom an administrator linked, and their roles now. Raises `SignInRefused` when there is none."""
    provider, vouched = finished.provider, finished.vouched
    person_id = linked_person(session, provider.id, vouched.subject)
    if person_id is None:
        raise SignInRefused(
            "not-linked",
            "You have signed in, and nobody has given you access here yet.",
            f"Send your administrator this: {vouched.subject}",
        )
    holdings = vouched.offered(roles_of(session, person_id, datetime.now(UTC).date()))
    if not holdings:
        raise SignInRefused(
            "no-role",
            "You hold no role here at the moment.",
            "Ask your administrator which role you need.",
            person_id=person_id,
        )
    offered = None if vouched.roles is None else tuple(holding.membership_id for holding in holdings)
    standing = Standing(vouched.assurance, provider.id, vouched.provider_session, offered)
    chosen = holdings[0] if len(holdings) == 1 else vouched.selection(holdings)
    return Recognised(person_id, standing, holdings, provider.kind, finished.wanted, chosen)


def hold(session: Session, keys: TenantKeys, recognised: Recognised, visit: str) -> str:
    """Remember somebody recognised until they have chosen a role; gives the token for their page."""
    standing = recognised.standing
    content: dict[str, object] = {
        "person": str(recognised.person_id),
        "method": recognised.method,
        "wanted": recognised.wanted,
        "assurance": standing.assurance,
        "provider": None if standing.provider_id is None else str(standing.provider_id),
        "provider_session": standing.provider_session,
        "roles": [str(holding.membership_id) for holding in recognised.holdings],
        "bound": standing.offered is not None,
    }
    return keep(session, keys, Stage.ROLE, visit, content)


@dataclass(frozen=True, slots=True)
class Released:
    """Somebody with the role that they chose, by which method, and where they were going."""

    identified: Identified
    method: str
    wanted: str


def release(  # noqa: PLR0913 - one of each
    session: Session, keys: TenantKeys, *, tenant_id: UUID, visit: str, token: str, membership: UUID
) -> Released:
    """Somebody in the role that they chose among those offered. Raises `SignInRefused`."""
    content = take(session, keys, Stage.ROLE, visit, token)
    person, listed = UUID(str(content["person"])), content["roles"]
    roles = tuple(UUID(str(role)) for role in listed) if isinstance(listed, list) else ()
    if membership not in roles:
        raise SignInRefused("role-not-offered", "That role was not offered to you.", person_id=person)
    provider = None if content["provider"] is None else UUID(str(content["provider"]))
    standing = Standing(
        int(str(content["assurance"])),
        provider,
        str(content["provider_session"]),
        roles if content["bound"] else None,
    )
    identified = Identified(tenant_id, person, membership, standing)
    return Released(identified, str(content["method"]), str(content["wanted"]))
