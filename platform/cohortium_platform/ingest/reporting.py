"""Making the quality report of a load out of what was counted on the way.

Here: codes that mean nothing, counts by table and practice, completeness against the last load. Not here: the report's
form (`quality`), and the counting (`streaming`, `writing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cohortium_platform.ingest.codes import are_snomed_concepts
from cohortium_platform.ingest.completeness import shrunk
from cohortium_platform.ingest.people import People
from cohortium_platform.ingest.quality import LISTED, PracticeQuality, QualityLog, QualityReport, TableCounts
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.ingest.writing import Written
from cohortium_platform.records.schema import RecordTable
from cohortium_platform.records.store import WrittenFile
from cohortium_plugins.importing import Severity

__all__ = ["KnownCodes", "Tally"]

KnownCodes: TypeAlias = NDArray[np.int64]
"""Codes that a terminology server or a release file lists; sorted."""

_WITHHELD = "withheld"
_NHS_NUMBER_DIGITS = 10


@dataclass(slots=True)
class Tally:
    """Collects what writing saw. `rows` and `months` are by practice."""

    people: People
    log: QualityLog
    files: list[WrittenFile] = field(default_factory=list)
    registered: dict[int, NDArray[np.int32]] = field(default_factory=dict)
    _months: dict[str, Mapping[str, int]] = field(default_factory=dict)
    _codes: dict[RecordTable, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = field(default_factory=dict)

    def add_file(self, file: WrittenFile) -> None:
        """Take in a file that needs no more counting."""
        self.files.append(file)

    def add(self, written: Written) -> None:
        """Take in what writing a bucket saw."""
        file = written.file
        self.files.append(file)
        self.log.count(Severity.WARNING, Reason.DUPLICATE, file.table, written.duplicates, file.practice)
        if len(written.codes[0]):
            self._codes.setdefault(file.table, []).append(written.codes)
        if written.months:
            self._months[file.practice] = written.months
        if written.registered is not None:
            self.registered[self.people.practices.index(file.practice)] = written.registered

    def report(self, before: Mapping[str, PracticeQuality], known: KnownCodes | None) -> QualityReport:
        """The report; `before` are the practices' last loads of this source."""
        unknown = self._judge_codes(known)
        practices = self._practices()
        sentences = [
            sentence
            for code, now in practices.items()
            if code in before
            for sentence in shrunk(code, before[code], now)
        ]
        most = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))[:LISTED]
        return QualityReport(
            tables=self._tables(),
            practices=practices,
            counts=self.log.counts(),
            findings=tuple(self.log.findings),
            unknown_codes=dict(most),
            unknown_code_count=len(unknown),
            completeness=sentences,
        )

    def _tables(self) -> dict[str, TableCounts]:
        tables: dict[str, TableCounts] = {}
        for table, read in self.log.read_counts().items():
            rejected = self.log.total(Severity.REJECTED, table)
            duplicates = self.log.total(Severity.WARNING, table, Reason.DUPLICATE)
            kept = sum(file.rows for file in self.files if file.table == table)
            tables[table] = TableCounts(read, kept, rejected, duplicates)
        return tables

    def _practices(self) -> dict[str, PracticeQuality]:
        rows: dict[str, dict[str, int]] = {}
        for file in self.files:
            rows.setdefault(file.practice, {})[file.table] = file.rows
        found: dict[str, PracticeQuality] = {}
        for code in sorted(rows):
            until = self.people.scope.records_to(code)
            found[code] = PracticeQuality(until, dict(sorted(rows[code].items())), self._months.get(code, {}))
        return found

    def _judge_codes(self, known: KnownCodes | None) -> dict[str, int]:
        """Count rows whose code is no SNOMED CT concept's, or not among those known; and say which codes."""
        found: dict[str, int] = {}
        for table, pieces in self._codes.items():
            codes, rows = _added(pieces)
            valid = are_snomed_concepts(codes)
            self.log.count(Severity.WARNING, Reason.UNKNOWN_CODE, table, int(rows[~valid].sum()))
            unknown = ~valid
            if known is not None:
                unlisted = valid & ~np.isin(codes, known)
                self.log.count(Severity.WARNING, Reason.UNLISTED_CODE, table, int(rows[unlisted].sum()))
                unknown |= unlisted
            for code, count, is_valid in zip(
                codes[unknown].tolist(), rows[unknown].tolist(), valid[unknown], strict=True
            ):
                shown = str(code) if is_valid or len(str(abs(code))) != _NHS_NUMBER_DIGITS else _WITHHELD
                found[shown] = found.get(shown, 0) + count
        return found


def _added(
    pieces: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct codes of several files, with the sum of their rows."""
    codes = np.concatenate([codes for codes, _ in pieces])
    rows = np.concatenate([rows for _, rows in pieces])
    distinct, which = np.unique(codes, return_inverse=True)
    return distinct, np.bincount(which, weights=rows).astype(np.int64)
