"""Changing a tenant's organisations, in the caller's transaction, and reading them as a graph.

Here: the rules that keep the graph sound. Not here: its questions (`graph`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Label, Text, cast, func, literal_column
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from cohortium_platform.database import TenantTable, tenant_of
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_tenants.organisations.graph import Member, Node, OrganisationGraph, Succession, overlap
from cohortium_tenants.organisations.models import (
    PROVIDERS,
    Organisation,
    OrganisationType,
    Relationship,
    RelationshipKind,
    Successor,
)

__all__ = ["NewOrganisation", "close", "create", "end_relationship", "load_graph", "relate", "succeed"]

_ONE_AT_A_TIME = frozenset({OrganisationType.PCN, OrganisationType.PLACE, OrganisationType.ICB})
"""Types of parent of which an organisation has one on any day."""


@dataclass(frozen=True, slots=True)
class NewOrganisation:
    """An organisation to make. `ods_code` is opaque; `closed` is the last day."""

    ods_code: str
    name: str
    type: OrganisationType
    opened: date
    closed: date | None = None
    fictitious: bool = False


def create(session: Session, organisation: NewOrganisation) -> None:
    """Add an organisation. Raises `BadInput` when it lacks a code or a name or closes before it opens, `Conflict` when
    its code is taken.
    """
    if not organisation.ods_code.strip() or not organisation.name.strip():
        raise BadInput("An organisation needs an ODS code and a name.", "Give both.")
    if organisation.closed is not None and organisation.closed < organisation.opened:
        raise BadInput(f"{organisation.ods_code} closes before it opens.", "Correct one of the days.")
    if session.get(Organisation, (tenant_of(session), organisation.ods_code)) is not None:
        raise Conflict(f"There is an organisation {organisation.ods_code} already.", "Codes are never used twice.")
    session.add(
        Organisation(
            tenant_id=tenant_of(session),
            ods_code=organisation.ods_code,
            name=organisation.name,
            type=organisation.type,
            opened=organisation.opened,
            closed=organisation.closed,
            fictitious=organisation.fictitious,
        )
    )
    session.flush()


def close(session: Session, code: str, on: date) -> None:
    """Give an organisation its last day, and end then what it belongs to and what belongs to it. Raises `NotFound`,
    and `BadInput` when it opened later.
    """
    organisation = _find(session, code)
    if on < organisation.opened:
        raise BadInput(f"{code} opened only on {organisation.opened}.", "Give a later day.")
    organisation.closed = on
    session.add(organisation)
    for relationship in _relationships_of(session, code):
        if relationship.start > on:
            session.delete(relationship)
        elif relationship.end is None or relationship.end > on:
            relationship.end = on
            session.add(relationship)
    session.flush()


def relate(session: Session, *members: Member) -> None:
    """State that organisations belong to others, one after the other.

    Raises `NotFound` for an unknown code, `BadInput` for a span that does not fit, a parent that can have no members or
    a circle, and `Conflict` when it overlaps with what is stated already.
    """
    graph = load_graph(session)
    for member in members:
        _check_span(_find(session, member.child), _find(session, member.parent), member)
        if graph.connects(member.child, member.parent, member.start, member.end):
            raise BadInput(
                f"{member.parent} belongs to {member.child} already: that would be a circle.", "Turn it round."
            )
        for other in graph.members:
            if other.child == member.child and overlap(member.start, member.end, other.start, other.end):
                _check_together(graph, member, other)
        graph = graph.adding(member)
        session.add(
            Relationship(
                tenant_id=tenant_of(session),
                child=member.child,
                parent=member.parent,
                kind=member.kind,
                start=member.start,
                end=member.end,
            )
        )
    session.flush()


def end_relationship(session: Session, child: str, parent: str, on: date) -> None:
    """Give what holds between two organisations its last day. Raises `NotFound` when nothing holds then."""
    for relationship in _relationships_of(session, child):
        later = relationship.end is None or relationship.end >= on
        if relationship.parent == parent and relationship.start <= on and later:
            relationship.end = on
            session.add(relationship)
            session.flush()
            return
    raise NotFound(f"{child} does not belong to {parent} on {on}.", "Look at its memberships first.")


def succeed(session: Session, predecessor: str, successor: str, on: date) -> None:
    """State that one organisation takes over from another on a day; the predecessor closes the day before. Say it again
    for each further successor of one that is split. Raises `NotFound`, `BadInput` on a circle, `Conflict` on a repeat.
    """
    former, later = _find(session, predecessor), _find(session, successor)
    graph = load_graph(session)
    if any(step.predecessor == predecessor and step.successor == successor for step in graph.successions):
        raise Conflict(f"{successor} took over from {predecessor} already.", "Nothing needs to be done.")
    if predecessor in graph.successors(successor, date.max) | {successor}:
        raise BadInput(f"{predecessor} stands for {successor} itself: that would be a circle.", "Turn it round.")
    if not later.opened <= on or (later.closed is not None and later.closed < on):
        raise BadInput(f"{successor} is not open on {on}.", "Give a day on which it is.")
    session.add(
        Successor(tenant_id=former.tenant_id, predecessor=predecessor, successor=successor, on_date=on),
    )
    session.flush()
    if former.closed is None or former.closed >= on:
        close(session, predecessor, on - timedelta(days=1))


def load_graph(session: Session) -> OrganisationGraph:
    """The tenant's organisations as they stand. A graph read before is given again when a digest of every row, made by
    PostgreSQL, says that nothing has changed.
    """
    session.flush()
    tenant, digest = tenant_of(session), tuple(session.connection().execute(_DIGEST).one())
    kept = _graphs.get(tenant)
    if kept is None or kept[0] != digest:
        kept = (digest, _read_graph(session))
        _graphs[tenant] = kept
    return kept[1]


_graphs: dict[UUID, tuple[tuple[object, ...], OrganisationGraph]] = {}
"""The newest graph read of each tenant, with its digest. A graph never changes, so threads may share it."""


def _digest_of(model: type[TenantTable], name: str) -> Label[int]:
    whole_row = func.hashtextextended(cast(literal_column(name), Text), 0)
    return select_columns(func.sum(whole_row)).select_from(model).scalar_subquery().label(name)


_DIGEST = select_columns(
    *(_digest_of(model, str(model.__tablename__)) for model in (Organisation, Relationship, Successor))
)


def _read_graph(session: Session) -> OrganisationGraph:
    connection = session.connection()
    nodes = connection.execute(
        select_columns(
            col(Organisation.ods_code), col(Organisation.name), col(Organisation.type), col(Organisation.opened),
            col(Organisation.closed), col(Organisation.fictitious),
        )
    ).all()  # fmt: skip
    members = connection.execute(
        select_columns(
            col(Relationship.child), col(Relationship.parent), col(Relationship.kind), col(Relationship.start),
            col(Relationship.end),
        )
    ).all()  # fmt: skip
    steps = connection.execute(
        select_columns(col(Successor.predecessor), col(Successor.successor), col(Successor.on_date))
    ).all()
    return OrganisationGraph(
        {n[0]: Node(n[0], n[1], OrganisationType(n[2]), opened=n[3], closed=n[4], fictitious=n[5]) for n in nodes},
        [Member(child, parent, RelationshipKind(kind), start, end) for child, parent, kind, start, end in members],
        [Succession(predecessor, successor, on_date) for predecessor, successor, on_date in steps],
    )


def _find(session: Session, code: str) -> Organisation:
    found = session.get(Organisation, (tenant_of(session), code))
    if found is None:
        raise NotFound(f"There is no organisation {code} in this tenant.", "Create it first.")
    return found


def _relationships_of(session: Session, code: str) -> list[Relationship]:
    statement = select(Relationship).where((col(Relationship.child) == code) | (col(Relationship.parent) == code))
    return list(session.exec(statement.order_by(col(Relationship.start).desc())))


def _check_span(child: Organisation, parent: Organisation, member: Member) -> None:
    if child.ods_code == parent.ods_code:
        raise BadInput(f"{child.ods_code} cannot belong to itself.", "Give another parent.")
    if parent.type in PROVIDERS:
        raise BadInput(f"{parent.ods_code} is a {parent.type}, which has no members.", "Give another parent.")
    if member.end is not None and member.end < member.start:
        raise BadInput(f"The membership of {child.ods_code} ends before it begins.", "Correct one of the days.")
    for organisation in (child, parent):
        opens_later = organisation.opened > member.start
        closes_earlier = organisation.closed is not None and (member.end is None or member.end > organisation.closed)
        if opens_later or closes_earlier:
            raise BadInput(
                f"{organisation.ods_code} is not open all the time from {member.start} to {member.end or 'now'}.",
                f"It is open from {organisation.opened} to {organisation.closed or 'now'}.",
            )


def _check_together(graph: OrganisationGraph, new: Member, old: Member) -> None:
    """Refuse a membership that overlaps with one of the same parent, or of a parent of which it has one at a time."""
    if new.parent == old.parent and new.kind == old.kind:
        raise Conflict(f"{new.child} belongs to {new.parent} already from {old.start}.", "End that first.")
    kinds = {graph.nodes[new.parent].type, graph.nodes[old.parent].type}
    if new.parent != old.parent and len(kinds) == 1 and kinds <= _ONE_AT_A_TIME and new.kind == old.kind:
        raise Conflict(
            f"{new.child} belongs to the {kinds.pop()} {old.parent} from {old.start} to {old.end or 'now'}.",
            "It has one at a time: end that membership first.",
        )
