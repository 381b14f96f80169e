"""What changed between two snapshots: practices, and patients whose registrations did.

Not here: what follows from it for results (`cohortium_platform.engine.refresh`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import cast

import duckdb
from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from cohortium_platform.records.catalogue import files
from cohortium_platform.records.models import RecordFileRow, RecordSource
from cohortium_platform.records.schema import RecordTable
from cohortium_platform.records.store import RecordStore

__all__ = ["changed_practices", "movers_practices"]


def changed_practices(session: Session, since: int, until: int, *, but: str | None = None) -> frozenset[str]:
    """Practices of which any source (but one) was loaded after one snapshot and up to another."""
    found: set[str] = set()
    for rows in (RecordFileRow, RecordSource):
        begun = and_(col(rows.from_snapshot) > since, col(rows.from_snapshot) <= until)
        ended = and_(col(rows.to_snapshot) > since, col(rows.to_snapshot) <= until)
        found.update(session.exec(select(rows.practice).where(or_(begun, ended), rows.source != but).distinct()))
    return frozenset(found)


_MOVERS = """
    WITH was AS (
        SELECT patient_id, practice, start_date, end_date FROM read_parquet($was)
        WHERE list_contains($changed, practice)
    ), now AS (
        SELECT patient_id, practice, start_date, end_date FROM read_parquet($now)
        WHERE list_contains($changed, practice)
    ), movers AS (
        SELECT DISTINCT patient_id FROM (
            (FROM was EXCEPT ALL FROM now) UNION ALL (FROM now EXCEPT ALL FROM was)
        )
    ), spans AS (
        SELECT 0 AS side, patient_id, practice, start_date, end_date FROM read_parquet($was) SEMI JOIN movers
            USING (patient_id)
        UNION ALL
        SELECT 1, patient_id, practice, start_date, end_date FROM read_parquet($now) SEMI JOIN movers USING (patient_id)
    )
    SELECT DISTINCT place.practice FROM (
        SELECT max(struct_pack(start_date := s.start_date, practice := s.practice)) AS place
        FROM spans AS s JOIN (SELECT unnest($days::DATE[]) AS day) AS d
            ON s.start_date <= d.day AND (s.end_date IS NULL OR s.end_date >= d.day)
        GROUP BY s.side, s.patient_id, d.day
    )
"""
"""The practices that decide, before and after, of everyone with a registration that changed."""


def movers_practices(  # noqa: PLR0913, PLR0917 - between which snapshots, of whom, when
    session: Session, store: RecordStore, since: int, until: int, changed: Collection[str], days: Sequence[dt.date]
) -> frozenset[str] | None:
    """Practices where people are registered, on any of the days, whose registrations changed between two snapshots;
    before or after. None when the former registrations can no longer be read.
    """
    was, now = (
        [str(store.path(file.path)) for file in files(session, number, tables=[RecordTable.REGISTRATIONS])]
        for number in (since, until)
    )
    if was == now or not changed:
        return frozenset()
    if not (was and now):
        return None
    parameters = {"was": was, "now": now, "changed": sorted(changed), "days": list(days)}
    try:
        with duckdb.connect() as connection:
            rows = connection.execute(_MOVERS, parameters).fetchall()
    except duckdb.Error:
        return None
    return frozenset(cast("str", practice) for (practice,) in rows)
