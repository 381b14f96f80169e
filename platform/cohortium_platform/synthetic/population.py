"""Who lives in a block: birth, sex, ethnic group, deprivation, registrations, moves and deaths.

Here: the people as columns, without names. Not here: names and numbers (`identities.py`), illness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import NEVER, YEAR, Days, Small, Values, day_of
from cohortium_platform.synthetic.options import Setting, SyntheticOptions, SyntheticPractice
from cohortium_platform.synthetic.places import (
    ETHNIC_GROUPS,
    age_weights,
    deprivation_weights,
    ethnic_weights,
    mortality,
)
from cohortium_platform.synthetic.plan import HISTORY_YEARS, Block, Stage, stream

__all__ = ["FEMALE", "INDETERMINATE", "MALE", "SEXES", "UNRECORDED", "People", "make_people"]

FEMALE, MALE, INDETERMINATE, UNRECORDED = range(4)
SEXES = ("female", "male", "indeterminate", None)
_MEAN_STAY_YEARS = {Setting.URBAN: 25.0, Setting.RURAL: 35.0}
_LEAVERS_PEAK_AGE, _LEAVERS_SPREAD = 28, 14


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """People of one block, one array element each.

    `start` is the registration at their last practice, `moved` the day they came there from `origin` (else NEVER) and
    `origin_start` the registration before. `end` and `death` are NEVER for those still there. `last` is the last day
    on which anything can be recorded; `imd` is 0 where unknown; `ethnicity` counts into `ETHNIC_GROUPS`.
    """

    birth: Days
    sex: Small
    ethnicity: Small
    imd: Small
    start: Days
    end: Days
    death: Days
    moved: Days
    origin_start: Days
    last: Days

    @property
    def size(self) -> int:
        """How many they are."""
        return len(self.birth)

    @property
    def age(self) -> Values:
        """Their age in years on their last day."""
        return np.asarray((self.last - self.birth) / YEAR, dtype=np.float64)


def _ages(rng: np.random.Generator, weights: Values, size: int) -> Values:
    """Draw exact ages, evenly within each year."""
    return np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(size), side="right") + rng.random(size)


def _age_days(rng: np.random.Generator, practice: SyntheticPractice, block: Block) -> Days:
    """Draw ages in days: of those there now, of those who died, of those who left, in this order."""
    here = age_weights(practice.ages)
    leaving = here * (0.3 + np.exp(-(((np.arange(len(here)) - _LEAVERS_PEAK_AGE) / _LEAVERS_SPREAD) ** 2)))
    ages = np.concatenate(
        [
            _ages(rng, here, block.current),
            _ages(rng, here * mortality(), block.died),
            _ages(rng, leaving, block.left),
        ]
    )
    return np.asarray(ages * YEAR, dtype=np.int32)


def _sexes(rng: np.random.Generator, age: Values) -> Small:
    """Draw sexes; women outlive men, and a few records say neither or nothing."""
    male = rng.random(len(age)) < 0.505 - 0.0035 * np.clip(age - 65, 0, 30)
    rare = rng.random(len(age))
    sex = np.where(male, MALE, FEMALE)
    return np.where(rare < 0.0002, INDETERMINATE, np.where(rare < 0.0007, UNRECORDED, sex)).astype(np.int8)


def _pick(rng: np.random.Generator, weights: Values, size: int) -> Small:
    chosen = np.searchsorted(np.cumsum(weights), rng.random(size), side="right")
    return np.minimum(chosen, len(weights) - 1).astype(np.int8)


def make_people(options: SyntheticOptions, block: Block) -> People:
    """Make the people of a block."""
    rng = stream(options, block.number, Stage.PEOPLE)
    practice = options.practices[block.home]
    today, size = day_of(options.records_to), block.size
    age = np.maximum(_age_days(rng, practice, block), 2)
    past = int(HISTORY_YEARS * YEAR)
    gone = np.arange(size) >= block.current
    dead = gone & (np.arange(size) < block.current + block.died)
    exit_day = np.where(gone, today - rng.integers(0, past, size), today).astype(np.int32)
    birth = exit_day - age
    stay = rng.exponential(_MEAN_STAY_YEARS[practice.setting] * YEAR, size).astype(np.int64)
    registered = np.maximum(exit_day - stay, birth).astype(np.int32)
    moved, start = np.full(size, NEVER, dtype=np.int32), registered
    if block.origin is not None:
        moved = np.maximum(today - rng.integers(1, past, size), birth + 1).astype(np.int32)
        moved = np.minimum(moved, today)
        registered = np.minimum(registered, moved - 1).astype(np.int32)
        start = moved
    years = age / YEAR
    imd = _pick(rng, deprivation_weights(practice.deprivation), size) + 1
    return People(
        birth=birth.astype(np.int32),
        sex=_sexes(rng, years),
        ethnicity=np.minimum(_pick(rng, ethnic_weights(practice.ethnicity), size), len(ETHNIC_GROUPS) - 1).astype(
            np.int8
        ),
        imd=np.where(rng.random(size) < 0.005, 0, imd).astype(np.int8),
        start=start,
        end=np.where(gone, exit_day, NEVER).astype(np.int32),
        death=np.where(dead, exit_day, NEVER).astype(np.int32),
        moved=moved,
        origin_start=registered,
        last=exit_day,
    )
