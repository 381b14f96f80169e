"""The demonstration's national opt-out list: everyone but one in a hundred is cleared, for a year from the start.

Not here: taking in a list of NHS numbers as the national service gives it back (`cohortium_auth.opt_outs`).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from sqlmodel import Session

from cohortium_auth.opt_outs import ClearedList, cleared_list
from cohortium_platform.database import tenant_of
from cohortium_platform.records import RecordStore, RecordTable, files, snapshot_current
from cohortium_platform.records.store import sha256_of, sync

__all__ = ["clear_demo_patients"]

_IN_DATE = timedelta(days=365)
_ONE_IN = 100
_CLEARED = "SELECT DISTINCT patient_id FROM read_parquet($files) WHERE patient_id % $one_in <> 0 ORDER BY ALL"


def clear_demo_patients(session: Session, store: RecordStore, by: str) -> None:
    """Write a list of the patients that are loaded, unless one is in date."""
    now = datetime.now(UTC)
    if cleared_list(session, now.date()) is not None:
        return
    found = files(session, snapshot_current(session), tables=[RecordTable.PATIENTS])
    with duckdb.connect() as connection:
        parameters = {"files": [str(store.path(file.path)) for file in found], "one_in": _ONE_IN}
        people = connection.execute(_CLEARED, parameters).fetchall()
    store.opt_outs.mkdir(mode=0o700, parents=True, exist_ok=True)
    list_id = uuid4()
    path = store.opt_outs / f"cleared-{list_id.hex}.parquet"
    pq.write_table(pa.table({"patient_id": pa.array([patient for (patient,) in people], pa.int64())}), path)
    sync(path, os.O_RDONLY)
    session.add(
        ClearedList(
            id=list_id,
            tenant_id=tenant_of(session),
            as_at=now.date(),
            expires=now.date() + _IN_DATE,
            path=path.name,
            sha256=sha256_of(path),
            people=len(people),
            by=by,
            loaded=now,
        )
    )
    session.flush()
