"""The days that a registry is evaluated as of, so that it has a history on the day it is enabled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

__all__ = ["HISTORY_MONTHS", "history_days"]

HISTORY_MONTHS = 24


def history_days(last: dt.date, months: int = HISTORY_MONTHS) -> Sequence[dt.date]:
    """A day and the month ends before it, so many in all, the earliest first."""
    days = [last]
    while len(days) < months:
        days.append(days[-1].replace(day=1) - dt.timedelta(days=1))
    return sorted(days)
