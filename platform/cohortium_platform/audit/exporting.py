"""The log as a folder of files that prove themselves: no database and no program of ours is needed to read them.

Here: writing the folder. Not here: verifying one (`verifying`).

    manifest.json       which log, which places the folder holds, when it was written
    log.ndjson          the entries from the first such place on, one a line, each its canonical JSON
    leaves.txt          the hash of every leaf of the whole log, in hexadecimal, one a line
    checkpoints.ndjson  every checkpoint that was signed, oldest first
    checkpoint.txt      the latest: the one to keep
    key.txt             the public key
    README.md           all this, in words

The folder is written beside its place under another name, and renamed when it is whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from uuid import UUID

from sqlmodel import Session, col, select

from cohortium_platform.audit.canonical import canonical_json
from cohortium_platform.audit.heads import take_head
from cohortium_platform.audit.models import AuditHead
from cohortium_platform.audit.notes import LogSigner
from cohortium_platform.audit.reading import leaves_end, read_leaves, span_of
from cohortium_platform.audit.service import Entry, record_alone
from cohortium_platform.audit.stored import LogBroken
from cohortium_platform.database import Database
from cohortium_platform.errors import BadInput
from cohortium_platform.records.store import sync

__all__ = ["EXPORT_FORMAT", "ExportRequest", "Exported", "export_log"]

EXPORT_FORMAT = "cohortium-audit-log/1"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Write to `folder`, which is not there yet, the entries from a moment to before another; None is no limit. `asked`
    records the export, and is the last entry that a folder without limits holds.
    """

    folder: Path
    asked: Entry
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `missing` counts places whose entry is gone; `broken` says why no new checkpoint was signed."""

    folder: Path
    first: int
    entries: int
    size: int
    checkpoint: str
    missing: int
    broken: str


def export_log(database: Database, tenant_id: UUID, signer: LogSigner, request: ExportRequest) -> Exported:
    """Write the log to a folder. One that is broken is written as it is: verifying the folder shows where.

    Raises `BadInput` when the folder exists or cannot be made.
    """
    folder = request.folder
    if folder.exists() or not folder.absolute().parent.is_dir():
        raise BadInput(f"{folder} exists, or the folder above it does not.", "Name a new folder in one that exists.")
    record_alone(database, tenant_id, request.asked)
    broken = ""
    try:
        take_head(database, tenant_id, signer)
    except LogBroken as failure:
        broken = failure.message
    with database.tenant(tenant_id) as session, _appearing(folder) as unfinished:
        heads = session.exec(select(AuditHead).order_by(col(AuditHead.size))).all()
        size = leaves_end(session) if broken or not heads else heads[-1].size
        whole = request.since is None and request.until is None
        first, end = span_of(session, size, request.since, request.until)
        missing = _write_entries(session, unfinished, size, first, end)
        _write_rest(unfinished, signer, heads, {"first": first, "entries": end - first, "size": size, "whole": whole})
    note = heads[-1].note if heads else ""
    return Exported(folder, first, end - first, size, note, missing, broken)


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder to write to that takes its name when the block ends, and goes when it raises."""
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.unfinished-", dir=folder.absolute().parent))
    try:
        yield unfinished
        for path in unfinished.iterdir():
            sync(path, os.O_RDONLY)
        unfinished.rename(folder)
        sync(folder.absolute().parent, os.O_RDONLY)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _write_entries(session: Session, folder: Path, size: int, first: int, end: int) -> int:
    """Write entries and leaves; an entry or a leaf that is gone leaves an empty line. Returns how many entries are."""
    missing = 0
    with (folder / "log.ndjson").open("wb") as log, (folder / "leaves.txt").open("w", encoding="utf-8") as leaves:
        for leaf in read_leaves(session, 0, size, entries_of=range(first, end)):
            leaves.write(leaf.hash.hex() + "\n")
            if first <= leaf.place < end:
                missing += leaf.entry is None
                log.write((leaf.entry or b"") + b"\n")
    return missing


def _write_rest(folder: Path, signer: LogSigner, heads: Iterable[AuditHead], places: dict[str, int | bool]) -> None:
    written = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = {"format": EXPORT_FORMAT, "origin": signer.origin, "written": written, **places}
    (folder / "manifest.json").write_bytes(canonical_json(manifest) + b"\n")
    (folder / "key.txt").write_text(f"{signer.key}\n", encoding="utf-8")
    last = ""
    with (folder / "checkpoints.ndjson").open("wb") as checkpoints:
        for head in heads:
            at = head.at.astimezone(UTC).isoformat(timespec="seconds")
            checkpoints.write(canonical_json({"at": at, "note": head.note, "size": head.size}) + b"\n")
            last = head.note
    (folder / "checkpoint.txt").write_text(last, encoding="utf-8")
    readme = files("cohortium_platform.audit").joinpath("export_readme.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text(readme, encoding="utf-8")
