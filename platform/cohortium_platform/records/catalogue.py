"""The catalogue of a tenant's record store: what there is in a snapshot, and making the next one.

Here: reading the catalogue, and `publish`, the only way in which records become visible. Not here: the files' content,
and what a load is (`cohortium_platform.ingest`).

Everything works in the caller's transaction of the tenant; snapshot 0 is the empty record store every tenant begins
with. What the catalogue does not name does not exist.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, text
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import Conflict
from cohortium_platform.records.models import RecordFileRow, RecordSource, Snapshot
from cohortium_platform.records.schema import RecordTable
from cohortium_platform.records.store import WrittenFile

__all__ = [
    "Publication",
    "RecordFile",
    "Replacement",
    "SourceState",
    "files",
    "lock",
    "publish",
    "records_to",
    "snapshot_current",
    "sources",
]


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A file of a snapshot. `path` is for `RecordStore.path`; `sha256` is of its bytes, in hexadecimal."""

    practice: str
    source: str
    table: RecordTable
    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SourceState:
    """What a practice has of one source: the date its records run to, and the tables that were loaded.

    A table that is loaded and holds no rows says that there are none; one that is not loaded says nothing.
    """

    practice: str
    source: str
    records_to: date
    tables: frozenset[RecordTable]
    load_id: UUID


@dataclass(frozen=True, slots=True)
class Replacement:
    """New files for one practice and source. They take the place of all that it had, or of nothing."""

    practice: str
    source: str
    records_to: date
    files: Sequence[WrittenFile]


@dataclass(frozen=True, slots=True)
class Publication:
    """What `publish` did: the snapshot it made, or None when every byte was there already; and files it had no use
    for, because an equal one is in the catalogue.
    """

    snapshot: int | None
    unused: Sequence[str] = field(default=())


def snapshot_current(session: Session) -> int:
    """The newest snapshot's number; 0 before the first load."""
    return session.exec(select(func.max(Snapshot.number))).one() or 0


def files(
    session: Session,
    snapshot: int,
    practices: Collection[str] | None = None,
    tables: Collection[RecordTable] | None = None,
) -> Sequence[RecordFile]:
    """Files of a snapshot, of all practices and tables or of those named; in the order of practice, source, table."""
    statement = select(RecordFileRow).where(*_in_snapshot(RecordFileRow, snapshot))
    if practices is not None:
        statement = statement.where(col(RecordFileRow.practice).in_(practices))
    if tables is not None:
        statement = statement.where(col(RecordFileRow.record_table).in_(tables))
    rows = session.exec(statement.order_by("practice", "source", "record_table", "path"))
    return [_record_file(row) for row in rows]


def sources(session: Session, snapshot: int, practices: Collection[str] | None = None) -> Sequence[SourceState]:
    """What each practice has of each source in a snapshot, in the order of practice and source."""
    loaded: dict[tuple[str, str], set[RecordTable]] = {}
    for file in files(session, snapshot, practices):
        loaded.setdefault((file.practice, file.source), set()).add(file.table)
    statement = select(RecordSource).where(*_in_snapshot(RecordSource, snapshot))
    if practices is not None:
        statement = statement.where(col(RecordSource.practice).in_(practices))
    return [
        SourceState(
            row.practice,
            row.source,
            row.records_to,
            frozenset(loaded.get((row.practice, row.source), ())),
            row.load_id,
        )
        for row in session.exec(statement.order_by("practice", "source"))
    ]


def records_to(session: Session, snapshot: int, practices: Collection[str]) -> Mapping[tuple[str, str], date]:
    """The day that the records of these practices run to, by practice and source: `sources` without the files."""
    statement = select(col(RecordSource.practice), col(RecordSource.source), col(RecordSource.records_to)).where(
        *_in_snapshot(RecordSource, snapshot), col(RecordSource.practice).in_(practices)
    )
    return {(practice, source): day for practice, source, day in session.exec(statement)}


def lock(session: Session) -> None:
    """Let one transaction of the tenant at a time change its catalogue; the lock goes with the transaction."""
    statement = text("SELECT pg_advisory_xact_lock(hashtextextended('records ' || :tenant, 0))")
    session.connection().execute(statement, {"tenant": str(tenant_of(session))})


