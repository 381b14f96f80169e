"""Where importers leave what they read: `Staging` as the platform has it.

Here: parts, findings and what a delivery says of itself. Not here: reading any shape of delivery, and what follows from
what it says (`scope`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cohortium_platform.ingest.parts import Part, delivered_part, staged_part
from cohortium_platform.ingest.quality import QualityLog, RowFinding
from cohortium_platform.records.schema import GP
from cohortium_plugins.importing import EXTRACT_COLUMNS, DeliveredFile, ImportOptions, Severity, Unreadable

__all__ = ["StagingArea"]

_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
_RESERVED = "cohortium"
"""The source of what is entered in Cohortium itself."""


@dataclass(slots=True)
class StagingArea:
    """The staging area of one load; `directory` is private to it and goes with it."""

    directory: Path
    delivery: str
    options: ImportOptions
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
        """Keep whose records the delivery says it holds. Raises `Unreadable` when the person loading says otherwise."""
        self.said_source, self.said_practices = source, tuple(practices)
        if source is not None and self.options.source not in {GP, source}:
            raise Unreadable(
                f"the delivery says its source is {source[:40]}, and it is loaded as {self.options.source}",
                file=self.delivery,
                advice="Load it as what it is, or have the sender correct extract.yaml.",
            )
        if not _SOURCE.fullmatch(self.source) or self.source.lower() == _RESERVED:
            raise Unreadable(
                "the source is neither `gp` nor an ODS code",
                file=self.delivery,
                advice="Name the trust by its ODS code.",
            )

    @property
    def source(self) -> str:
        """Whose records these are: what the delivery says, else what the person loading says."""
        return self.said_source or self.options.source

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
        self.scope(source=self.said_source, practices=self.said_practices)
        for error in self._errors:
            raise Unreadable(error.reason, file=error.file, line=error.line)
        staged = [staged_part(path) for path in sorted(self.directory.glob("*.parquet"))]
        found: dict[str, list[Part]] = {table: [] for table in EXTRACT_COLUMNS}
        for part in [*self._delivered, *staged]:
            found[part.table].append(part)
        return {table: parts for table, parts in found.items() if parts}
