"""Back-channel logout: a provider says that somebody has signed out there, and their sessions here end.

OpenID Connect Back-Channel Logout 1.0. Not here: the route that receives it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from cohortium_auth.login.oidc.kinds import Kind
from cohortium_auth.login.oidc.links import linked_person
from cohortium_auth.login.oidc.network import ProviderNetwork
from cohortium_auth.login.oidc.providers import OpenedProvider
from cohortium_auth.login.oidc.tokens import verify_logout_token
from cohortium_auth.login.refusals import SignInRefused
from cohortium_auth.login.replay import use_once
from cohortium_auth.login.sessions import end_sessions_of_provider

__all__ = ["LoggedOut", "end_by_logout_token", "verify"]

_REMEMBERED = timedelta(minutes=15)
"""Longer than a logout token is young enough to be accepted (`tokens`)."""


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """How many sessions ended, and whose they were where the token named somebody that is known here."""

    sessions: int
    person_id: UUID | None


def verify(network: ProviderNetwork, provider: OpenedProvider, token: str) -> Mapping[str, object]:
    """The claims of a genuine logout token. Raises `SignInRefused` and `Unavailable`."""
    return verify_logout_token(token, network.keys(provider), provider.expected, now=int(time.time()))


def end_by_logout_token(session: Session, provider: OpenedProvider, claims: Mapping[str, object]) -> LoggedOut:
    """End the sessions that a verified token names: of the provider's session, of the person, or of both when it names
    both. Raises `SignInRefused` when the token was used before.
    """
    if not use_once(session, str(provider.id), str(claims["jti"]), datetime.now(UTC) + _REMEMBERED):
        raise SignInRefused("replayed")
    sid, subject = str(claims.get("sid") or ""), str(claims.get("sub") or "")
    person = linked_person(session, provider.id, subject) if subject and provider.kind is not Kind.ENTRA else None
    if not sid and person is None:
        return LoggedOut(0, None)
    ended = end_sessions_of_provider(session, provider.id, person_id=person, provider_session=sid)
    return LoggedOut(ended, person)
