"""Removing what no kept snapshot names.

Here: letting snapshots go, and sweeping files and work folders that a crash or a release left. Not here: erasing a
patient, which rewrites files.

Order is what makes it safe. A load writes files, then names them: so the sweep looks at the disk first and reads the
catalogue after, and spares what is younger than any load may last. A release takes rows out of the catalogue, and only
a later sweep removes their files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, exists, func, or_, update
from sqlmodel import Session, col, select

from cohortium_platform.database import Database
from cohortium_platform.records.catalogue import lock, snapshot_current
from cohortium_platform.records.models import RecordFileRow, Snapshot
from cohortium_platform.records.store import RecordStore

__all__ = ["UNNAMED_AGE", "Swept", "release_snapshots", "sweep"]

UNNAMED_AGE = timedelta(days=1)
"""How long a file may lie unnamed: longer than any load lasts."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed."""

    files: int
    work_folders: int
    extracts: int
    bytes: int


def sweep(database: Database, tenant_id: UUID, store: RecordStore, *, unnamed_for: timedelta = UNNAMED_AGE) -> Swept:
    """Remove files that the catalogue does not name, work folders, and extracts of files that are not in the newest
    snapshot, all older than `unnamed_for`.
    """
    if store.tenant_id != tenant_id:
        raise ValueError("The record store is another tenant's.")
    before = datetime.now(UTC) - unnamed_for
    old_files = [file for file in store.files() if file.modified < before]
    old_work = [folder for folder in store.work_folders() if folder.modified < before]
    old_extracts = [made for made in store.extracts_made() if made[0].modified < before]
    with database.tenant(tenant_id) as session:
        named = set(session.exec(select(RecordFileRow.path)))
        current = set(session.exec(select(RecordFileRow.path).where(col(RecordFileRow.to_snapshot).is_(None))))
    unnamed = [file for file in old_files if file.path not in named]
    for file in unnamed:
        store.discard(file.path)
    for folder in old_work:
        store.discard_work(folder.path)
    stale = [extract for extract, sources in old_extracts if not sources or not sources <= current]
    for extract in stale:
        store.discard_extract(extract.path)
    removed = [*unnamed, *old_work, *stale]
    return Swept(len(unnamed), len(old_work), len(stale), sum(thing.bytes for thing in removed))


def release_snapshots(session: Session, before: datetime) -> int:
    """Let snapshots older than `before` go, but never the newest; returns how many files left the catalogue by it.

    Their results can no longer be reproduced. The files are removed by the next sweep that finds them old enough.
    """
    lock(session)
    newest = snapshot_current(session)
    session.connection().execute(
        update(Snapshot).where(col(Snapshot.taken) < before, col(Snapshot.number) < newest).values(kept=False)
    )
    kept = exists().where(
        col(Snapshot.kept),
        col(Snapshot.number) >= col(RecordFileRow.from_snapshot),
        or_(col(RecordFileRow.to_snapshot).is_(None), col(Snapshot.number) < col(RecordFileRow.to_snapshot)),
    )
    count = select(func.count()).select_from(RecordFileRow).where(~kept)
    released = session.exec(count).one()
    session.connection().execute(delete(RecordFileRow).where(~kept))
    session.expire_all()
    return released
