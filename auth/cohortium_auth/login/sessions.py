"""Sessions: opened, resumed, ended. Rows in PostgreSQL, so that ending one works at once in every process.

Here: limits and the life of a row, in the caller's transaction. Not here: cookies (`cookies`), and the proof of who
somebody is (`signed_in.SignInMethod`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, update
from sqlmodel import Session, col, select

from cohortium_auth.login.models import Membership, Person, SignInSession
from cohortium_auth.login.people import Holding, roles_of
from cohortium_auth.login.roles import Purpose, Role
from cohortium_auth.login.signed_in import SignedIn, Standing
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import Unauthenticated

__all__ = [
    "ABSOLUTE_LIMIT",
    "IDLE_LIMIT",
    "Continued",
    "NewSession",
    "OpenSession",
    "change_session",
    "end_other_sessions",
    "end_session",
    "end_sessions_of",
    "end_sessions_of_provider",
    "offered_roles",
    "open_session",
    "open_sessions_of",
    "resume",
]

IDLE_LIMIT = timedelta(minutes=30)
"""Without a request for so long, a session is over: an unlocked screen in a surgery must not stay open."""
ABSOLUTE_LIMIT = timedelta(hours=12)
"""However busy, a session is over after a working day."""
_SEEN_STEP = timedelta(minutes=1)
"""`last_seen` is written no more often, so that most requests write nothing but their audit entry."""
_KEPT = timedelta(days=7)
"""A row stays for so long after its session is over, and goes when someone of its tenant signs in; the audit log keeps
what was done in it.
"""
_TOKEN_BYTES = 32

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a sign-in gives: who it is, and the token that the browser alone keeps."""

    who: SignedIn
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Continued:
    """How a session goes on as another one: for which purpose, and until when at most."""

    purpose: Purpose | None = None
    until: datetime | None = None


def open_session(  # noqa: PLR0913 - who, how proved, and how it goes on
    session: Session,
    person_id: UUID,
    membership_id: UUID,
    method: str,
    *,
    standing: Standing = Standing(),  # noqa: B008 - frozen
    continued: Continued = Continued(),
    clock: Clock = _now,
) -> NewSession:
    """Open a session in one role. Raises `Unauthenticated` when the person does not hold it today, or when it is not
    among those that the sign-in offered, or does not know the purpose.
    """
    now = clock()
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    person, membership = _holder(session, person_id, membership_id, now)
    purpose = continued.purpose or membership.as_role().purpose
    _check_offered(standing, membership, purpose)
    session.connection().execute(delete(SignInSession).where(col(SignInSession.expires) < now - _KEPT))
    row = SignInSession(
        tenant_id=tenant_of(session),
        token_hash=_hash(token),
        person_id=person.id,
        membership_id=membership.id,
        purpose=purpose,
        method=method,
        started=now,
        last_seen=now,
        expires=min(now + ABSOLUTE_LIMIT, continued.until or now + ABSOLUTE_LIMIT),
        assurance=standing.assurance,
        provider_id=standing.provider_id,
        provider_session=standing.provider_session,
        offered=None if standing.offered is None else list(standing.offered),
    )
    session.add(row)
    session.flush()
    return NewSession(_signed_in(row, person, membership), token)


def change_session(session: Session, who: SignedIn, membership_id: UUID, purpose: Purpose | None) -> NewSession:
    """End a session and begin one in another role or for another purpose (the role's own when absent), under a new
    token. It rests on the same sign-in and ends when that would have: changing role does not prolong a working day.
    """
    row = session.get_one(SignInSession, (who.tenant_id, who.session))
    end_session(session, who)
    return open_session(
        session,
        who.person_id,
        membership_id,
        row.method,
        standing=row.standing(),
        continued=Continued(purpose, row.expires),
    )


