"""Rates of an indicator, month by month.

The rate is met / (met + overdue): who is due, excluded, not evaluated or not concerned is outside. The whole-population
rate counts those excluded as not met, so that exempting people cannot raise it. The rate over closed windows leaves out
people whose window is still open: without it, an early success counts before the failures of its month can.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cohortium_platform.results import Count
from cohortium_plugins.model import Status

__all__ = ["Rate", "rates"]


@dataclass(frozen=True, slots=True)
class Rate:
    """One indicator at one index date. Rates are from 0 to 1; None when nobody is in the denominator."""

    indicator: str
    index_date: dt.date
    met: int
    due: int
    overdue: int
    excluded: int
    not_evaluated: int
    closed_met: int
    closed_overdue: int

    @property
    def rate(self) -> float | None:
        """Met, of those met or overdue."""
        return _share(self.met, self.met + self.overdue)

    @property
    def whole_population(self) -> float | None:
        """Met, of those met, overdue or excluded."""
        return _share(self.met, self.met + self.overdue + self.excluded)

    @property
    def closed_windows(self) -> float | None:
        """Met, of those met or overdue whose window has closed; None for an indicator without a window."""
        return _share(self.closed_met, self.closed_met + self.closed_overdue)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def rates(counts: Iterable[Count]) -> Sequence[Rate]:
    """Add counts up by indicator and index date, over whatever practices they are of."""
    people: dict[tuple[str, dt.date], dict[tuple[Status, bool | None], int]] = defaultdict(lambda: defaultdict(int))
    for count in counts:
        people[count.indicator, count.index_date][count.status, count.closed] += count.people

    def every(found: dict[tuple[Status, bool | None], int], status: Status) -> int:
        return found[status, True] + found[status, False] + found[status, None]

    return [
        Rate(
            indicator=indicator,
            index_date=day,
            met=every(found, Status.MET),
            due=every(found, Status.DUE),
            overdue=every(found, Status.OVERDUE),
            excluded=every(found, Status.EXCLUDED),
            not_evaluated=every(found, Status.NOT_EVALUATED),
            closed_met=found[Status.MET, True],
            closed_overdue=found[Status.OVERDUE, True],
        )
        for (indicator, day), found in sorted(people.items())
    ]
