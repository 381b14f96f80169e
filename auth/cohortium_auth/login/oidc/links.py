"""Whom a provider vouches for: links that an administrator makes between a provider's subject and a person."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import Session

from cohortium_auth.login.models import Person
from cohortium_auth.login.oidc.models import ProviderLink
from cohortium_auth.login.oidc.providers import find_provider
from cohortium_auth.login.sessions import end_sessions_of_provider
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, Conflict, NotFound

__all__ = ["link_person", "linked_person", "unlink_person"]


def link_person(session: Session, provider: str, subject: str, person_id: UUID, *, by: str) -> None:
    """Say that a subject of a provider is a person. Raises `NotFound`; `BadInput` when the subject is empty or looks
    like an email address, which may be given to somebody else one day; `Conflict` when it is somebody's already.
    """
    if not subject.strip() or "@" in subject:
        raise BadInput("A person is linked by the identifier that never changes, not by an email address.",
                       "Use `sub`; for Entra ID the directory's id, a stroke, and the object id.")  # fmt: skip
    found = find_provider(session, provider)
    if session.get(Person, (tenant_of(session), person_id)) is None:
        raise NotFound("There is no such person.", "`cohortium person list` shows those there are.")
    existing = session.get(ProviderLink, (tenant_of(session), found.id, subject.strip()))
    if existing is not None and existing.person_id != person_id:
        raise Conflict("That subject is linked to somebody else.", "Unlink it first.")
    if existing is None:
        link = ProviderLink(
            tenant_id=tenant_of(session),
            provider_id=found.id,
            subject=subject.strip(),
            person_id=person_id,
            linked=datetime.now(UTC),
            linked_by=by,
        )
        session.add(link)
        session.flush()


def unlink_person(session: Session, provider: str, subject: str) -> UUID:
    """Take a link away, and end the sessions that it opened. Gives the person's id. Raises `NotFound`."""
    found = find_provider(session, provider)
    link = session.get(ProviderLink, (tenant_of(session), found.id, subject))
    if link is None:
        raise NotFound("There is no such link.")
    end_sessions_of_provider(session, found.id, person_id=link.person_id, provider_session="")
    session.delete(link)
    return link.person_id


def linked_person(session: Session, provider_id: UUID, subject: str) -> UUID | None:
    """Whom a subject of a provider is linked to."""
    link = session.get(ProviderLink, (tenant_of(session), provider_id, subject))
    return None if link is None else link.person_id