def offered_roles(session: Session, who: SignedIn, day: date) -> Sequence[Holding]:
    """The roles to which somebody may change without signing in anew."""
    offered = session.get_one(SignInSession, (who.tenant_id, who.session)).offered
    return [
        holding
        for holding in roles_of(session, who.person_id, day)
        if offered is None or holding.membership_id in offered
    ]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One open session as its owner sees it: since when, seen when last, in which role, and whether it is this one."""

    started: datetime
    last_seen: datetime
    role: Role
    organisation: str
    purpose: Purpose
    is_this: bool


def open_sessions_of(session: Session, who: SignedIn, *, clock: Clock = _now) -> Sequence[OpenSession]:
    """The sessions that somebody has open now, the newest first."""
    now = clock()
    statement = (
        select(SignInSession, Membership)
        .where(col(SignInSession.person_id) == who.person_id, col(SignInSession.ended).is_(None))
        .where(col(SignInSession.expires) > now, col(SignInSession.last_seen) > now - IDLE_LIMIT)
        .where(col(Membership.id) == col(SignInSession.membership_id))
        .order_by(col(SignInSession.started).desc())
    )
    return [
        OpenSession(
            started=row.started,
            last_seen=row.last_seen,
            role=membership.as_role(),
            organisation=membership.organisation,
            purpose=row.as_purpose(),
            is_this=row.token_hash == who.session,
        )
        for row, membership in session.exec(statement)
    ]


def resume(session: Session, token: str, *, clock: Clock = _now) -> SignedIn:
    """Who a token belongs to. Raises `Unauthenticated` when its session is unknown, ended, idle for too long or past
    its limit, or when the role is no longer held.
    """
    now = clock()
    row = session.get(SignInSession, (tenant_of(session), _hash(token)))
    if row is None or row.ended is not None or now >= row.expires or now >= row.last_seen + IDLE_LIMIT:
        raise Unauthenticated("Your session has ended.", "Sign in again.")
    person, membership = _holder(session, row.person_id, row.membership_id, now)
    if now >= row.last_seen + _SEEN_STEP:
        row.last_seen = now
        session.add(row)
    return _signed_in(row, person, membership)


def end_session(session: Session, who: SignedIn, *, clock: Clock = _now) -> None:
    """End one session; the next request that carries its token is a stranger's."""
    _end(session, clock(), col(SignInSession.token_hash) == who.session)


def end_sessions_of(session: Session, person_id: UUID, *, clock: Clock = _now) -> int:
    """End every session of a person, at once and everywhere. Returns how many were open."""
    return _end(session, clock(), col(SignInSession.person_id) == person_id)


def end_other_sessions(session: Session, who: SignedIn, *, clock: Clock = _now) -> int:
    """End every session of somebody but this one. Returns how many were open."""
    others = and_(col(SignInSession.person_id) == who.person_id, col(SignInSession.token_hash) != who.session)
    return _end(session, clock(), others)


def end_sessions_of_provider(
    session: Session, provider_id: UUID, *, person_id: UUID | None, provider_session: str, clock: Clock = _now
) -> int:
    """End the sessions that a provider vouched for: of its own one (`sid`), a person's, or both. Returns how many.

    Where both are named, sessions of the person whose own one the provider never named end as well.
    """
    which = col(SignInSession.provider_id) == provider_id
    if person_id is not None:
        which = and_(which, col(SignInSession.person_id) == person_id)
    if provider_session:
        among = [provider_session] if person_id is None else [provider_session, ""]
        which = and_(which, col(SignInSession.provider_session).in_(among))
    if person_id is None and not provider_session:
        return 0
    return _end(session, clock(), which)


def _check_offered(standing: Standing, membership: Membership, purpose: Purpose) -> None:
    if standing.offered is not None and membership.id not in standing.offered:
        raise Unauthenticated("That role was not offered at this sign-in.", "Sign in again to act in it.")
    if purpose not in membership.as_role().purposes:
        raise Unauthenticated("That role does not look for that purpose.", "Choose one of the role's own.")


def _end(session: Session, now: datetime, which: ColumnElement[bool]) -> int:
    statement = update(SignInSession).where(which, col(SignInSession.ended).is_(None)).values(ended=now)
    return int(session.connection().execute(statement).rowcount)


def _holder(session: Session, person_id: UUID, membership_id: UUID, now: datetime) -> tuple[Person, Membership]:
    found = session.exec(
        select(Person, Membership).where(
            col(Person.id) == person_id,
            col(Membership.id) == membership_id,
            col(Membership.person_id) == col(Person.id),
        )
    ).one_or_none()
    if found is None or not found[1].in_force(now.date()):
        raise Unauthenticated("You do not hold that role any more.", "Sign in in a role that you hold.")
    return found


def _signed_in(row: SignInSession, person: Person, membership: Membership) -> SignedIn:
    return SignedIn(
        person_id=person.id,
        display_name=person.display_name,
        role=membership.as_role(),
        organisation=membership.organisation,
        tenant_id=row.tenant_id,
        purpose=row.as_purpose(),
        membership_id=membership.id,
        session=row.token_hash,
        assurance=row.assurance,
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
