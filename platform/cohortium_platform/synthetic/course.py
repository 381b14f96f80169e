"""Bending outcomes to a known course: which diagnoses of the whole tenant succeed, and in which month.

Here: what a month's end counts, the tenant-wide list of diagnoses, and the order of steps. Not here: the arithmetic
(`quotas.py`, `repair.py`) and drawing the usual outcomes (`outcomes.py`).

A month's rate is met / (met + overdue) over people registered and alive on its last day. A success counts from the day
it happens, a failure only from the day after its window has closed; so a rate is a sum over overlapping months of
diagnosis, and a success stays in it until the diagnosis is too long ago. Quotas hold over the whole tenant: they are
dealt here, before any practice's rows are written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cohortium_platform.synthetic.arrays import (
    NEVER,
    Days,
    Flags,
    Index,
    Values,
    add_months,
    day_of,
    month_last,
    month_of,
)
from cohortium_platform.synthetic.cancer import CancerPatients, find_cancer_patients
from cohortium_platform.synthetic.options import SyntheticOptions
from cohortium_platform.synthetic.outcomes import (
    REVIEW,
    SUPPORT,
    Outcomes,
    Window,
    day_within,
    in_month,
    qof_year,
    usual_outcomes,
)
from cohortium_platform.synthetic.plan import Block, plan
from cohortium_platform.synthetic.population import People, make_people
from cohortium_platform.synthetic.quotas import FAILED, Goals, Ledger, deal, quotas
from cohortium_platform.synthetic.repair import repair
from cohortium_platform.synthetic.targets import Course, Month

__all__ = ["Fitted", "Reached", "Units", "fit_course", "goals_of", "ledger_of"]

_MONTHS_BEFORE = 24
_LONGEST_LOOK_BACK = 24
_RECENT_MONTHS = 3
_BETWEEN_WEIGHT, _OUTSIDE_WEIGHT = 0.3, 0.2
_COURSE_STREAM = 2**31
_PERCENT = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Diagnoses of the whole tenant that the course concerns, one array element each.

    `block` and `place` say whose they are: the place counts into that block's `Outcomes`. `registered` is the first
    registration in the tenant, `moved` the day of a move within it or NEVER, `last` the last day on which something
    can be recorded, `until` the last day on which they are registered and alive.
    """

    block: Index
    place: Index
    diagnosed: Days
    registered: Days
    moved: Days
    last: Days
    until: Days
    invited: Days
    invited_again: Days


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Bent outcomes of one block: at `place` of its `Outcomes`, these review and support days."""

    place: Index
    review: Days
    support: Days

    def put(self, outcomes: Outcomes) -> Outcomes:
        """Give the outcomes with the bent days in place of the usual ones."""
        review, support = outcomes.review.copy(), outcomes.support.copy()
        review[self.place], support[self.place] = self.review, self.support
        return replace(outcomes, review=review, support=support)


@dataclass(frozen=True, slots=True)
class Reached:
    """What the bent outcomes show at one month's end, in per cent; `closed` counts closed windows only."""

    indicator: str
    month: Index
    wanted: Values
    reached: Values
    closed: Values


def goals_of(course: Course, window: Window, records_to: int) -> Goals:
    """Spread a course over every month end up to `records_to`: published, between, before and after."""
    known = {(item.year - 1970) * 12 + item.month - 1: _figure(item, window) for item in course.months}
    first, last = min(known), max(known)
    latest = int(month_of(np.array([records_to + 1], dtype=np.int32))[0]) - 1
    month = np.arange(first - _MONTHS_BEFORE, latest + 1, dtype=np.int32)
    rate = np.interp(month, sorted(known), [known[key] for key in sorted(known)], left=course.before)
    between = (month > first) & (month < last)
    weight = np.where(np.isin(month, list(known)), 1.0, np.where(between, _BETWEEN_WEIGHT, _OUTSIDE_WEIGHT))
    return Goals(month, np.asarray(rate / _PERCENT), weight)


def _figure(item: Month, window: Window) -> float:
    return item.support if window is SUPPORT else item.review


