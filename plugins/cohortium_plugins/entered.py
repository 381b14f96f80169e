"""Entries made in Cohortium after the day that records run to: they extend the records for the measures they decide.

A review that a clinician completes today counts today, though the practice's system was last read a week ago. What the
entry says nothing about stays as of the registry's day: nobody can tell what was recorded elsewhere since. Not here:
how a status is decided (`status`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model.definition import Definition, Indicator
from cohortium_plugins.record import COHORTIUM, Record, Result, Row
from cohortium_plugins.status import standing

__all__ = ["Standing", "late_entries", "standing_with_entries"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What an indicator says, of which record and as of which day: the registry's, or that of the latest entry."""

    result: Result
    record: Record
    day: date


def late_entries(record: Record, index_date: date) -> Sequence[Row]:
    """Give the entries made in Cohortium that evaluating as of a day would not see, or would hold back."""
    sees = min(index_date, record.records_to or index_date)
    return [row for row in record.rows.get("events", ()) if row.source == COHORTIUM and row.date > sees]


def standing_with_entries(definition: Definition, indicator: Indicator, record: Record, index_date: date) -> Standing:
    """Give what an indicator says of a patient. Where late entries make a difference on the day of the latest of them,
    it is what holds on that day; else what holds at the index date.
    """
    late = late_entries(record, index_date)
    if late:
        day = max(index_date, *(row.date for row in late))
        entered = replace(record, records_to=None)
        others = tuple(row for row in record.rows["events"] if row not in late)
        without = replace(entered, rows={**record.rows, "events": others})
        lists = definition.codelists
        found = standing(definition, indicator, Evaluation(entered, day, lists))
        if found != standing(definition, indicator, Evaluation(without, day, lists)):
            return Standing(found, entered, day)
    result = standing(definition, indicator, Evaluation(record, index_date, definition.codelists))
    return Standing(result, record, index_date)
