"""Putting one patient's results in place of those that count, for every page at once.

The practice's files are written anew with that patient's rows exchanged, and its counts with them, so that lists,
tiles, patients and rates agree the moment the caller's transaction commits. Not here: working the rows out
(`engine.entered`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import update
from sqlmodel import Session, col

from cohortium_platform.database import tenant_of
from cohortium_platform.results.former import Former
from cohortium_platform.results.models import Evaluation, ResultFileRow
from cohortium_platform.results.store import (
    Evaluated,
    ResultKind,
    ResultStore,
    counts_table,
    list_table,
    sorted_list,
)

__all__ = ["replace_patient"]

_OF_PRACTICE = "SELECT * FROM read_parquet($file, hive_partitioning = false) WHERE practice = $practice"


def replace_patient(
    session: Session, store: ResultStore, former: Former, evaluated: Evaluated, patient_id: int
) -> Evaluation:
    """Make what was found of one patient count, in the caller's transaction; what the practice's files say of everyone
    else stays. `evaluated` has rows of this patient alone, at the newest index date.

    Two who do so for one practice must not do it at once: take the lock of the catalogue of records first.
    """
    practice, day = next(iter(evaluated.practices)), max(evaluated.index_dates)
    stood = _stood(store, former, practice)
    results = _exchanged(stood[ResultKind.RESULTS], evaluated.results, patient_id)
    results = results.sort_by([(key, "ascending") for key in ("practice", "patient_id", "indicator")])
    listed = sorted_list(_exchanged(stood[ResultKind.LIST], list_table(evaluated), patient_id))
    earlier = stood[ResultKind.COUNTS].filter(pc.less(stood[ResultKind.COUNTS].column("index_date"), day))
    counts = counts_table(results, evaluated.windowed)
    counts = pa.concat_tables([counts, earlier.select(counts.column_names).cast(counts.schema)])
    keys = ("practice", "indicator", "index_date", "status", "closed")
    tables = {
        ResultKind.RESULTS: results,
        ResultKind.LIST: listed,
        ResultKind.COUNTS: counts.sort_by([(key, "ascending") for key in keys]),
    }
    return _commit(session, store, former, evaluated, tables)


def _stood(store: ResultStore, former: Former, practice: str) -> Mapping[ResultKind, pa.Table]:
    """Read what the practice's files hold now."""
    found = {}
    with duckdb.connect() as connection:
        for kind in (ResultKind.RESULTS, ResultKind.LIST, ResultKind.COUNTS):
            path = next(path for name, path, *_ in former.files[kind] if name == practice)
            asked = {"file": str(store.path(path)), "practice": practice}
            found[kind] = connection.sql(_OF_PRACTICE, params=asked).to_arrow_table()
    return found


def _exchanged(stood: pa.Table, rows: pa.Table, patient_id: int) -> pa.Table:
    others = stood.filter(pc.not_equal(stood.column("patient_id"), patient_id))
    return pa.concat_tables([others, rows.select(others.column_names).cast(others.schema)])


def _commit(
    session: Session, store: ResultStore, former: Former, evaluated: Evaluated, tables: Mapping[ResultKind, pa.Table]
) -> Evaluation:
    """Write the files and name them in the catalogue; history goes on as it is."""
    practice, now, before = next(iter(evaluated.practices)), dt.datetime.now(dt.UTC), former.evaluation
    evaluation = Evaluation(
        tenant_id=tenant_of(session),
        pack=before.pack,
        version=before.version,
        definition_hash=before.definition_hash,
        parameters=before.parameters,
        indicators=before.indicators,
        stratifiers=before.stratifiers,
        snapshot=evaluated.snapshot,
        index_date=before.index_date,
        index_dates=before.index_dates,
        engine=evaluated.engine,
        started=evaluated.started,
        finished=before.finished,  # that of the whole: by it a pack's exchange finds what it took the place of
    )
    session.add(evaluation)
    session.flush()
    history = [file for file in former.files.get(ResultKind.HISTORY, ()) if file[0] == practice]
    listed = [(ResultKind.HISTORY, path, digest, rows) for _, path, digest, rows in history]
    for kind, rows in tables.items():
        path, digest = store.write(before.pack, kind, rows)
        listed.append((kind, path, digest, rows.num_rows))
    session.connection().execute(
        update(ResultFileRow)
        .where(
            col(ResultFileRow.pack) == before.pack,
            col(ResultFileRow.practice) == practice,
            col(ResultFileRow.superseded).is_(None),
        )
        .values(superseded=now)
    )
    session.add_all(
        ResultFileRow(
            tenant_id=tenant_of(session),
            evaluation_id=evaluation.id,
            practice=practice,
            kind=kind,
            pack=before.pack,
            path=path,
            rows=rows,
            sha256=digest,
        )
        for kind, path, digest, rows in listed
    )
    session.flush()
    return evaluation
