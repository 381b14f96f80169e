"""Entries made in Cohortium, laid over a practice's records as files of the source `cohortium`.

Here: adding and withdrawing entries in the caller's transaction, and folding their many small files into one. Not here:
who entered what and why (care activity of the tenants layer), and what follows for results.

An entry is in the next snapshot the moment it is made, so that every reader of records (each engine, an explanation, a
timeline, a preview, a bundle) finds it without knowing of entries. A load replaces rows of its own source alone and
leaves these where they are. `entry` numbers a patient's entries and is never used twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import func
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.records.catalogue import (
    Publication,
    RecordFile,
    Replacement,
    SourceState,
    files,
    lock,
    publish,
    snapshot_current,
    sources,
)
from cohortium_platform.records.models import Load, RecordFileRow
from cohortium_platform.records.schema import COHORTIUM, SCHEMAS, RecordTable
from cohortium_platform.records.store import RecordStore, WrittenFile

__all__ = ["EntryRow", "LaidOver", "entered_since", "fold_entries", "lay_over", "unfolded"]

_SCHEMA = SCHEMAS[RecordTable.EVENTS]
_ORDER = [(column, "ascending") for column in _SCHEMA.order]


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry: whose, of which day, and what."""

    patient_id: int
    entry: int
    date: dt.date
    code: int
    value: float | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class LaidOver:
    """The snapshot in which entries stand, and the files written for it: to be removed should nothing come of it."""

    snapshot: int
    written: Sequence[str]


def lay_over(  # noqa: PLR0913 - where, what is added and taken away, by whom
    session: Session,
    store: RecordStore,
    practice: str,
    added: Sequence[EntryRow],
    withdrawn: Collection[tuple[int, int]] = (),
    *,
    actor: str,
) -> LaidOver:
    """Make the next snapshot, with entries added to a practice's and others (patient, entry) taken away. Others who
    change records of the tenant wait until the caller's transaction ends.
    """
    lock(session)
    before = snapshot_current(session)
    present = files(session, before, [practice])
    kept, written = _without(store, [file for file in present if file.source == COHORTIUM], set(withdrawn))
    if added:
        written.append(store.write(practice, COHORTIUM, RecordTable.EVENTS, _table(practice, added)))
    if not written and kept:
        return LaidOver(before, [])
    if not (written or kept):  # a practice without any entry still has the table, and it is empty
        written.append(store.write(practice, COHORTIUM, RecordTable.EVENTS, _table(practice, [])))
    done = _published(session, practice, [*kept, *written], [row.date for row in added], actor)
    unused = {file.path for file in written}.intersection(done.unused)  # what stays as it was is among those named, too
    for path in unused:
        store.discard(path)
    return LaidOver(done.snapshot or before, [file.path for file in written if file.path not in unused])


def fold_entries(session: Session, store: RecordStore, practice: str, *, actor: str) -> LaidOver:
    """Put a practice's entries into one file. Nothing changes for any reader but the number of files it opens."""
    lock(session)
    before = snapshot_current(session)
    present = [file for file in files(session, before, [practice]) if file.source == COHORTIUM]
    if len(present) <= 1:
        return LaidOver(before, [])
    rows = pa.concat_tables([_read(store, file) for file in present]).sort_by(_ORDER)
    written = store.write(practice, COHORTIUM, RecordTable.EVENTS, rows)
    done = _published(session, practice, [written], [], actor)
    return LaidOver(done.snapshot or before, [written.path])


def unfolded(session: Session, *, more_than: int = 1) -> Sequence[str]:
    """Practices whose entries lie in more than so many files."""
    statement = (
        select(RecordFileRow.practice)
        .where(RecordFileRow.source == COHORTIUM, col(RecordFileRow.to_snapshot).is_(None))
        .group_by(RecordFileRow.practice)
        .having(func.count() > more_than)
        .order_by(RecordFileRow.practice)
    )
    return session.exec(statement).all()


def entered_since(
    session: Session, store: RecordStore, since: int, practices: Collection[str]
) -> Iterator[tuple[str, int]]:
    """Practice and patient of every entry that stands in files made after a snapshot."""
    statement = select(RecordFileRow.practice, RecordFileRow.path).where(
        RecordFileRow.source == COHORTIUM,
        col(RecordFileRow.from_snapshot) > since,
        col(RecordFileRow.to_snapshot).is_(None),
        col(RecordFileRow.practice).in_(practices),
    )
    found = {
        (practice, patient)
        for practice, path in session.exec(statement)
        for patient in pq.read_table(store.path(path), columns=["patient_id"]).column(0).to_pylist()
    }
    yield from sorted(found)


def _without(
    store: RecordStore, present: Sequence[RecordFile], withdrawn: set[tuple[int, int]]
) -> tuple[list[WrittenFile], list[WrittenFile]]:
    """Give the files that stay as they are, and new ones for those that held what is withdrawn."""
    kept, written = [], []
    for file in present:
        rows = _read(store, file) if withdrawn else None
        going = [] if rows is None else [key in withdrawn for key in _keys(rows)]
        if rows is None or not any(going):
            kept.append(
                WrittenFile(file.practice, file.source, file.table, file.path, file.rows, file.bytes, file.sha256)
            )
        elif not all(going):
            staying = rows.filter(pc.invert(pa.array(going)))
            written.append(store.write(file.practice, COHORTIUM, RecordTable.EVENTS, staying))
    return kept, written


def _published(
    session: Session, practice: str, listed: Sequence[WrittenFile], days: Sequence[dt.date], actor: str
) -> Publication:
    state = _state(session, practice)
    load_id = _load(session, actor) if state is None else state.load_id
    until = max([*days, *([] if state is None else [state.records_to])], default=dt.datetime.now(dt.UTC).date())
    expected = {(practice, COHORTIUM): None if state is None else load_id}
    replacement = Replacement(practice, COHORTIUM, until, listed)
    return publish(session, [replacement], load_id=load_id, expected=expected)


def _state(session: Session, practice: str) -> SourceState | None:
    found = sources(session, snapshot_current(session), [practice])
    return next((state for state in found if state.source == COHORTIUM), None)


def _load(session: Session, actor: str) -> UUID:
    """The row that a source of records goes back to: the first entry of a practice begins its source."""
    load = Load(
        tenant_id=tenant_of(session),
        started=dt.datetime.now(dt.UTC),
        importer=COHORTIUM,
        source=COHORTIUM,
        delivery="entries made in Cohortium",
        actor=actor,
        quality={},
    )
    session.add(load)
    session.flush()
    return load.id


def _table(practice: str, rows: Sequence[EntryRow]) -> pa.Table:
    listed = [
        {
            "patient_id": row.patient_id,
            "practice": practice,
            "date": row.date,
            "code": row.code,
            "value": row.value,
            "unit": row.unit,
            "episode": None,
            "source": COHORTIUM,
            "entry": row.entry,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(listed, _SCHEMA.columns).sort_by(_ORDER)


def _read(store: RecordStore, file: RecordFile) -> pa.Table:
    return pq.read_table(store.path(file.path)).select(_SCHEMA.columns.names).cast(_SCHEMA.columns)


def _keys(rows: pa.Table) -> list[tuple[int, int]]:
    columns = (cast("list[int]", rows.column(name).to_pylist()) for name in ("patient_id", "entry"))
    return list(zip(*columns, strict=True))
