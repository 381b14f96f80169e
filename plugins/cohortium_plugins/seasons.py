"""Seasons: spans that come back every year, such as 1 September to 31 March.

    flu = Season((9, 1), (3, 31))
    events("flu-vaccination").in_season(flu).exists

Not here: what the latest such day of the year is (`model.nodes.SeasonStart`).
"""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass

from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.language import BoolSeries, DateSeries, as_node, days, season_start, years
from cohortium_plugins.model.values import ValueType

__all__ = ["Season"]

LEAP, PLAIN = 2024, 2023
MOST = 28


@dataclass(frozen=True)
class Season:
    """A span of the year from one (month, day) to another, both included. It starts on a day that every year has (the
    28th at the latest), and ends before the 28th or with its month; the 28th or 29th of February mean its end.

    Raises DefinitionError for a span without an outside, or ends that not every year has.
    """

    starts: tuple[int, int]
    ends: tuple[int, int]

    def __post_init__(self) -> None:
        """Refuse what is no season."""
        day = _day(self.starts)
        if day.day > MOST:
            raise DefinitionError("A season starts on a day that every year has.", "Use a day from 1 to 28.")
        if self.over == self.starts:
            raise DefinitionError("This season is the whole year.", "Leave it out, or let it end earlier.")

    @property
    def over(self) -> tuple[int, int]:
        """The month and day after its last day."""
        end = _day(self.ends)
        if end.month == 2 and end.day >= MOST:  # noqa: PLR2004 - February ends on either
            return (3, 1)
        following = end + dt.timedelta(days=1)
        if following.day > MOST:
            raise DefinitionError("A season ends before the 28th, or with its month.", "Use one of these days.")
        return (following.month, following.day)

    def start(self, day: DateSeries | dt.date) -> DateSeries:
        """Give the first day of the season that a day lies in, or of the last one before it."""
        return season_start(_series(day), *self.starts)

    def end(self, day: DateSeries | dt.date) -> DateSeries:
        """Give the last day of the same season."""
        return season_start(self.start(day) + years(1), *self.over) - days(1)

    def contains(self, day: DateSeries | dt.date) -> BoolSeries:
        """Tell whether a day lies in a season, both ends included."""
        return self.start(day) > season_start(_series(day), *self.over)


def _series(day: DateSeries | dt.date) -> DateSeries:
    return DateSeries(as_node(day, kind=ValueType.DATE))


def _day(of: tuple[int, int]) -> dt.date:
    month, day = of
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(LEAP, month)[1]):  # noqa: PLR2004 - the calendar's own
        raise DefinitionError(f"There is no day {day} of month {month}.", "Write (month, day): (9, 1) is 1 September.")
    return dt.date(PLAIN if (month, day) != (2, 29) else LEAP, month, day)
