"""People and the roles they hold. Not here: signing in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session, col, select

from cohortium_auth.login.models import Membership, Person
from cohortium_auth.login.roles import Role
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, NotFound

__all__ = [
    "Holding",
    "NewMembership",
    "add_membership",
    "add_person",
    "end_membership",
    "holdings_on",
    "names_of",
    "roles_of",
]


@dataclass(frozen=True, slots=True)
class NewMembership:
    """A role to give: what, where (ODS code), from which day."""

    role: Role
    organisation: str
    start: date
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """A person with one role that they hold."""

    person_id: UUID
    display_name: str
    membership_id: UUID
    role: Role
    organisation: str


def add_person(session: Session, display_name: str, memberships: Iterable[NewMembership]) -> UUID:
    """Add someone with their roles; returns their id. Raises `BadInput` when the name is empty or a role ends before it
    begins.
    """
    if not display_name.strip():
        raise BadInput("A person needs a name.", "Give the name that colleagues know them by.")
    person = Person(tenant_id=tenant_of(session), display_name=display_name.strip())
    session.add(person)
    session.flush()
    for given in memberships:
        add_membership(session, person.id, given)
    return person.id


def add_membership(session: Session, person_id: UUID, given: NewMembership) -> UUID:
    """Give somebody a role; returns the membership's id. Raises `NotFound`, and `BadInput` when it ends before it
    begins.
    """
    if given.end is not None and given.end < given.start:
        raise BadInput("A role ends before it begins.", "Give a last day on or after the first.")
    if session.get(Person, (tenant_of(session), person_id)) is None:
        raise NotFound("There is no such person.")
    membership = Membership(
        tenant_id=tenant_of(session),
        person_id=person_id,
        role=given.role,
        organisation=given.organisation,
        start_date=given.start,
        end_date=given.end,
    )
    session.add(membership)
    session.flush()
    return membership.id


def end_membership(session: Session, membership_id: UUID, last_day: date) -> None:
    """Let a role end on a day. A session in that role stops working the day after. Raises `NotFound`."""
    membership = session.get(Membership, (tenant_of(session), membership_id))
    if membership is None:
        raise NotFound("There is no such role.")
    membership.end_date = last_day
    session.add(membership)


def holdings_on(session: Session, day: date) -> Sequence[Holding]:
    """Everyone of the tenant with each role they hold on a day, by name and organisation."""
    return _holdings(session, day, None)


def roles_of(session: Session, person_id: UUID, day: date) -> Sequence[Holding]:
    """The roles that one person holds on a day."""
    return _holdings(session, day, person_id)


def _holdings(session: Session, day: date, person_id: UUID | None) -> Sequence[Holding]:
    statement = (
        select(Person, Membership)
        .where(col(Membership.person_id) == col(Person.id))
        .order_by(col(Person.display_name), col(Membership.organisation), col(Membership.role))
    )
    if person_id is not None:
        statement = statement.where(col(Person.id) == person_id)
    return [
        Holding(person.id, person.display_name, membership.id, membership.as_role(), membership.organisation)
        for person, membership in session.exec(statement)
        if membership.in_force(day)
    ]


def names_of(session: Session) -> Mapping[UUID, str]:
    """The name of everyone of the tenant, by id."""
    return {person.id: person.display_name for person in session.exec(select(Person))}
