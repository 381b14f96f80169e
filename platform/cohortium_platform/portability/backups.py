"""Backups of a tenant's files: each sealed under the tenant's data key, and unreadable once that is destroyed.

Files of the store never change, so that a second backup into the same folder adds what is new. Each run ends with a
point: a sealed list of all files of that moment, which is what is restored. Not here: the database, which PostgreSQL's
own tools back up (docs/operator/backups.md).

    FOLDER/TENANT/files/NAME        one sealed file; its name says nothing of its path or content
    FOLDER/TENANT/points/TIME       the sealed list of one backup, written last
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from sqlmodel import Session, col, select

from cohortium_platform.errors import BadInput, CohortiumError, Conflict, NotFound, Unavailable
from cohortium_platform.keys import TenantKeys
from cohortium_platform.portability.sealing import Readable, opened_pieces, sealed_bytes, sealed_pieces
from cohortium_platform.records import RecordStore, files, snapshot_current
from cohortium_platform.records.store import sha256_of, sync
from cohortium_platform.results import ResultFileRow, ResultStore

__all__ = ["BACKED_UP", "NOT_BACKED_UP", "BackedUp", "Restored", "back_up", "restore", "what_is_missing"]

BACKED_UP = ("records", "results", "opt-outs", "previews", "incidents")
"""Folders of a tenant that a backup holds."""
NOT_BACKED_UP: Mapping[str, str] = {
    "extracts": "made again from records",
    "published": "made again from records by `cohortium publish`",
    "work": "work in progress",
    "exports": "kept for a day, made anew on request",
}
"""Folders that it leaves out, and why."""

_POINT = "%Y-%m-%dT%H%M%S.%fZ"
_LEFT = ".unfinished-"
"""How names of files begin that a run which ended early left unfinished."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file as a point lists it; `modified` is in nanoseconds, to see at the next run that it is the same."""

    path: str
    bytes: int
    modified: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup did."""

    point: str
    files: int
    bytes: int
    added: int
    """Files that no earlier backup in this folder held."""
    passed_over: int
    """Files that were being written or removed at that moment; nothing named them yet, or any more."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restoration did."""

    point: str
    files: int
    bytes: int
    already_there: int


def back_up(root: Path, keys: TenantKeys, folder: Path, progress: Progress | None = None) -> BackedUp:
    """Add a point to the backups in `folder`. A run that was killed is repeated: what was sealed is kept.

    Raises `BadInput` when the folder lies in the store, `Conflict` when it is being written.
    """
    tell = progress or (lambda _fraction, _step: None)
    if folder.resolve().is_relative_to(root.resolve()):
        raise BadInput("A backup in the store is lost with it.", "Name a folder elsewhere, best on another machine.")
    backup = _Backup(folder, keys)
    backup.begin()
    with backup.locked():
        backup.sweep()
        known = {file.path: file for file in backup.newest()}
        found = list(_files(root / str(keys.tenant_id)))
        whole, done, added, listed = sum(size for _, _, size, _ in found) or 1, 0, 0, list[_Listed]()
        for place, path, size, modified in found:
            tell(done / whole, path)
            before = known.get(path)
            same = before is not None and (before.bytes, before.modified) == (size, modified)
            try:
                digest = before.sha256 if before is not None and same else sha256_of(place)
                file = _Listed(path, size, modified, digest)
                added += backup.add(place, file)
            except (FileNotFoundError, _Changed):
                continue
            listed.append(file)
            done += size
        point = backup.close(listed)
    return BackedUp(point, len(listed), sum(file.bytes for file in listed), added, len(found) - len(listed))


def restore(
    root: Path, keys: TenantKeys, folder: Path, at: str | None = None, progress: Progress | None = None
) -> Restored:
    """Put back every file of a point, the newest when none is named; each is verified before it gets its name.

    Files that are there as they should be are left alone, so that a run that was killed is repeated; so are files that
    the point does not list. Raises `NotFound` when there is no such point, `Unavailable` when a sealed file is missing,
    `CohortiumError` when one is not as it was sealed.
    """
    tell = progress or (lambda _fraction, _step: None)
    backup, home = _Backup(folder, keys), root / str(keys.tenant_id)
    with backup.locked():
        _sweep(home)
        point = backup.point(at)
        listed = backup.listed(point)
        whole, done, there = sum(file.bytes for file in listed) or 1, 0, 0
        for file in listed:
            tell(done / whole, file.path)
            place = home.joinpath(*_parts(file.path))
            if place.is_file() and place.stat().st_size == file.bytes and sha256_of(place) == file.sha256:
                there += 1
            else:
                backup.put_back(file, place)
            done += file.bytes
    return Restored(point, len(listed), sum(file.bytes for file in listed), there)


def what_is_missing(session: Session, store: RecordStore, results: ResultStore) -> list[str]:
    """Paths of files that the database names and that are not there with the bytes that were written."""
    named = {file.path: file.sha256 for file in files(session, snapshot_current(session))}
    shown = session.exec(select(ResultFileRow).where(col(ResultFileRow.superseded).is_(None)))
    named |= {row.path: row.sha256 for row in shown}
    missing = []
    for path, sha256 in sorted(named.items()):
        place = (results if path.startswith("results/") else store).path(path)
        if not place.is_file() or sha256_of(place) != sha256:
            missing.append(path)
    return missing


