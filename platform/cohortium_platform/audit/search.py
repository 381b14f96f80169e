"""Searching the log: who did what, who saw a patient.

Here: one page of entries for a query, each with its place in the tree. Not here: who may search, and recording that
they did: whoever calls this writes an entry of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, LargeBinary, and_, any_, func, literal, or_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session, col, select

from cohortium_platform.audit.models import AuditEntry, AuditLeaf, AuditPatient, Outcome

__all__ = ["AuditPage", "AuditQuery", "FoundEntry", "count_entries", "search"]

_LAST = chr(0x10FFFF)
"""Behind every text that begins alike, in the order of code points."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to look for; empty is anything. `patients` are the tenant's `TenantKeys.audit_hash`es, of
    which an entry names any; `registry` is the pack whose lists, patients or counts they are about;
    `resource_prefix` is how the resource begins (`registry/`, `registry/cancer-care`); times are from `since` to before
    `until`. The newest come first.
    """

    actor: str = ""
    patients: Collection[bytes] | None = None
    resource_prefix: str = ""
    registry: str = ""
    organisation: str = ""
    action: str = ""
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """An entry and its place; None during the second until the sequencer has given it one."""

    place: int | None
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of what was found, and whether more follows."""

    found: Sequence[FoundEntry]
    more: bool


def search(session: Session, query: AuditQuery) -> AuditPage:
    """The page of a query. A patient's entries are found once they have a place, within a second of being written."""
    newest = (col(AuditEntry.at).desc(), col(AuditEntry.ticket).desc())
    page = select(AuditEntry).where(*_conditions(query)).order_by(*newest).offset(query.offset).limit(query.limit + 1)
    entries = session.exec(page).all()
    shown = entries[: query.limit]
    # Places by themselves: joined, PostgreSQL may look up those of every entry first.
    wanted = col(AuditLeaf.ticket).in_([entry.ticket for entry in shown])
    places = dict(session.exec(select(AuditLeaf.ticket, AuditLeaf.place).where(wanted)).all())
    return AuditPage([FoundEntry(places.get(entry.ticket), entry) for entry in shown], len(entries) > query.limit)


def count_entries(session: Session, query: AuditQuery, *, most: int = 10_000) -> int:
    """How many entries a query finds, counted no further than `most`."""
    found = select(AuditEntry.id).where(*_conditions(query)).limit(most).subquery()
    return session.exec(select(func.count()).select_from(found)).one()


def _conditions(query: AuditQuery) -> list[ColumnElement[bool]]:
    exactly = [
        (AuditEntry.actor, query.actor),
        (AuditEntry.organisation, query.organisation),
        (AuditEntry.action, query.action),
        (AuditEntry.outcome, query.outcome.value if query.outcome else ""),
    ]
    conditions: list[ColumnElement[bool]] = [col(column) == value for column, value in exactly if value]
    if query.resource_prefix:  # not by LIKE: row-level security keeps that from the index
        resource = col(AuditEntry.resource)
        conditions += [resource >= query.resource_prefix, resource < query.resource_prefix + _LAST]
    if query.registry:
        conditions.append(_of_registry(query.registry))
    if query.since is not None:
        conditions.append(col(AuditEntry.at) >= query.since)
    if query.until is not None:
        conditions.append(col(AuditEntry.at) < query.until)
    if query.patients is not None:
        tickets = (
            select(col(AuditLeaf.ticket))
            .join(
                AuditPatient,
                and_(col(AuditPatient.tenant_id) == AuditLeaf.tenant_id, col(AuditPatient.place) == AuditLeaf.place),
            )
            .where(col(AuditPatient.patient) == any_(literal(list(query.patients), ARRAY(LargeBinary))))
        )
        conditions.append(col(AuditEntry.ticket).in_(tickets))
    return conditions


def _of_registry(pack: str) -> ColumnElement[bool]:
    """Entries about a registry: itself, and whatever stands below it."""
    resource, below = col(AuditEntry.resource), []
    for root in (f"registry/{pack}", f"aggregates/{pack}"):
        below += [resource == root, and_(resource >= f"{root}/", resource < f"{root}0")]  # 0 follows / in code points
    return or_(*below)
