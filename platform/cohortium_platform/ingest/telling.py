"""Telling of rows that a query finds: counted by practice, the first of them listed with file and line.

Here: one function. Not here: what is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from cohortium_platform.ingest.parts import Part
from cohortium_platform.ingest.quality import QualityLog, RowFinding
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.ingest.workbench import Workbench
from cohortium_plugins.importing import Severity

__all__ = ["EXAMPLES", "tell"]

EXAMPLES = 20
"""How many rows are listed of each remark that leaves no row out; of rows left out, as many as there is room for."""


def tell(
    bench: Workbench, log: QualityLog, parts: Sequence[Part], found: tuple[Severity, Reason], condition: str
) -> int:
    """Tell of the rows of the table `patients` for which a condition holds; returns how many."""
    severity, reason = found
    counted = bench.rows(f"SELECT practice, count(*) FROM patients WHERE {condition} GROUP BY practice ORDER BY ALL")
    total = 0
    for practice, rows in counted:
        total += (count := int(str(rows)))
        log.count(severity, reason, "patients", count, None if practice is None else str(practice))
    limit = log.room if severity is not Severity.WARNING else min(EXAMPLES, log.room)
    if total and limit:
        where = bench.rows(f"SELECT part, row FROM patients WHERE {condition} ORDER BY part, row LIMIT {limit}")
        for number, part in enumerate(parts):
            rows_of_part = [int(str(row)) for each, row in where if each == number]
            if rows_of_part:
                _place(bench, log, part, found, rows_of_part)
    return total


def _place(bench: Workbench, log: QualityLog, part: Part, found: tuple[Severity, Reason], rows: Sequence[int]) -> None:
    """List rows of a file, which count from 0."""
    severity, reason = found
    for file, line in part.lines(bench, rows):
        log.place(RowFinding(severity, str(reason), part.table, file, line))
