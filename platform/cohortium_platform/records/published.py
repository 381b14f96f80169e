"""A tenant's records as Delta Lake tables, for readers that are not Cohortium: one table for each table of records.

Here: the tables' logs, and the one file that says which versions make a snapshot. Not here: when they are brought up
(`tasks`), and the records themselves, which are not copied: a published file is another name for the same bytes.

A version of a table is one file of its log, which appears whole or not at all: a reader sees whole snapshots of a
table only. Someone who reads several tables takes their versions from `snapshot.json`, so that all are of one snapshot.
Format: https://github.com/delta-io/delta/blob/master/PROTOCOL.md, reader version 1, writer version 2.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid4, uuid5

import pyarrow as pa

from cohortium_platform.errors import CohortiumError
from cohortium_platform.records.catalogue import RecordFile
from cohortium_platform.records.schema import SCHEMAS, RecordTable
from cohortium_platform.records.store import sync

__all__ = ["KEPT_FOR", "PublishedSnapshot", "bring_up", "published_snapshot"]

KEPT_FOR = timedelta(days=7)
"""How long a file stays that the newest version no longer holds: for readers that began before, and of older versions
(Delta Lake's own default)."""

_FOLDER, _LOG, _CURRENT, _LOCK = "published", "_delta_log", "snapshot.json", ".lock"
_APPLICATION = "cohortium"
_DIGITS = 20
_TYPES: Mapping[pa.DataType, str] = {
    pa.int64(): "long",
    pa.int32(): "integer",
    pa.int8(): "byte",
    pa.float64(): "double",
    pa.string(): "string",
    pa.date32(): "date",
}
_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}

_Action = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class PublishedSnapshot:
    """The snapshot that all published tables stand at, and each table's version of it."""

    snapshot: int
    tables: Mapping[str, int]


def published_snapshot(tenant_folder: Path) -> PublishedSnapshot | None:
    """Say what was published last; None when nothing was."""
    try:
        found = json.loads((tenant_folder / _FOLDER / _CURRENT).read_bytes())
    except FileNotFoundError:
        return None
    return PublishedSnapshot(int(found["snapshot"]), {str(name): int(of) for name, of in found["tables"].items()})


