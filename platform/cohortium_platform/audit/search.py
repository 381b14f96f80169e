"""Searching the log: who did what, who saw a patient.

Here: one page of entries for a query, each with its place in the tree. Not here: who may search, and recording that
they did: whoever calls this writes an entry of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func
from sqlmodel import Session, col, select

from cohortium_platform.audit.models import AuditEntry, AuditLeaf, AuditPatient, Outcome

__all__ = ["AuditPage", "AuditQuery", "FoundEntry", "count_entries", "search"]

_LAST = chr(0x10FFFF)
"""Behind every text that begins alike, in the order of code points."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to look for; empty is anything. `patient_hash` is the tenant's `TenantKeys.audit_hash` of the patient;
    `resource_prefix` is how the resource begins (`registry/`, `registry/cancer-care`); times are from `since` to before
    `until`. The newest come first.
    """

    actor: str = ""
    patient_hash: bytes | None = None
    resource_prefix: str = ""
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
    if query.since is not None:
        conditions.append(col(AuditEntry.at) >= query.since)
    if query.until is not None:
        conditions.append(col(AuditEntry.at) < query.until)
    if query.patient_hash is not None:
        tickets = (
            select(col(AuditLeaf.ticket))
            .join(
                AuditPatient,
                and_(col(AuditPatient.tenant_id) == AuditLeaf.tenant_id, col(AuditPatient.place) == AuditLeaf.place),
            )
            .where(col(AuditPatient.patient) == query.patient_hash)
        )
        conditions.append(col(AuditEntry.ticket).in_(tickets))
    return conditions
