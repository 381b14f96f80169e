"""Where importers leave what they read: `Staging` as the platform has it.

Here: parts, findings and what a delivery says of itself. Not here: reading any shape of delivery, and judging it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cohortium_platform.ingest.parts import Part, delivered_part, staged_part
from cohortium_platform.ingest.quality import QualityLog, RowFinding
from cohortium_plugins.importing import EXTRACT_COLUMNS, DeliveredFile, Severity, Unreadable

__all__ = ["StagingArea"]


@dataclass(slots=True)
class StagingArea:
    """The staging area of one load; `directory` is private to it and goes with it."""

    directory: Path
    log: QualityLog
    told: Callable[[int, int], None]
    said_source: str | None = None
    said_practices: Sequence[str] = ()
    said_records_to: dict[str | None, date] = field(default_factory=dict)
    _delivered: list[Part] = field(default_factory=list)
    _errors: list[RowFinding] = field(default_factory=list)

    def delivered(self, file: DeliveredFile) -> None:
        """Have a file of the delivery read where it lies."""
        self._delivered.append(delivered_part(file))

    def scope(self, *, source: str | None = None, practices: Sequence[str] = ()) -> None:
        """Keep whose records the delivery says it holds."""
        self.said_source, self.said_practices = source, tuple(practices)

    def finding(self, severity: Severity, reason: str, *, file: str, line: int | None = None, table: str = "") -> None:
        """Count and list a finding; a rejected row counts as read."""
        found = RowFinding(severity, str(reason), table, file, line)
        self.log.count(severity, reason, table, 1)
        self.log.place(found)
        if severity is Severity.REJECTED and table:
            self.log.read(table, 1)
        if severity is Severity.ERROR:
            self._errors.append(found)

    def records_to(self, day: date, *, practice: str | None = None) -> None:
        """Keep a records-to date, for one practice or for all."""
        self.said_records_to[practice] = day

    def progress(self, done_bytes: int, total_bytes: int) -> None:
        """Pass on how far reading has come."""
        self.told(done_bytes, total_bytes)

    def parts(self) -> dict[str, list[Part]]:
        """All that was delivered or staged, by table, in the order of names. Raises `Unreadable` for an error found."""
        for error in self._errors:
            raise Unreadable(error.reason, file=error.file, line=error.line)
        staged = [staged_part(path) for path in sorted(self.directory.glob("*.parquet"))]
        found: dict[str, list[Part]] = {table: [] for table in EXTRACT_COLUMNS}
        for part in [*self._delivered, *staged]:
            found[part.table].append(part)
        return {table: parts for table, parts in found.items() if parts}
