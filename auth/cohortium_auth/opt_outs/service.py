"""Who is left out of uses other than direct care: by a code in the record, or by not being on the cleared list.

Not here: reading the codes (`type_1`), taking in a list (`loading`), asking for one (`asking`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb
import pyarrow as pa
from sqlmodel import Session, col, select

from cohortium_auth.opt_outs.models import ClearedList
from cohortium_auth.opt_outs.type_1 import type_1_dissent
from cohortium_platform.errors import Forbidden, Unavailable
from cohortium_platform.records import RecordStore

__all__ = ["cleared_list", "is_current", "newest_list", "without_opted_out"]

_MEMBERS = "opt_out_members"
"""Those asked about, as a table of the cursor for one query: as a parameter, they would cost more than all the rest."""
_CLEARED = f"SELECT patient_id FROM {_MEMBERS} SEMI JOIN read_parquet($cleared) USING (patient_id)"  # noqa: S608


def newest_list(session: Session, on: date) -> ClearedList | None:
    """The last answer that there is on a day, in date or not; of two as at one day, the one loaded later."""
    statement = select(ClearedList).where(col(ClearedList.as_at) <= on)
    order = (col(ClearedList.as_at).desc(), col(ClearedList.loaded).desc())
    return session.exec(statement.order_by(*order)).first()


def cleared_list(session: Session, on: date) -> ClearedList | None:
    """The list that counts on a day: the newest, when it is in date. An older one never counts again, though it may
    last longer: somebody may have opted out since.
    """
    newest = newest_list(session, on)
    return newest if newest is not None and newest.expires >= on else None


def is_current(session: Session, on: date) -> bool:
    """Whether there is a list in date, so that uses other than direct care may go on."""
    return cleared_list(session, on) is not None


def without_opted_out(  # noqa: PLR0913 - whose records, as of when
    session: Session,
    store: RecordStore,
    cursor: duckdb.DuckDBPyConnection,
    members: Sequence[int],
    *,
    snapshot: int,
    on: date,
) -> frozenset[int]:
    """Those of `members` who are on the cleared list and have not dissented.

    Raises `Forbidden` when no list is in date, so that nobody is cleared; `Unavailable` when its file cannot be read.
    """
    current = cleared_list(session, on)
    if current is None:
        raise Forbidden(
            "There is no national opt-out list in date, so data is used for direct care only.",
            "An IG officer must load a new one.",
        )
    cursor.register(_MEMBERS, pa.table({"patient_id": pa.array(members, pa.int64())}))
    try:
        found = cursor.execute(_CLEARED, {"cleared": str(store.opt_outs / current.path)}).fetchall()
    except duckdb.IOException:
        raise Unavailable("The national opt-out list cannot be read.", "Load it again.") from None
    finally:
        cursor.unregister(_MEMBERS)
    cleared = {patient for (patient,) in found}
    return frozenset(cleared - type_1_dissent(session, store, cursor, snapshot=snapshot, on=on))
