"""What came of each cancer diagnosis: was support discussed, was care reviewed, who was invited.

Here: a row for each diagnosis that starts a clock, with the usual chances, and the two indicators' windows. Not here:
bending outcomes to a known course (`course.py`, `quotas.py`).

A diagnosis starts a clock when it is the first entry of its tumour site. Support counts until 93 days after it, a
review until twelve months after it, both ends included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import (
    NEVER,
    Days,
    Flags,
    Index,
    add_months,
    month_first,
    month_last,
    month_of,
    on_weekday,
)
from cohortium_platform.synthetic.cancer import CancerPatients
from cohortium_platform.synthetic.options import SyntheticOptions
from cohortium_platform.synthetic.plan import Block, Stage, stream
from cohortium_platform.synthetic.population import People

__all__ = ["REVIEW", "SUPPORT", "Outcomes", "Window", "day_within", "in_month", "qof_year", "usual_outcomes"]

_UNANSWERED = 0.012
_APRIL = 3
_YEAR_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Window:
    """One indicator's window after a diagnosis.

    It applies for `look_back` months after the diagnosis. `habit` is the share of successes in the calendar month of
    the diagnosis, the next, and so on; `success` the usual share that succeeds at all.
    """

    name: str
    look_back: int
    habit: tuple[float, ...]
    success: float
    closes: Callable[[Days], Days]


def _after_93_days(days: Days) -> Days:
    return (days + 93).astype(np.int32)


def _after_12_months(days: Days) -> Days:
    return add_months(days, _YEAR_MONTHS)


SUPPORT = Window("support", 12, (0.35, 0.30, 0.20, 0.15), 0.78, _after_93_days)
REVIEW = Window("review", 24, (1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 10, 12, 5), 0.72, _after_12_months)


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Diagnoses of one block that start a clock, one array element each.

    `patient` counts into the block's cancer patients. `review` and `support` are the days inside the window, or
    NEVER. `invited` and `invited_again` are two invitations within one QOF year that were never answered, or NEVER.
    """

    patient: Index
    diagnosed: Days
    review: Days
    support: Days
    invited: Days
    invited_again: Days

    @property
    def unanswered(self) -> Flags:
        """Marks people invited twice who never came."""
        return np.asarray(self.invited < NEVER)


def qof_year(days: Days) -> Index:
    """Give the QOF year of each day (from 1 April), by the calendar year in which it begins, counted from 1970."""
    return ((month_of(days) - _APRIL) // _YEAR_MONTHS).astype(np.int32)


def day_within(draw: np.ndarray[tuple[int], np.dtype[np.float64]], low: Days, high: Days) -> Days:
    """Turn draws from 0 to 1 into days from low to high, weekdays where there are any; NEVER where high < low."""
    span = np.maximum(high - low + 1, 1)
    day = (low + np.minimum((draw * span).astype(np.int32), span - 1)).astype(np.int32)
    return np.where(high < low, NEVER, on_weekday(day, low, high)).astype(np.int32)


def in_month(window: Window, diagnosed: Days, last: Days, step: Index) -> tuple[Days, Days]:
    """Give the days of the window in the step-th calendar month after the diagnosis, up to the person's last day."""
    month = month_of(diagnosed) + step
    low = np.maximum(diagnosed, month_first(month))
    high = np.minimum(np.minimum(window.closes(diagnosed), month_last(month)), last)
    return low.astype(np.int32), high.astype(np.int32)


def _usual(rng: np.random.Generator, window: Window, diagnosed: Days, last: Days) -> Days:
    habit = np.cumsum(window.habit) / np.sum(window.habit)
    step = np.searchsorted(habit, rng.random(len(diagnosed)), side="right").astype(np.int32)
    day = day_within(rng.random(len(diagnosed)), *in_month(window, diagnosed, last, step))
    return np.where(rng.random(len(diagnosed)) < window.success, day, NEVER).astype(np.int32)


def usual_outcomes(options: SyntheticOptions, block: Block, people: People, patients: CancerPatients) -> Outcomes:
    """Draw the outcomes of a block's diagnoses with the usual chances."""
    rng = stream(options, block.number, Stage.COURSE)
    first = np.flatnonzero(~patients.history_only)
    again = np.flatnonzero(patients.second < NEVER)
    patient = np.concatenate([first, again]).astype(np.int32)
    diagnosed = np.concatenate([patients.first[first], patients.second[again]]).astype(np.int32)
    last = people.last[patients.person[patient]]
    support, review = (_usual(rng, window, diagnosed, last) for window in (SUPPORT, REVIEW))
    invited = (diagnosed + rng.integers(60, 330, len(patient))).astype(np.int32)
    invited_again = (invited + rng.integers(14, 42, len(patient))).astype(np.int32)
    unanswered = (
        (rng.random(len(patient)) < _UNANSWERED)
        & (invited_again <= last)
        & (qof_year(invited) == qof_year(invited_again))
    )
    return Outcomes(
        patient=patient,
        diagnosed=diagnosed,
        review=np.where(unanswered, NEVER, review).astype(np.int32),
        support=np.where(unanswered, NEVER, support).astype(np.int32),
        invited=np.where(unanswered, invited, NEVER).astype(np.int32),
        invited_again=np.where(unanswered, invited_again, NEVER).astype(np.int32),
    )
