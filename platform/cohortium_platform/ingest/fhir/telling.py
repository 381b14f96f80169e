"""Findings of a FHIR delivery, in the order of its files and lines.

Here: what is told row by row, what is told once with a number, and in which words. Not here: what is found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from cohortium_platform.ingest.fhir.extraction import CLINICAL_TYPES
from cohortium_platform.ingest.fhir.reasons import SEVERITY, WORDS, Reason
from cohortium_platform.ingest.fhir.reports import UNKNOWN_TYPE, BlockReport
from cohortium_platform.ingest.fhir.resolving import Resolution
from cohortium_platform.ingest.fhir.rows import Table
from cohortium_plugins.importing import Severity, Staging

__all__ = ["tell_of_resources", "tell_of_rows"]

_BATCH = 10_000

_SINGLE = """
    select file, line, target, type, reason from resolved where reason is not null and fate < 2
    union all
    select file, line, 0, type, (select number from reason where name = 'FACT_TWICE') from told_events where is_repeated
    union all
    select f.name, p.line, -1, null, r.reason
    from remarks r join people p using (place) join files f on f.number = p.place >> 40
    union all
    select f.name, p.line, -2, null, (select number from reason where name = 'PRACTICE_NOT_FOUND')
    from registered r join people p on p.place = r.patient_place join files f on f.number = p.place >> 40
    where r.organisation is not null and r.practice is null
    union all
    select f.name, p.line, -1, null, (select number from reason where name = 'NHS_NUMBER_CHANGED')
    from people p join files f on f.number = p.place >> 40
    where p.key in (select key from patients group by key having count(distinct nhs_number) > 1)
    order by all
"""
"""One finding a row: file, line, table, type, reason."""

_COUNTED = """
    select type, reason, count(distinct place), min_by(file, place), min_by(line, place)
    from resolved where fate = 2 group by type, reason
    union all
    select null, (select number from reason where name = 'REGISTERED_ELSEWHERE'), count(*), min_by(f.name, p.place),
           min_by(p.line, p.place)
    from registered r join people p on p.place = r.patient_place join files f on f.number = p.place >> 40
    where r.practice is distinct from p.practice having count(*) > 0
    union all
    select null, (select number from reason where name = 'OLDER_VERSION'), count(*),
           (select name from files where number = min(place) >> 40), null
    from replaced having count(*) > 0
    order by all
"""
"""One finding for many: type, reason, number, file and line of the first."""

_TABLES = {int(table): table.name.lower() for table in Table} | {-1: "patients", -2: "registrations"}
_PATIENTS = -1


def tell_of_rows(resolution: Resolution, staging: Staging) -> None:
    """Tell what was found about single resources."""
    for file, line, target, kind, reason in _fetched(resolution, _SINGLE):
        table = _TABLES[target if kind is not None or target < 0 else _PATIENTS]
        found = Reason(reason)
        staging.finding(SEVERITY[found], WORDS[found], file=file, line=line, table=table)
    for kind, reason, number, file, line in _fetched(resolution, _COUNTED):
        words = WORDS[Reason(reason)] + (f", of type {CLINICAL_TYPES[kind]}" if kind is not None else "")
        staging.finding(Severity.WARNING, f"{words}: {number:,}", file=file, line=line)


def _fetched(resolution: Resolution, query: str) -> Iterator[tuple[Any, ...]]:
    """Rows of a query, a batch at a time."""
    cursor = resolution.execute(query)
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def tell_of_resources(reports: Sequence[BlockReport], staging: Staging) -> None:
    """Tell what was left aside whole: types that are not read, deletions, problems of the exporting server."""
    aside: Counter[str] = Counter()
    places: dict[str, tuple[str, int]] = {}
    for report in reports:
        for kind, (count, line) in report.aside.items():
            aside[kind] += count
            places.setdefault(kind, (report.file, line))
    for kind in sorted(aside):
        file, line = places[kind]
        what = "a type that FHIR R4 does not have" if kind == UNKNOWN_TYPE else f"type {kind}"
        staging.finding(Severity.WARNING, f"resources left aside, of {what}: {aside[kind]:,}", file=file, line=line)
    for report in reports:
        if report.is_foreign:
            staging.finding(Severity.WARNING, "not a FHIR resource: left aside", file=report.file, line=1)
        if report.problems:
            reason = f"the sending server reported problems, records may be missing: {len(report.problems):,}"
            staging.finding(Severity.WARNING, reason, file=report.file, line=report.problems[0])
        if report.deletions:
            reason = f"deletions left aside, since a load replaces all records of its source: {len(report.deletions):,}"
            staging.finding(Severity.WARNING, reason, file=report.file, line=report.deletions[0])
    pages = [(has_next, report.file) for report in reports for has_next in report.pages]
    if pages and all(has_next for has_next, _ in pages):
        reason = "pages of a search of which the last is missing: records may be missing"
        staging.finding(Severity.WARNING, reason, file=pages[-1][1])