def bring_up(
    tenant_folder: Path, snapshot: int, files: Iterable[RecordFile], *, kept_for: timedelta = KEPT_FOR
) -> PublishedSnapshot:
    """Bring every table up to a snapshot, and remove what has not been part of one for `kept_for`.

    Killed at any moment, it leaves each table at its former version or at the new one; run again, it goes on. A table
    that stands at a later snapshot already is left alone. Raises `CohortiumError` when a log is damaged.
    """
    by_table: dict[RecordTable, list[RecordFile]] = {table: [] for table in RecordTable}
    for file in files:
        by_table[file.table].append(file)
    folder = tenant_folder / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        before = published_snapshot(tenant_folder)
        if before is not None and before.snapshot > snapshot:
            return before
        versions = {}
        for table, wanted in by_table.items():
            published = _Table.read(tenant_folder, table)
            versions[str(table)] = published.move_to(snapshot, wanted)
            published.sweep(datetime.now(UTC) - kept_for)
        done = PublishedSnapshot(snapshot, versions)
        described = json.dumps({"snapshot": done.snapshot, "tables": dict(done.tables)}, indent=2)
        _replace(folder / _CURRENT, described.encode())
    return done


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time publish; the lock goes with the process that holds it."""
    with (folder / _LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(slots=True)
class _Table:
    """A published table as its log tells it: the newest version (-1: none), the snapshot that it is of, its files, and
    when each file that it no longer holds was let go.
    """

    tenant_folder: Path
    table: RecordTable
    version: int = -1
    snapshot: int = 0
    active: set[str] = field(default_factory=set)
    removed: dict[str, datetime] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.tenant_folder / _FOLDER / self.table

    @classmethod
    def read(cls, tenant_folder: Path, table: RecordTable) -> _Table:
        """Read the log from its first version on."""
        found = cls(tenant_folder, table)
        for number, path in enumerate(sorted((found.folder / _LOG).glob(f"{'[0-9]' * _DIGITS}.json"))):
            if int(path.stem) != number:
                raise CohortiumError(
                    f"The published table {table} lacks version {number} of its log.",
                    "Remove the tenant's folder `published` and publish again: nothing else stands on it.",
                )
            found._take(path)
        return found

    def _take(self, path: Path) -> None:
        self.version = int(path.stem)
        for line in path.read_bytes().splitlines():
            action = json.loads(line)
            if "add" in action:
                self.active.add(action["add"]["path"])
                self.removed.pop(action["add"]["path"], None)
            elif "remove" in action:
                self.active.discard(action["remove"]["path"])
                at = datetime.fromtimestamp(action["remove"]["deletionTimestamp"] / 1000, UTC)
                self.removed[action["remove"]["path"]] = at
            elif "txn" in action and action["txn"]["appId"] == _APPLICATION:
                self.snapshot = int(action["txn"]["version"])

    def move_to(self, snapshot: int, files: Sequence[RecordFile]) -> int:
        """Write the version that holds these files. Gives its number, or the newest when the table is there already."""
        if self.version >= 0 and self.snapshot >= snapshot:
            return self.version
        wanted = {file.path.partition("/")[2]: file for file in files}
        for path, file in wanted.items():
            if path not in self.active:
                _give_name(self.tenant_folder / file.path, self.folder / path)
        actions = list(self._actions(snapshot, wanted))
        text = "".join(json.dumps(action, separators=(",", ":")) + "\n" for action in actions)
        log = self.folder / _LOG
        log.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(log / f"{self.version + 1:0{_DIGITS}}.json", text.encode())
        now = datetime.now(UTC)
        self.removed.update(dict.fromkeys(self.active - wanted.keys(), now))
        self.version, self.snapshot, self.active = self.version + 1, snapshot, set(wanted)
        return self.version

    def _actions(self, snapshot: int, wanted: Mapping[str, RecordFile]) -> Iterator[_Action]:
        now = int(datetime.now(UTC).timestamp() * 1000)
        yield {"commitInfo": {"timestamp": now, "operation": "PUBLISH", "operationParameters": {"snapshot": snapshot}}}
        if self.version < 0:
            yield {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
            yield {"metaData": self._metadata(now)}
        yield {"txn": {"appId": _APPLICATION, "version": snapshot, "lastUpdated": now}}
        for path in sorted(self.active - wanted.keys()):
            yield {"remove": {"path": path, "deletionTimestamp": now, "dataChange": True}}
        for path, file in sorted(wanted.items()):
            if path not in self.active:
                yield {"add": _added(path, file, now)}

    def _metadata(self, now: int) -> Mapping[str, object]:
        fields = [
            {"name": column.name, "type": _TYPES[column.type], "nullable": column.nullable, "metadata": {}}
            for column in SCHEMAS[self.table].columns
        ]
        return {
            "id": str(uuid5(NAMESPACE_URL, f"{self.tenant_folder.name}/{self.table}")),
            "name": str(self.table),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": now,
        }

    def sweep(self, before: datetime) -> None:
        """Remove names of files that no version has held since `before`, and what a crash left."""
        old = {path for path, at in self.removed.items() if at < before}
        for path in self.folder.rglob("*.parquet"):
            name = path.relative_to(self.folder).as_posix()
            unknown = name not in self.active and name not in self.removed
            if name in old or (unknown and datetime.fromtimestamp(path.stat().st_ctime, UTC) < before):
                path.unlink(missing_ok=True)


def _added(path: str, file: RecordFile, now: int) -> Mapping[str, object]:
    """Describe a file, with statistics by which a reader leaves out other practices' files."""
    where = {"practice": file.practice}
    statistics = {"numRecords": file.rows, "minValues": where, "maxValues": where, "nullCount": {"practice": 0}}
    return {
        "path": path,
        "partitionValues": {},
        "size": file.bytes,
        "modificationTime": now,
        "dataChange": True,
        "stats": json.dumps(statistics if file.rows else {"numRecords": 0}),
    }


# --- files --------------------------------------------------------------------------------------------------------


def _give_name(existing: Path, name: Path) -> None:
    """Give a file a second name; where a file system knows none, a copy."""
    name.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.link(existing, name)
    except FileExistsError:
        return
    except OSError as refused:
        if refused.errno not in _CANNOT_LINK:
            raise
        part = name.with_name(f"{name.name}.{uuid4().hex}.part")
        shutil.copyfile(existing, part)
        part.replace(name)


def _create(path: Path, content: bytes) -> None:
    """Create a file whole. Raises `FileExistsError` when it is there already."""
    part = _written(path, content)
    try:
        os.link(part, path)
    finally:
        part.unlink()
    sync(path.parent, os.O_RDONLY | os.O_DIRECTORY)


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another."""
    _written(path, content).replace(path)
    sync(path.parent, os.O_RDONLY | os.O_DIRECTORY)


def _written(path: Path, content: bytes) -> Path:
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    with part.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return part
