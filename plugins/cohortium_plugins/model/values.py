"""The values that rules work with: their types, and durations.

Not here: what an operation does with them (`interpreter`), or how an engine writes them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date

__all__ = ["Conversion", "Duration", "Scalar", "Status", "Unit", "ValueType"]


class ValueType(enum.StrEnum):
    """What a series holds. A code is a SNOMED CT identifier; a number is a double, counts included."""

    BOOL = "bool"
    DATE = "date"
    NUMBER = "number"
    TEXT = "text"
    CODE = "code"
    DURATION = "duration"


class Unit(enum.StrEnum):
    """Units of a duration. Weeks are seven days; months and years keep the day of the month or take the last one."""

    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time, in whole units."""

    count: int
    unit: Unit

    def __neg__(self) -> Duration:
        """The same length the other way."""
        return Duration(-self.count, self.unit)

    def __mul__(self, times: int) -> Duration:
        """So many times as long, in whole units."""
        return Duration(self.count * times, self.unit) if isinstance(times, int) else NotImplemented

    __rmul__ = __mul__

    def __str__(self) -> str:
        """Read as English: '1 month', '93 days'."""
        name = self.unit.value
        return f"{self.count} {name[:-1] if self.count == 1 else name}"


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a value in a unit (None: none is recorded) becomes one in another: times `factor`, plus `offset`."""

    unit: str | None
    factor: float
    offset: float


Scalar = bool | int | float | str | date | Duration
"""A constant in a rule, or a value that one has for a patient (where None is unknown)."""


class Status(enum.StrEnum):
    """What an indicator says of one patient."""

    MET = "met"
    DUE = "due"
    OVERDUE = "overdue"
    EXCLUDED = "excluded"
    NOT_APPLICABLE = "not_applicable"
    NOT_EVALUATED = "not_evaluated"
