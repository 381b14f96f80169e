"""One tenant's record store: a folder of immutable Parquet files, and a place to work in.

Here: writing a file under a new name, finding it again, private folders for work in progress. Not here: which files
count (`catalogue`) and which may go (`sweep`).

A handle knows one tenant and opens nothing outside that tenant's folder. A file is written once, flushed to disk before
its name is given out, and never changed; until the catalogue names it, it does not exist for anyone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.errors import CohortiumError
from cohortium_platform.records.schema import ROW_GROUP_ROWS, SCHEMAS, RecordTable, TableSchema

__all__ = ["EXTRACT_SOURCES", "RecordStore", "StoredFile", "WrittenFile", "safe_name", "sync"]

EXTRACT_SOURCES = "sources.json"
"""Which record files an extract was made from: a JSON list of their places."""

_RECORDS = "records"
_WORK = "work"
_EXTRACTS = "extracts"
_OPT_OUTS = "opt-outs"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A new file that no catalogue names yet. `path` is relative to the tenant's folder; `sha256` is of its bytes."""

    practice: str
    source: str
    table: RecordTable
    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file or a work folder as it lies on disk, whether or not a catalogue names it."""

    path: str
    bytes: int
    modified: datetime


class RecordStore:
    """The record store of one tenant, below `root`, which holds a folder for each tenant."""

    def __init__(self, root: Path, tenant_id: UUID) -> None:
        if not isinstance(tenant_id, UUID):
            raise TypeError("A record store belongs to one tenant, named by its UUID.")
        self.tenant_id = tenant_id
        self._folder = root / str(tenant_id)

    def path(self, relative: str) -> Path:
        """Where a file of the catalogue lies. Raises `CohortiumError` on a name that leads out of the folder."""
        parts = relative.split("/")
        if parts[0] != _RECORDS or any(part in {"", ".", ".."} for part in parts):
            raise CohortiumError("The catalogue names a file that is not in this tenant's record store.")
        return self._folder.joinpath(*parts)

    def write(self, practice: str, source: str, table: RecordTable, rows: pa.Table) -> WrittenFile:
        """Write sorted rows of one table as a new file. Columns and types must be those of the table's schema."""
        relative = "/".join([_RECORDS, safe_name(practice), safe_name(source), f"{table}-{uuid4().hex}.parquet"])
        path = self.path(relative)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_parquet(path, SCHEMAS[table], rows)
        sync(path, os.O_RDONLY)
        sync(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return WrittenFile(practice, source, table, relative, rows.num_rows, path.stat().st_size, sha256_of(path))

    def is_intact(self, relative: str, size: int, sha256: str) -> bool:
        """Tell whether a file of the catalogue is there with the bytes that were written."""
        path = self.path(relative)
        try:
            return path.stat().st_size == size and sha256_of(path) == sha256
        except OSError:
            return False

    @property
    def extracts(self) -> Path:
        """Where evaluations keep what they look at again and again; nothing stands on it."""
        return self._folder / _EXTRACTS

    @property
    def opt_outs(self) -> Path:
        """Where lists of people cleared of opt-outs lie, by pseudonym."""
        return self._folder / _OPT_OUTS

    def extracts_made(self) -> Iterator[tuple[StoredFile, frozenset[str]]]:
        """Every extract on disk, and the record files that it was made from, as the catalogue names them; none when a
        crash left it unfinished.
        """
        for folder in sorted((*self.extracts.glob("*/*"), *self.extracts.glob(".*"))):
            stored = _stored(folder, folder.relative_to(self.extracts).as_posix())
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            try:
                places = json.loads((folder / EXTRACT_SOURCES).read_bytes())
            except FileNotFoundError:
                places = []
            named = frozenset(Path(place).relative_to(self._folder).as_posix() for place in places)
            yield StoredFile(stored.path, size, stored.modified), named

    def discard_extract(self, name: str) -> None:
        """Remove an extract."""
        shutil.rmtree(self.extracts / name, ignore_errors=True)

    def discard_extracts(self) -> bool:
        """Remove every extract; tells whether there was one."""
        found = self.extracts.is_dir()
        shutil.rmtree(self.extracts, ignore_errors=True)
        return found

    def discard(self, relative: str) -> None:
        """Remove a file that no catalogue names; nothing happens when it is gone."""
        self.path(relative).unlink(missing_ok=True)

    @contextmanager
    def working(self) -> Iterator[Path]:
        """A private folder that is removed at the end of the block; what a crash leaves is swept later."""
        folder = self._folder / _WORK / uuid4().hex
        folder.mkdir(mode=0o700, parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def files(self) -> Iterator[StoredFile]:
        """Every record file on disk."""
        for path in sorted((self._folder / _RECORDS).rglob("*.parquet")):
            yield _stored(path, path.relative_to(self._folder).as_posix())

    def work_folders(self) -> Iterator[StoredFile]:
        """Every work folder on disk; its time is that of the newest thing in it."""
        for folder in sorted((self._folder / _WORK).glob("*")):
            inside = [_stored(path, "") for path in folder.rglob("*")]
            itself = _stored(folder, folder.name)
            newest = max([itself.modified, *(found.modified for found in inside)])
            yield StoredFile(folder.name, sum(found.bytes for found in inside), newest)

    def discard_work(self, name: str) -> None:
        """Remove a work folder that a crash left."""
        shutil.rmtree(self._folder / _WORK / safe_name(name), ignore_errors=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_parquet(path: Path, schema: TableSchema, rows: pa.Table) -> None:
    """Write with no Arrow schema beside Parquet's own, so that text is text for every reader; with statistics of the
    columns that rows are sorted by, which are those that a reader can skip groups by.

    Arrow opens the file itself: to a file of Python's every small write would wait for the interpreter's lock.
    """
    if rows.column_names != schema.columns.names:
        raise CohortiumError(f"A record file would have the columns {', '.join(rows.column_names)}.")
    pq.write_table(
        rows,
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        store_schema=False,
        write_statistics=list(schema.order),
    )


def safe_name(name: str) -> str:
    """A practice or source as the name of a folder. ODS codes are opaque: what is no plain word is hashed."""
    return name if _NAME.fullmatch(name) else "x-" + hashlib.sha256(name.encode()).hexdigest()[:32]


def sync(path: Path, flags: int) -> None:
    """Make a file's content, or the names in a folder, last through a power cut."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stored(path: Path, name: str) -> StoredFile:
    try:
        status = path.stat()
    except FileNotFoundError:  # a load that ends at this moment removes its folder
        return StoredFile(name, 0, datetime.now(UTC))
    return StoredFile(name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
