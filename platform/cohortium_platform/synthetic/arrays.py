"""Array types of the generator, and calendar arithmetic on whole columns of days.

Here: names for the NumPy types that every module passes around, and the rules for months. Not here: anything about
patients.

A day is an int32 count from 1 January 1970, as in Parquet's DATE. `NEVER` stands for "no such day" and is later than
any day that occurs, so that `day <= limit` is false for it without a special case.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

__all__ = [
    "NEVER",
    "YEAR",
    "Codes",
    "Days",
    "Flags",
    "Index",
    "Small",
    "Values",
    "add_months",
    "day_of",
    "month_first",
    "month_last",
    "month_of",
    "on_weekday",
    "to_date",
]

Days = npt.NDArray[np.int32]
Index = npt.NDArray[np.int32]
Codes = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Small = npt.NDArray[np.int8]

NEVER = 2**30
YEAR = 365.25
_EPOCH = date(1970, 1, 1)
_SATURDAY = 5


def day_of(when: date) -> int:
    """Give the day count of a date."""
    return (when - _EPOCH).days


def to_date(day: int) -> date:
    """Give the date of a day count."""
    return date.fromordinal(_EPOCH.toordinal() + day)


def month_of(days: Days) -> Index:
    """Give whole months since January 1970; meaningless for NEVER."""
    return np.asarray(days).astype("datetime64[D]").astype("datetime64[M]").astype(np.int32)


def month_first(months: Index) -> Days:
    """Give the first day of each month."""
    return np.asarray(months).astype("datetime64[M]").astype("datetime64[D]").astype(np.int32)


def month_last(months: Index) -> Days:
    """Give the last day of each month."""
    return month_first(np.asarray(months) + 1) - 1


def add_months(days: Days, months: int) -> Days:
    """Add months, keeping the day of the month or taking the last day of a shorter month."""
    month = month_of(days)
    kept = np.asarray(days) - month_first(month)
    return np.minimum(month_first(month + months) + kept, month_last(month + months)).astype(np.int32)


def on_weekday(days: Days, low: Days, high: Days) -> Days:
    """Move days at a weekend to the Friday before or the Monday after, where that stays between low and high."""
    weekday = (days + 3) % 7
    before = days - (weekday - _SATURDAY + 1)
    after = days + (7 - weekday)
    weekend = weekday >= _SATURDAY
    moved = np.where(weekend & (before >= low), before, days)
    return np.where(weekend & (before < low) & (after <= high), after, moved).astype(np.int32)
