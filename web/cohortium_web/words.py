"""How values are written for people: days, NHS numbers, counts, statuses. The one place for each.

Dates follow the NHS: 6 August 2025, in tables 6 Aug 2025. Not here: sentences about rules (cohortium_plugins.words).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from cohortium_plugins.model import Status

__all__ = [
    "NONE",
    "STATUSES",
    "StatusLook",
    "count",
    "day",
    "day_or",
    "long_day",
    "moment",
    "nhs_number",
    "percent",
    "plain_term",
    "plural",
    "value_with_unit",
]

_ENGLAND = ZoneInfo("Europe/London")
_NHS_NUMBER_DIGITS = 10
_ANNOTATION = re.compile(r"\{[^}]*\}")
_TAG = re.compile(
    r" \((?:disorder|finding|situation|procedure|regime/therapy|observable entity|life style|morphologic abnormality|"
    r"assessment scale|product|medicinal product|qualifier value|event|record artifact|person|tumor staging)\)$"
)
NONE = "--"


def day(value: date) -> str:
    """A day in a table: 6 Aug 2025."""
    return f"{value.day} {value:%b %Y}"


def day_or(value: date | None, otherwise: str = NONE) -> str:
    """A day in a table, or what stands for none."""
    return otherwise if value is None else day(value)


def long_day(value: date) -> str:
    """A day in a sentence: 6 August 2025."""
    return f"{value.day} {value:%B %Y}"


def moment(value: datetime) -> str:
    """A moment in a table, in the time of England: 6 Aug 2025, 14:05."""
    here = value.astimezone(_ENGLAND)
    return f"{day(here.date())}, {here:%H:%M}"


def nhs_number(value: str | None) -> str:
    """An NHS number in groups of 3, 3 and 4, or what stands for none."""
    if not value:
        return "not known"
    return f"{value[:3]} {value[3:6]} {value[6:]}" if len(value) == _NHS_NUMBER_DIGITS else value


def count(value: int) -> str:
    """A count with thousands set apart: 12,345."""
    return f"{value:,}"


def plural(number: int, one: str, many: str = "") -> str:
    """A count with its noun: 1 patient, 2 patients."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def plain_term(term: str) -> str:
    """A SNOMED CT term without its tag: Malignant neoplasm of breast (disorder) is Malignant neoplasm of breast."""
    return _TAG.sub("", term)


def value_with_unit(value: float | None, unit: str | None) -> str:
    """A number and its unit: 27.4 kg/m2; empty when there is no number. What UCUM puts in braces is no unit."""
    return "" if value is None else f"{value:g} {_ANNOTATION.sub('', unit or '')}".strip()


def percent(value: float | None) -> str:
    """A rate from 0 to 1 as 80.4%, or what stands for none."""
    return NONE if value is None else f"{value * 100:.1f}%"


@dataclass(frozen=True, slots=True)
class StatusLook:
    """How a status is shown: by word, by symbol and by colour, so that none is needed to read the others. `short` is
    the word where there is little room.
    """

    word: str
    short: str
    symbol: str
    css: str
    explanation: str


STATUSES: Mapping[Status, StatusLook] = {
    Status.MET: StatusLook("Met", "Met", "✓", "met", "Done, and in date"),
    Status.DUE: StatusLook("Due", "Due", "●", "due", "Not done yet, and still in time"),
    Status.OVERDUE: StatusLook("Overdue", "Overdue", "!", "overdue", "Not done, and its time has passed"),
    Status.EXCLUDED: StatusLook(
        "Excluded", "Excluded", "–", "excluded", "Not done, for a recorded reason; still in view"
    ),
    Status.NOT_APPLICABLE: StatusLook("Not applicable", "N/A", "·", "none", "Does not apply to this patient"),
    Status.NOT_EVALUATED: StatusLook(
        "Not evaluated", "Unknown", "?", "unknown", "Cannot be decided from the records here"
    ),
}
