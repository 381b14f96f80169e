"""A patient's coded entries by year: those that some codelist of the registry knows, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from cohortium_plugins.record import COHORTIUM, Row
from cohortium_web.definitions import KnownCode
from cohortium_web.pages.patient.measures import source_label
from cohortium_web.pages.patient.opened import OpenedPatient
from cohortium_web.pages.patient.views import TimelineEntry, TimelineYear
from cohortium_web.words import value_with_unit

__all__ = ["DIAGNOSIS", "timeline", "timeline_groups"]

DIAGNOSIS = "Why in this registry"
"""The group of codes that the cohort asks for and no indicator does."""
_TABLES = ("events", "medications")


def timeline_groups(patient: OpenedPatient) -> Sequence[str]:
    """The groups that a timeline can be narrowed to."""
    return [*patient.registry.groups, DIAGNOSIS]


def timeline(patient: OpenedPatient, group: str) -> Sequence[TimelineYear]:
    """Entries newest first, by year; of one group, or of all when none is named. One of a sensitive code is among them
    only where the record holds it for who asks, and counts for no measure.
    """
    entries = sorted(_entries(patient, group), key=lambda entry: entry.day, reverse=True)
    return [TimelineYear(year, list(of_year)) for year, of_year in groupby(entries, key=lambda entry: entry.day.year)]


def _entries(patient: OpenedPatient, group: str) -> Iterator[TimelineEntry]:
    codes, seen = _known(patient), set[tuple[object, ...]]()
    for row in (row for table in _TABLES for row in patient.record.rows.get(table, ())):
        known = codes.get(row.code or 0)
        same = (row.date, row.code, row.value, row.source)
        if known is None or same in seen:
            continue
        groups = sorted(known.groups) or [DIAGNOSIS]
        if not group or group in groups:
            seen.add(same)
            yield _entry(patient, row, known.term, groups)


def _known(patient: OpenedPatient) -> Mapping[int, KnownCode]:
    registered = patient.registry.registered
    return {**registered.codes, **registered.withheld}


def _entry(patient: OpenedPatient, row: Row, term: str, groups: Sequence[str]) -> TimelineEntry:
    return TimelineEntry(
        day=row.date,
        term=term or str(row.code),
        value=value_with_unit(row.value, row.unit),
        source=source_label(patient, row.source),
        groups=groups,
        later=row.date > patient.registry.index_date and row.source != COHORTIUM,
    )