def ledger_of(window: Window, units: Units, goals: Goals) -> Ledger:
    """Work out for every unit and month end whether a success would count, and whether a failure would."""
    end = month_last(goals.month)[None, :]
    diagnosed = units.diagnosed[:, None]
    moved = units.moved[:, None]
    here = (units.registered[:, None] <= end) & (units.until[:, None] >= end)
    met = here & (diagnosed <= end) & (diagnosed >= add_months(end, -window.look_back))
    closed = window.closes(units.diagnosed)[:, None] < end
    since = np.where(moved <= end, moved, units.registered[:, None])
    recent = since > add_months(end, -_RECENT_MONTHS)
    ignored = (units.invited_again[:, None] <= end) & (qof_year(units.invited)[:, None] == qof_year(end))
    return Ledger(
        diagnosed=month_of(units.diagnosed),
        met=met,
        overdue=met & closed & ~recent & ~ignored,
        closed=met & closed,
    )


def _units(options: SyntheticOptions, earliest: int) -> Units:
    """List the tenant's diagnoses from a day on: a pass over all blocks that makes only people and diagnoses."""
    parts: list[tuple[Index, ...]] = []
    for block in plan(options).blocks:
        people = make_people(options, block)
        patients = find_cancer_patients(options, block, people)
        outcomes = usual_outcomes(options, block, people, patients)
        parts.append(_block_units(block, people, patients, outcomes, earliest))
    return Units(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _block_units(
    block: Block, people: People, patients: CancerPatients, outcomes: Outcomes, earliest: int
) -> tuple[Index, ...]:
    place = np.flatnonzero(outcomes.diagnosed >= earliest).astype(np.int32)
    person = patients.person[outcomes.patient[place]]
    return (
        np.full(len(place), block.number, dtype=np.int32),
        place,
        outcomes.diagnosed[place],
        people.origin_start[person],
        people.moved[person],
        people.last[person],
        people.last[person] - (people.death[person] < NEVER),
        outcomes.invited[place],
        outcomes.invited_again[place],
    )


def _bend(
    rng: np.random.Generator, window: Window, units: Units, goals: Goals, course: Course
) -> tuple[Days, Ledger, Index]:
    """Choose each unit's month of success, or failure, and a day in it."""
    ledger = ledger_of(window, units, goals)
    able = _able(window, units)
    fixed = units.invited < NEVER
    wanted = quotas(ledger, goals, window.habit, _usual_share(course, window, ledger, goals))
    step = deal(rng, ledger, wanted, able)
    step = np.where(fixed, FAILED, step).astype(np.int32)
    step = repair(rng, ledger, goals, step, able & ~fixed[:, None])
    low, high = in_month(window, units.diagnosed, units.last, np.maximum(step, 0))
    day = day_within(rng.random(len(step)), low, high)
    return np.where(step == FAILED, NEVER, day).astype(np.int32), ledger, step


def _usual_share(course: Course, window: Window, ledger: Ledger, goals: Goals) -> Values:
    """Give the share of success that practices aimed at in each month, from the first month of diagnosis on."""
    month = np.arange(int(ledger.diagnosed.min()), int(goals.month.max()) + 1)
    ended = (course.ended[0] - 1970) * 12 + course.ended[1] - 1
    return np.where(month < ended, window.success, window.success * course.after)


def _able(window: Window, units: Units) -> Flags:
    """Say for each unit in which calendar months after its diagnosis a success can still be recorded."""
    columns = []
    for step in range(len(window.habit)):
        low, high = in_month(window, units.diagnosed, units.last, np.full(len(units.place), step, dtype=np.int32))
        columns.append(low <= high)
    return np.stack(columns, axis=1)


def fit_course(options: SyntheticOptions, course: Course) -> tuple[dict[int, Fitted], tuple[Reached, ...]]:
    """Bend the outcomes of a tenant to a course. Gives them by block, and what each month's end will show."""
    start = min((item.year - 1970) * 12 + item.month - 1 for item in course.months)
    earliest = int(add_months(month_last(np.array([start - _MONTHS_BEFORE])), -_LONGEST_LOOK_BACK)[0])
    units = _units(options, earliest)
    seeds = np.random.SeedSequence(options.seed, spawn_key=(_COURSE_STREAM,))
    rng = np.random.Generator(np.random.SFC64(seeds))
    days, reached = [], []
    for window in (REVIEW, SUPPORT):
        goals = goals_of(course, window, day_of(options.records_to))
        day, ledger, step = _bend(rng, window, units, goals, course)
        days.append(day)
        rate, closed = ledger.rates(goals, step)
        reached.append(Reached(window.name, goals.month, goals.rate * _PERCENT, rate * _PERCENT, closed * _PERCENT))
    fitted = {}
    for number in np.unique(units.block):
        mine = units.block == number
        fitted[int(number)] = Fitted(units.place[mine], days[0][mine], days[1][mine])
    return fitted, tuple(reached)
