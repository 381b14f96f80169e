"""Importers of other distributions, each run in a process of its own, with limits.

Here: what passes between that process and the load. Not here: the process (`cohortium_platform.apart`), and importers
of this distribution, which run where the load runs.

An importer may name files of the delivery and of its staging folder, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cohortium_platform.apart import ApartLimits, BrokeDown, Saying, run_apart
from cohortium_platform.ingest.limits import LoadLimits
from cohortium_platform.ingest.staging import StagingArea
from cohortium_plugins.importing import DeliveredFile, Importer, ImportOptions, Severity, Unreadable
from cohortium_plugins.installed import installed_importers

__all__ = ["is_ours", "read_apart"]

_OURS = "cohortium_platform."


def is_ours(importer: Importer) -> bool:
    """Whether an importer is of this distribution."""
    return type(importer).__module__.startswith(_OURS)


def read_apart(importer: Importer, delivery: Path, area: StagingArea, limits: LoadLimits) -> None:
    """Have an importer read a delivery in a process of its own. Raises `Unreadable` when it does, or breaks down."""
    asked = _Task(importer.name, delivery, area.options, area.directory)
    try:
        run_apart(
            f"importer-{importer.name}",
            _read,
            asked,
            ApartLimits(limits.importer_seconds, limits.importer_bytes),
            _Hearing(area, delivery).hear,
        )
    except BrokeDown as how:
        raise Unreadable(
            f"the importer {importer.name} {how}",
            file=delivery.name,
            advice="Ask its maker; nothing of it was kept.",
        ) from None


@dataclass(frozen=True, slots=True)
class _Hearing:
    """Does to the staging area what the importer said to its own."""

    area: StagingArea
    delivery: Path

    def hear(self, name: str, said: Mapping[str, Any]) -> None:
        """Take one thing said."""
        heard: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "finding": self._finding,
            "records_to": lambda of: self.area.records_to(date.fromisoformat(of["day"]), practice=of["practice"]),
            "scope": lambda of: self.area.scope(source=of["source"], practices=of["practices"]),
            "progress": lambda of: self.area.progress(int(of["done"]), int(of["total"])),
            "delivered": self._delivered,
            "unreadable": self._unreadable,
        }
        heard[name](said)

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
    """What the importer's process is to do."""

    importer: str
    delivery: Path
    options: ImportOptions
    directory: Path


@dataclass(slots=True)
class _Speaking:
    """The importer's side of the staging area."""

    directory: Path
    saying: Saying

    def delivered(self, file: DeliveredFile) -> None:
        """Pass on a file to read where it lies."""
        self.saying.say("delivered", **asdict(file))

    def scope(self, *, source: str | None = None, practices: Sequence[str] = ()) -> None:
        """Pass on whose records these are."""
        self.saying.say("scope", source=source, practices=list(practices))

    def finding(self, severity: Severity, reason: str, *, file: str, line: int | None = None, table: str = "") -> None:
        """Pass on a finding."""
        self.saying.say("finding", severity=severity, reason=reason, file=file, line=line, table=table)

    def records_to(self, day: date, *, practice: str | None = None) -> None:
        """Pass on a records-to date."""
        self.saying.say("records_to", day=day, practice=practice)

    def progress(self, done_bytes: int, total_bytes: int) -> None:
        """Pass on how far reading has come."""
        self.saying.say("progress", done=done_bytes, total=total_bytes)


def _read(task: _Task, saying: Saying) -> None:  # pragma: no cover - runs in the importer's process
    """Read a delivery."""
    importer = installed_importers()[task.importer]
    try:
        importer.read(task.delivery, task.options, _Speaking(task.directory, saying))
    except Unreadable as why:
        saying.say("unreadable", reason=why.reason, file=why.file, line=why.line, advice=why.advice)
