"""The quality report of a load: what was read, kept and left out, and why; kept with the load for good.

Here: the report, its JSON, and collecting it. Not here: the checks, and the sentences (`reasons`).

Everything is counted; the first thousand rows are listed with file and line. A report holds no content of any record:
of a code it may say the number, but never one that could be an NHS number in the wrong column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cohortium_plugins.importing import Severity

__all__ = ["LISTED", "Count", "PracticeQuality", "QualityLog", "QualityReport", "RowFinding", "TableCounts"]

LISTED = 1000
"""How many findings, and how many unknown codes, a report lists."""


@dataclass(frozen=True, slots=True)
class RowFinding:
    """One place in the delivery. `line` counts from 1 and is None for a file as a whole."""

    severity: Severity
    reason: str
    table: str
    file: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was found, in a table and, where it is known, a practice."""

    severity: Severity
    reason: str
    table: str
    practice: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class TableCounts:
    """Rows of one table: read = kept + rejected + duplicates. `put_together` of patients were merged into another."""

    read: int = 0
    kept: int = 0
    rejected: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class PracticeQuality:
    """What was kept of a practice: rows by table, and events by month (YYYY-MM) of the year before `records_to`."""

    records_to: date
    rows: Mapping[str, int]
    months: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The report. `unknown_codes` are the most frequent, with their rows; a code that must not be shown is 'withheld'.
    `completeness` are sentences about practices whose records have shrunk since their last load.
    """

    tables: Mapping[str, TableCounts]
    practices: Mapping[str, PracticeQuality]
    counts: Sequence[Count] = ()
    findings: Sequence[RowFinding] = ()
    unknown_codes: Mapping[str, int] = field(default_factory=dict)
    unknown_code_count: int = 0
    completeness: Sequence[str] = ()

    def rows(self, reason: str, *, table: str | None = None, practice: str | None = None) -> int:
        """How many rows something was found of."""
        return sum(
            count.rows
            for count in self.counts
            if count.reason == reason
            and (table is None or count.table == table)
            and (practice is None or count.practice == practice)
        )

    def to_json(self) -> dict[str, object]:
        """The form in which a load keeps it."""
        return {
            "tables": {
                table: {"read": c.read, "kept": c.kept, "rejected": c.rejected, "duplicates": c.duplicates}
                for table, c in self.tables.items()
            },
            "practices": {
                code: {"records_to": p.records_to.isoformat(), "rows": dict(p.rows), "months": dict(p.months)}
                for code, p in self.practices.items()
            },
            "counts": [[c.severity, c.reason, c.table, c.practice, c.rows] for c in self.counts],
            "findings": [[f.severity, f.reason, f.table, f.file, f.line] for f in self.findings],
            "unknown_codes": dict(self.unknown_codes),
            "unknown_code_count": self.unknown_code_count,
            "completeness": list(self.completeness),
        }

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> QualityReport:
        """Undo `to_json`."""
        return QualityReport(
            tables={table: TableCounts(**counts) for table, counts in found["tables"].items()},
            practices={
                code: PracticeQuality(date.fromisoformat(p["records_to"]), p["rows"], p["months"])
                for code, p in found["practices"].items()
            },
            counts=[Count(Severity(severity), *rest) for severity, *rest in found["counts"]],
            findings=[RowFinding(Severity(severity), *rest) for severity, *rest in found["findings"]],
            unknown_codes=found["unknown_codes"],
            unknown_code_count=found["unknown_code_count"],
            completeness=found["completeness"],
        )


class QualityLog:
    """Collects a report while a delivery is worked through. Not for more than one thread at a time."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Severity, str, str, str | None]] = Counter()
        self._read: Counter[str] = Counter()
        self.findings: list[RowFinding] = []

    def read(self, table: str, rows: int) -> None:
        """Count rows that were read, whatever became of them."""
        self._read[table] += rows

    def count(self, severity: Severity, reason: str, table: str, rows: int, practice: str | None = None) -> None:
        """Count rows about which something was found."""
        if rows:
            self._counts[severity, str(reason), table, practice] += rows

    @property
    def room(self) -> int:
        """How many more findings will be listed."""
        return max(LISTED - len(self.findings), 0)

    def place(self, finding: RowFinding) -> None:
        """List a finding, as long as there is room. Counting is separate."""
        if self.room:
            self.findings.append(finding)

    def total(self, severity: Severity, table: str, reason: str | None = None) -> int:
        """Rows counted so far."""
        return sum(
            rows
            for (how, why, where, _), rows in self._counts.items()
            if how == severity and where == table and (reason is None or why == reason)
        )

    def counts(self) -> list[Count]:
        """Everything counted, the most frequent first."""
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1], item[0][1:3], item[0][3] or ""))
        return [Count(*key, rows) for key, rows in ordered]

    def read_counts(self) -> Mapping[str, int]:
        """Rows read, by table."""
        return dict(self._read)
