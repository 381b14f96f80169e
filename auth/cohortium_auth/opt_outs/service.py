"""Who is left out of uses other than direct care: by a code in the record, or by not being on the cleared list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb
from sqlmodel import Session, col, select

from cohortium_auth.opt_outs.models import ClearedList
from cohortium_platform.errors import Forbidden
from cohortium_platform.records import RecordStore, RecordTable, files

__all__ = ["DISSENT", "WITHDRAWAL", "cleared_list", "is_current", "type_1_dissent", "without_opted_out"]

DISSENT = 827241000000103
"""SNOMED CT: dissent from secondary use of general practitioner patient identifiable data (type 1)."""
WITHDRAWAL = 827261000000102
"""SNOMED CT: that dissent withdrawn."""

# The latest dated code wins; of those of one day the one that the record gives last. A code of a day to come says
# nothing yet. Any practice's record counts: what was said at a former one holds until something later is said.
_TYPE_1 = """
    SELECT patient_id FROM read_parquet($files) WHERE code IN ($dissent, $withdrawal) AND date <= $on
    GROUP BY patient_id HAVING arg_max(code, (date, entry)) = $dissent
"""
_CLEARED = """
    SELECT patient_id FROM (SELECT unnest($members::BIGINT[]) AS patient_id)
    SEMI JOIN read_parquet($cleared) USING (patient_id)
"""


def cleared_list(session: Session, on: date) -> ClearedList | None:
    """The newest list that is in date on a day; none when the last has expired or none was ever loaded."""
    statement = select(ClearedList).where(col(ClearedList.as_at) <= on, col(ClearedList.expires) >= on)
    order = (col(ClearedList.as_at).desc(), col(ClearedList.loaded).desc())
    return session.exec(statement.order_by(*order)).first()


def is_current(session: Session, on: date) -> bool:
    """Whether there is a list in date, so that uses other than direct care may go on."""
    return cleared_list(session, on) is not None


def type_1_dissent(
    session: Session, store: RecordStore, cursor: duckdb.DuckDBPyConnection, *, snapshot: int, on: date
) -> frozenset[int]:
    """Everyone of the tenant whose record says, as of a day, that it must not leave the practice but for care."""
    paths = [str(store.path(file.path)) for file in files(session, snapshot, tables=[RecordTable.EVENTS])]
    if not paths:
        return frozenset()
    parameters = {"files": paths, "dissent": DISSENT, "withdrawal": WITHDRAWAL, "on": on}
    return frozenset(patient for (patient,) in cursor.execute(_TYPE_1, parameters).fetchall())


def without_opted_out(  # noqa: PLR0913 - whose records, as of when
    session: Session,
    store: RecordStore,
    cursor: duckdb.DuckDBPyConnection,
    members: Sequence[int],
    *,
    snapshot: int,
    on: date,
) -> frozenset[int]:
    """Those of `members` who are on the cleared list and have not dissented. Raises `Forbidden` when no list is in
    date: nobody is then cleared.
    """
    current = cleared_list(session, on)
    if current is None:
        raise Forbidden(
            "There is no national opt-out list in date, so data is used for direct care only.",
            "An IG officer must load a new one.",
        )
    parameters = {"members": list(members), "cleared": str(store.opt_outs / current.path)}
    cleared = {patient for (patient,) in cursor.execute(_CLEARED, parameters).fetchall()}
    return frozenset(cleared - type_1_dissent(session, store, cursor, snapshot=snapshot, on=on))
