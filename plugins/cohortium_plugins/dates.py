"""Calendar arithmetic, said once: what adding months means and what a completed year is."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

from cohortium_plugins.model.values import Duration, Unit

__all__ = ["add", "completed", "season_start"]

MONTHS_A_YEAR = 12
DAYS_A_WEEK = 7


def add(day: date, duration: Duration, sign: int = 1) -> date | None:
    """Move a day by a duration. Months and years keep the day of the month, or take the last day of a shorter one.

    None when the result lies outside the years 1 to 9999.
    """
    count = duration.count * sign
    try:
        if duration.unit is Unit.DAYS:
            return day + timedelta(days=count)
        if duration.unit is Unit.WEEKS:
            return day + timedelta(weeks=count)
        whole = day.year * MONTHS_A_YEAR + day.month - 1
        whole += count * (MONTHS_A_YEAR if duration.unit is Unit.YEARS else 1)
        year, month = divmod(whole, MONTHS_A_YEAR)
        last = calendar.monthrange(year, month + 1)[1]
        return date(year, month + 1, min(day.day, last))
    except (OverflowError, ValueError):
        return None


def completed(start: date, end: date, unit: Unit) -> int:
    """Count completed units from start to end: the most that can be added to start without passing end.

    Negative, and counted from end to start, when end is before start.
    """
    if end < start:
        return -completed(end, start, unit)
    if unit is Unit.DAYS:
        return (end - start).days
    if unit is Unit.WEEKS:
        return (end - start).days // DAYS_A_WEEK
    whole = (end.year - start.year) * MONTHS_A_YEAR + end.month - start.month
    last = calendar.monthrange(end.year, end.month)[1]
    if end.day < min(start.day, last):
        whole -= 1
    return whole // MONTHS_A_YEAR if unit is Unit.YEARS else whole


def season_start(day: date, month: int, day_of_month: int) -> date | None:
    """Give the latest such day of the year on or before a day; None before the year 1."""
    here = date(day.year, month, day_of_month)
    if here <= day:
        return here
    return None if day.year == 1 else date(day.year - 1, month, day_of_month)
