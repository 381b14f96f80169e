"""Counting use from the audit log, which has every view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlmodel import Session

__all__ = ["Used", "usage"]


@dataclass(frozen=True, slots=True)
class Used:
    """One registry in one week (its Monday), by people of one organisation (ODS code) in one role: how many people, how
    many lists, how many patients' pages, how many downloads.
    """

    registry: str
    week: date
    organisation: str
    role: str
    people: int
    lists: int
    patients: int
    downloads: int


def usage(session: Session, since: date, until: date) -> Sequence[Used]:
    """What was used from a day to before another, the latest week first."""
    rows = session.connection().execute(_USAGE, {"since": since, "until": until})
    return [Used(*row) for row in rows]


_USAGE = text("""
    SELECT split_part(resource, '/', 2) AS registry,
        date_trunc('week', at AT TIME ZONE 'Europe/London')::date AS week, organisation, role,
        count(DISTINCT actor) AS people,
        count(*) FILTER (WHERE action IN ('view-registry', 'view-aggregates')) AS lists,
        count(*) FILTER (WHERE action = 'view-patient') AS patients,
        count(*) FILTER (WHERE action = 'export-list' OR detail ->> 'shown' = 'csv') AS downloads
    FROM audit_entries
    WHERE action IN ('view-registry', 'view-patient', 'export-list', 'view-aggregates') AND outcome = 'done'
        AND (resource LIKE 'registry/%' OR resource LIKE 'aggregates/%') AND actor <> 'service'
        AND at >= :since AND at < :until
    GROUP BY registry, week, organisation, role ORDER BY week DESC, registry, organisation, role
""")