def publish(
    session: Session,
    replacements: Iterable[Replacement],
    *,
    load_id: UUID,
    expected: Mapping[tuple[str, str], UUID | None],
) -> Publication:
    """Make the next snapshot, in which each replacement's files stand for all its practice had of that source.

    Files equal to those in the catalogue are not exchanged; when nothing differs, no snapshot is made. `expected` names
    the load that the caller saw for each practice and source: raises `Conflict` when another came in between. The
    load's own row must be in the session already.
    """
    lock(session)
    before = snapshot_current(session)
    replacements = list(replacements)
    practices = {replacement.practice for replacement in replacements}
    states = {(state.practice, state.source): state for state in sources(session, before, practices)}
    _check_expected(states, replacements, expected)
    present: dict[tuple[str, str], list[RecordFile]] = {}
    for file in files(session, before, practices):
        present.setdefault((file.practice, file.source), []).append(file)
    changes = [_Change.between(present, states, replacement) for replacement in replacements]
    unused = [path for change in changes for path in change.unused]
    if not any(change.is_real for change in changes):
        return Publication(None, unused)
    session.add(Snapshot(tenant_id=tenant_of(session), number=before + 1))
    session.flush()
    for change in changes:
        if change.is_real:
            _apply(session, change, before + 1, load_id)
    session.flush()
    return Publication(before + 1, unused)


@dataclass(frozen=True, slots=True)
class _Change:
    replacement: Replacement
    added: Sequence[WrittenFile]
    retired: Sequence[str]
    unused: Sequence[str]
    is_real: bool

    @staticmethod
    def between(
        present: Mapping[tuple[str, str], Sequence[RecordFile]],
        states: Mapping[tuple[str, str], SourceState],
        replacement: Replacement,
    ) -> _Change:
        key = (replacement.practice, replacement.source)
        old = {(file.table, file.sha256): file.path for file in present.get(key, ())}
        new = {(file.table, file.sha256) for file in replacement.files}
        added = [file for file in replacement.files if (file.table, file.sha256) not in old]
        unused = [file.path for file in replacement.files if (file.table, file.sha256) in old]
        retired = [path for content, path in old.items() if content not in new]
        state = states.get(key)
        is_real = bool(added or retired) or state is None or state.records_to != replacement.records_to
        return _Change(replacement, added, retired, unused, is_real)


def _check_expected(
    states: Mapping[tuple[str, str], SourceState],
    replacements: Sequence[Replacement],
    expected: Mapping[tuple[str, str], UUID | None],
) -> None:
    for replacement in replacements:
        key = (replacement.practice, replacement.source)
        state = states.get(key)
        if (state.load_id if state else None) != expected.get(key):
            raise Conflict(
                f"Another load of practice {key[0]}, source {key[1]}, was finished in the meantime.",
                "Nothing was changed. Load this delivery again if it is the newer one.",
            )


def _apply(session: Session, change: _Change, snapshot: int, load_id: UUID) -> None:
    tenant, replacement = tenant_of(session), change.replacement
    retiring = select(RecordFileRow).where(
        col(RecordFileRow.to_snapshot).is_(None), col(RecordFileRow.path).in_(change.retired)
    )
    for row in session.exec(retiring):
        row.to_snapshot = snapshot
    ending = select(RecordSource).where(
        RecordSource.practice == replacement.practice,
        RecordSource.source == replacement.source,
        col(RecordSource.to_snapshot).is_(None),
    )
    for source in session.exec(ending):
        source.to_snapshot = snapshot
    session.add(
        RecordSource(
            tenant_id=tenant,
            practice=replacement.practice,
            source=replacement.source,
            from_snapshot=snapshot,
            records_to=replacement.records_to,
            load_id=load_id,
        )
    )
    session.add_all(_row(tenant, file, snapshot) for file in change.added)


def _row(tenant: UUID, file: WrittenFile, snapshot: int) -> RecordFileRow:
    return RecordFileRow(
        tenant_id=tenant,
        practice=file.practice,
        source=file.source,
        record_table=file.table,
        path=file.path,
        sha256=file.sha256,
        rows=file.rows,
        bytes=file.bytes,
        from_snapshot=snapshot,
    )


def _record_file(row: RecordFileRow) -> RecordFile:
    return RecordFile(
        row.practice, row.source, RecordTable(row.record_table), row.path, row.rows, row.bytes, row.sha256
    )


def _in_snapshot(model: type[RecordFileRow | RecordSource], snapshot: int) -> list[ColumnElement[bool]]:
    ends = col(model.to_snapshot)
    return [col(model.from_snapshot) <= snapshot, or_(ends.is_(None), ends > snapshot)]
