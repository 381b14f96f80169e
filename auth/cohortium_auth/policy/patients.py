"""Patient by patient: whom a permission leaves in, among the members of a registry.

Here: the obligations that speak of single patients, each a set that lists and counts are narrowed to before anything is
paged or counted. Not here: deciding on practices (`decisions`), and how a list is narrowed (`results`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
from sqlmodel import Session

from cohortium_auth import opt_outs
from cohortium_auth.ig_settings import read_ig_settings
from cohortium_auth.policy.actions import Obligation
from cohortium_platform.records import RecordStore, RecordTable, files

__all__ = ["OF_PATIENTS", "PatientScope", "patients_left_in"]

OF_PATIENTS = frozenset({Obligation.ACTIVE_RELATIONSHIP, Obligation.APPLY_OPT_OUTS})
"""Obligations that leave out single patients of practices that are allowed."""

_RECORDED = """
    SELECT DISTINCT patient_id FROM read_parquet($files) WHERE source = $source AND date BETWEEN $first AND $last
"""
_TABLES = (RecordTable.EVENTS, RecordTable.MEDICATIONS, RecordTable.CONSULTATIONS)


@dataclass(frozen=True, slots=True)
class PatientScope:
    """Where patients are looked for: a snapshot of a tenant's records, for somebody of an organisation, on a day."""

    session: Session
    store: RecordStore
    cursor: duckdb.DuckDBPyConnection
    snapshot: int
    organisation: str
    on: date


def patients_left_in(
    scope: PatientScope, obligations: Collection[Obligation], members: Sequence[int]
) -> frozenset[int] | None:
    """Those of `members` whom the obligations leave in; None when they leave in everyone."""
    left: frozenset[int] | None = None
    if Obligation.ACTIVE_RELATIONSHIP in obligations:
        left = under_care(scope)
    if Obligation.APPLY_OPT_OUTS in obligations:
        kept = opt_outs.without_opted_out(
            scope.session, scope.store, scope.cursor, members, snapshot=scope.snapshot, on=scope.on
        )
        left = kept if left is None else left & kept
    return left


def under_care(scope: PatientScope) -> frozenset[int]:
    """Patients for whom the organisation itself has recorded something within the tenant's span, up to the day."""
    span = timedelta(days=read_ig_settings(scope.session).trust_relationship_days)
    listed = [
        str(scope.store.path(file.path))
        for file in files(scope.session, scope.snapshot, tables=_TABLES)
        if file.source == scope.organisation
    ]
    found: set[int] = set()
    by_table = {table: [path for path in listed if f"/{table}-" in path] for table in _TABLES}
    for paths in by_table.values():
        if paths:
            parameters = {
                "files": paths,
                "source": scope.organisation,
                "first": scope.on - span,
                "last": scope.on,
            }
            found.update(patient for (patient,) in scope.cursor.execute(_RECORDED, parameters).fetchall())
    return frozenset(found)