class _Changed(Exception):  # noqa: N818 - no error: the file is passed over
    """A file changed while it was read."""


class _Backup:
    """One tenant's backups in a folder."""

    def __init__(self, folder: Path, keys: TenantKeys) -> None:
        self._keys, self._folder = keys, folder / str(keys.tenant_id)
        self._files, self._points = self._folder / "files", self._folder / "points"

    def begin(self) -> None:
        """Make the folders when they are absent."""
        for folder in (self._folder, self._files, self._points):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else may write or read these backups until the block ends. Raises `NotFound` when there are none."""
        if not self._points.is_dir():
            raise NotFound(
                f"There is no backup of this tenant in {self._folder.parent}.", "Name the folder of backups."
            )
        lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"Backups in {self._folder} are in use.", "Wait for the other run, or stop it.") from None
        else:
            yield
        finally:
            os.close(lock)

    def sweep(self) -> None:
        """Remove what a run that ended early left unfinished."""
        _sweep(self._folder)

    def newest(self) -> list[_Listed]:
        """What the newest point lists; nothing when there is none."""
        points = self._all()
        return self.listed(points[-1]) if points else []

    def point(self, at: str | None) -> str:
        """A point's name. Raises `NotFound`."""
        points = self._all()
        if not points or (at is not None and at not in points):
            known = ", ".join(points[-10:]) or "none"
            raise NotFound(f"There is no such backup of this tenant in {self._folder.parent}.", f"There are: {known}.")
        return at or points[-1]

    def listed(self, point: str) -> list[_Listed]:
        """The files of a point. Raises `CohortiumError` when it is not as it was sealed."""
        with (self._points / point).open("rb") as sealed:
            content = b"".join(opened_pieces(self._keys, sealed, b"point" + point.encode()))
        return [_Listed(**line) for line in map(json.loads, content.splitlines())]

    def add(self, place: Path, file: _Listed) -> bool:
        """Seal a file unless it is there; tells whether it was not. Raises `_Changed`."""
        target = self._at(file)
        if target.is_file() and target.stat().st_size == sealed_bytes(file.bytes):
            return False
        with place.open("rb") as plain:
            reading = _Digesting(plain)
            self._write(target, sealed_pieces(self._keys, reading, _context(file)), lambda: _check(reading, file))
        return True

    def close(self, listed: Iterable[_Listed]) -> str:
        """Write the point that lists these files; gives its name."""
        point = datetime.now(UTC).strftime(_POINT)
        plain = io.BytesIO(b"".join(json.dumps(asdict(file)).encode() + b"\n" for file in listed))
        sync(self._files, os.O_RDONLY | os.O_DIRECTORY)
        self._write(self._points / point, sealed_pieces(self._keys, plain, b"point" + point.encode()))
        sync(self._points, os.O_RDONLY | os.O_DIRECTORY)
        return point

    def put_back(self, file: _Listed, place: Path) -> None:
        """Open a sealed file into its place. Raises `Unavailable` when it is missing."""
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            sealed = self._at(file).open("rb")
        except FileNotFoundError:
            raise Unavailable(
                f"The backup of {file.path} is missing.", "Bring its folder back whole, or restore another point."
            ) from None
        with sealed:
            self._write(place, opened_pieces(self._keys, sealed, _context(file)))
        sync(place.parent, os.O_RDONLY | os.O_DIRECTORY)

    def _all(self) -> list[str]:
        return sorted(path.name for path in self._points.iterdir() if not path.name.startswith(_LEFT))

    def _at(self, file: _Listed) -> Path:
        return self._files / self._keys.search_hash(b"backup" + _context(file)).hex()

    @staticmethod
    def _write(target: Path, pieces: Iterable[bytes], check: Callable[[], None] = lambda: None) -> None:
        """Write a file: under its name it is whole, or not there."""
        new = target.with_name(f"{_LEFT}{uuid4().hex}")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.writelines(pieces)
                check()
                file.flush()
                os.fsync(file.fileno())
            new.rename(target)
        finally:
            new.unlink(missing_ok=True)


class _Digesting:
    """A file that is digested while it is read."""

    def __init__(self, source: Readable) -> None:
        self._source, self.digest = source, hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """Read so many bytes."""
        piece = self._source.read(size)
        self.digest.update(piece)
        return piece


def _check(reading: _Digesting, file: _Listed) -> None:
    if reading.digest.hexdigest() != file.sha256:
        raise _Changed


def _sweep(folder: Path) -> None:
    for path in folder.rglob(f"{_LEFT}*"):
        path.unlink()


def _files(home: Path) -> Iterator[tuple[Path, str, int, int]]:
    """Every file to be backed up: where, its path in the tenant's folder, bytes, time of its last change."""
    for name in BACKED_UP:
        for place in sorted((home / name).rglob("*")):
            try:
                status = place.lstat()
            except FileNotFoundError:
                continue
            if place.is_file() and not place.is_symlink() and not place.name.startswith(_LEFT):
                yield place, place.relative_to(home).as_posix(), status.st_size, status.st_mtime_ns


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if parts[0] not in BACKED_UP or any(part in {"", ".", ".."} for part in parts):
        raise CohortiumError("A backup lists a file that is not this tenant's.")
    return parts


def _context(file: _Listed) -> bytes:
    """What a sealed file is bound to: its content and its path."""
    return b"file" + bytes.fromhex(file.sha256) + file.path.encode()
