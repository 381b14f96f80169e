"""Writing a bundle: under a temporary name, file by file, so that what was finished before a kill is kept.

A journal beside the files says what was planned and which files are whole; each is flushed to disk before its line is
written. Not here: what goes into a bundle (cohortium_tenants.exit).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from cohortium_platform.audit.notes import LogSigner
from cohortium_platform.errors import BadInput, Conflict, Unavailable
from cohortium_platform.portability.manifest import MANIFEST, SIGNATURE, BundleFile, Manifest, signed
from cohortium_platform.records.store import sync

__all__ = ["BundleFolder"]

_JOURNAL = "journal.jsonl"
_PIECE = 2**20


class BundleFolder:
    """A bundle that is being written: `place` is where it will stand. Until then its files lie in a hidden folder
    beside it, with the journal.
    """

    def __init__(self, place: Path) -> None:
        self.place = place.absolute()
        self._work = self.place.parent / f".{self.place.name}.unfinished"
        self.files = self._work / "bundle"
        self._journal = self._work / _JOURNAL
        self.done: dict[str, BundleFile] = {}
        self.plan: Mapping[str, object] | None = None

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Take up what an earlier run left, or start anew; nobody else may write this bundle until the block ends.

        Raises `BadInput` when the place is taken or cannot be, `Conflict` when somebody is writing it.
        """
        if self.place.exists() or not self.place.parent.is_dir():
            raise BadInput(
                f"{self.place} exists, or the folder above it does not.", "Name a new folder in one that exists."
            )
        self._work.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(self._work, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{self.place} is being written by another export.", "Wait for it, or stop it.") from None
        else:
            self._take_up()
            yield
        finally:
            os.close(lock)

    def _take_up(self) -> None:
        for line in self._journal.read_bytes().split(b"\n") if self._journal.is_file() else ():
            try:
                said = json.loads(line)
            except ValueError:  # the line that was being written when the run ended
                break
            if "plan" in said:
                self.plan = said["plan"]
            else:
                file = BundleFile(**said)
                if self._at(file.path).is_file() and self._at(file.path).stat().st_size == file.bytes:
                    self.done[file.path] = file
        if self.plan is None:
            self.start_anew()

    def start_anew(self) -> None:
        """Remove all that was written so far."""
        shutil.rmtree(self.files, ignore_errors=True)
        self._journal.unlink(missing_ok=True)
        self.files.mkdir(mode=0o700)
        self.done, self.plan = {}, None

    def keep_plan(self, plan: Mapping[str, object]) -> None:
        """Keep what is still to be done, and with it every file that was added before."""
        lines = [asdict(file) for file in self.done.values()]
        with self._journal.open("xb") as journal:
            for line in (*lines, {"plan": plan}):
                journal.write(json.dumps(line).encode() + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.plan = plan

    def add(self, path: str, pieces: Iterable[bytes], rows: int | None = None) -> None:
        """Add a file made of these pieces."""
        with self.writing(path) as file:
            for piece in pieces:
                file.write(piece)
        self.finish(path, rows)

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        """Open a new file of the bundle, and flush it to disk."""
        place = self._at(path)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with place.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    def copy(self, path: str, source: Path, sha256: str, rows: int) -> None:
        """Add a copy of a file. Raises `Unavailable` when it is gone or not what was written."""
        digest = hashlib.sha256()
        try:
            with source.open("rb") as found, self.writing(path) as file:
                while piece := found.read(_PIECE):
                    digest.update(piece)
                    file.write(piece)
        except OSError as failure:
            raise Unavailable(f"{path} cannot be copied: {failure.strerror}.", "See the service's log.") from failure
        if digest.hexdigest() != sha256:
            raise Unavailable(f"{path} is not the file that was written.", "Restore it from a backup.")
        self._keep(BundleFile(path, sha256, self._at(path).stat().st_size, rows))

    def make(self, path: str, write: Callable[[Path], int]) -> None:
        """Add a file that another program writes to a place; it gives the rows."""
        place = self._at(path)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows = write(place)
        sync(place, os.O_RDONLY)
        self.finish(path, rows)

    def finish(self, path: str, rows: int | None = None) -> None:
        """Take note of a file that is whole."""
        place = self._at(path)
        with place.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._keep(BundleFile(path, digest, place.stat().st_size, rows))

    def close(self, manifest: Manifest, signer: LogSigner) -> None:
        """Write the signed manifest, and give the bundle its name."""
        content = manifest.to_bytes()
        for name, text in ((MANIFEST, content), (SIGNATURE, signed(content, signer).encode())):
            with self.writing(name) as file:
                file.write(text)
        for folder in (self.files, *(path for path in self.files.rglob("*") if path.is_dir())):
            sync(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.files.rename(self.place)
        sync(self.place.parent, os.O_RDONLY | os.O_DIRECTORY)
        shutil.rmtree(self._work, ignore_errors=True)

    def _keep(self, file: BundleFile) -> None:
        self.done[file.path] = file
        if self.plan is not None:
            with self._journal.open("ab") as journal:
                journal.write(json.dumps(asdict(file)).encode() + b"\n")
                journal.flush()
                os.fsync(journal.fileno())

    def _at(self, path: str) -> Path:
        return self.files.joinpath(*path.split("/"))
