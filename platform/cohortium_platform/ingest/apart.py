"""Importers of other distributions, each run in a process of its own, with limits.

Here: that process, and what passes between it and the load. Not here: importers of this distribution, which run where
the load runs.

What comes back is JSON, never pickle: reading pickle would let the importer run code in the server after all. It may
name files of the delivery and of its staging folder, and no others.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from typing import Any

import orjson

from cohortium_platform.ingest.limits import LoadLimits
from cohortium_platform.ingest.staging import StagingArea
from cohortium_plugins.importing import DeliveredFile, Importer, ImportOptions, Severity, Unreadable
from cohortium_plugins.installed import installed_importers

__all__ = ["is_ours", "read_apart"]

_OURS = "cohortium_platform."
_SECONDS = 1.0
_LONGEST = 2**20


def is_ours(importer: Importer) -> bool:
    """Whether an importer is of this distribution."""
    return type(importer).__module__.startswith(_OURS)


def read_apart(importer: Importer, delivery: Path, area: StagingArea, limits: LoadLimits) -> None:
    """Have an importer read a delivery in a process of its own. Raises `Unreadable` when it does, or breaks down."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    task = _Task(importer.name, delivery, area.options, limits.importer_bytes)
    speaking = _Speaking(area.directory, sending)
    process = context.Process(target=_read, args=(task, speaking), name=f"importer-{importer.name}", daemon=True)
    process.start()
    sending.close()
    try:
        _listen(receiving, _Hearing(area, delivery), process, monotonic() + limits.importer_seconds)
    except EOFError:
        raise _broken(delivery, "stopped without a word: it may have met its limit of memory") from None
    finally:
        process.kill()
        process.join()
        receiving.close()


def _listen(receiving: Connection, hearing: _Hearing, process: BaseProcess, until: float) -> None:
    while monotonic() < until:
        if receiving.poll(_SECONDS):
            if hearing.hear(receiving.recv_bytes(_LONGEST)):
                return
        elif not process.is_alive() and not receiving.poll():
            raise EOFError
    raise _broken(hearing.delivery, "took longer than it may")


def _broken(delivery: Path, how: str) -> Unreadable:
    return Unreadable(f"the importer {how}", file=delivery.name, advice="Ask its maker; nothing of it was kept.")


@dataclass(frozen=True, slots=True)
class _Hearing:
    """Does to the staging area what the importer said to its own."""

    area: StagingArea
    delivery: Path

    def hear(self, message: bytes) -> bool:
        """Take one thing said; True when it was the last. What is malformed counts as a break-down."""
        heard: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "finding": self._finding,
            "records_to": lambda of: self.area.records_to(date.fromisoformat(of["day"]), practice=of["practice"]),
            "scope": lambda of: self.area.scope(source=of["source"], practices=of["practices"]),
            "progress": lambda of: self.area.progress(int(of["done"]), int(of["total"])),
            "delivered": self._delivered,
            "unreadable": self._unreadable,
        }
        try:
            name, said = orjson.loads(message)
            if name == "done":
                return True
            heard[name](said)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _broken(self.delivery, "broke down") from None
        return False

    def _finding(self, of: Mapping[str, Any]) -> None:
        self.area.finding(
            Severity(of["severity"]), str(of["reason"]), file=str(of["file"]), line=of["line"], table=str(of["table"])
        )

    def _unreadable(self, of: Mapping[str, Any]) -> None:
        raise Unreadable(str(of["reason"]), file=str(of["file"]), line=of["line"], advice=str(of["advice"]))

    def _delivered(self, of: Mapping[str, Any]) -> None:
        path = Path(of["path"]).resolve()
        roots = (self.delivery.resolve(), self.area.directory.resolve())
        if not any(path.is_relative_to(root) for root in roots):
            raise ValueError(of["file"])
        columns = {str(column): tuple(map(str, names)) for column, names in of["columns"].items()}
        header = tuple(map(str, of["header"]))
        self.area.delivered(DeliveredFile(**{**of, "path": path, "columns": columns, "header": header}))


@dataclass(frozen=True, slots=True)
class _Task:
    """What the importer's process is to do, and the memory it may use."""

    importer: str
    delivery: Path
    options: ImportOptions
    max_bytes: int


@dataclass(slots=True)
class _Speaking:
    """The importer's side of the staging area."""

    directory: Path
    sending: Connection

    def say(self, name: str, **said: object) -> None:
        """Pass something on."""
        self.sending.send_bytes(orjson.dumps([name, said], default=str))

    def delivered(self, file: DeliveredFile) -> None:
        """Pass on a file to read where it lies."""
        self.say("delivered", **asdict(file))

    def scope(self, *, source: str | None = None, practices: Sequence[str] = ()) -> None:
        """Pass on whose records these are."""
        self.say("scope", source=source, practices=list(practices))

    def finding(self, severity: Severity, reason: str, *, file: str, line: int | None = None, table: str = "") -> None:
        """Pass on a finding."""
        self.say("finding", severity=severity, reason=reason, file=file, line=line, table=table)

    def records_to(self, day: date, *, practice: str | None = None) -> None:
        """Pass on a records-to date."""
        self.say("records_to", day=day, practice=practice)

    def progress(self, done_bytes: int, total_bytes: int) -> None:
        """Pass on how far reading has come."""
        self.say("progress", done=done_bytes, total=total_bytes)


def _read(task: _Task, speaking: _Speaking) -> None:  # pragma: no cover - runs in the importer's process
    """Read a delivery, in a process that began for this alone."""
    resource.setrlimit(resource.RLIMIT_AS, (task.max_bytes, task.max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    importer = installed_importers()[task.importer]
    with suppress(BrokenPipeError):
        try:
            importer.read(task.delivery, task.options, speaking)
        except Unreadable as why:
            speaking.say("unreadable", reason=why.reason, file=why.file, line=why.line, advice=why.advice)
        except Exception:  # noqa: BLE001 - whatever it is, it may quote a record: none of it is passed on
            speaking.say("broke")
        speaking.say("done")
