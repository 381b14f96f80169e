"""What is true of a person across their record: build, habits, how often they are seen.

Here: traits that values and events depend on, drawn once a person, and the yearly rhythm in which routine care
happens. Not here: the rows (`routine.py`, `care.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import YEAR, Days, Flags, Index, Small, Values, day_of
from cohortium_platform.synthetic.conditions import Conditions
from cohortium_platform.synthetic.options import SyntheticOptions
from cohortium_platform.synthetic.population import MALE, People

__all__ = ["CURRENT", "EX", "NEVER_SMOKED", "YEARS_OF_HISTORY", "Life", "Traits", "Yearly", "make_life"]

NEVER_SMOKED, EX, CURRENT = range(3)
YEARS_OF_HISTORY = 10
_CHILD_AGES, _CHILD_CM = (0, 1, 2, 5, 10, 13, 16, 18), (50, 75, 87, 110, 139, 157, 168, 170)
_ADULT = 18
_SMOKE_AGES = (10, 16, 25, 45, 60, 75, 90)
_SMOKE_NOW, _SMOKE_EVER = (0, 0.06, 0.17, 0.16, 0.13, 0.08, 0.04), (0, 0.07, 0.25, 0.38, 0.45, 0.48, 0.42)
_FULL_DENSITY = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """Traits of a block's people, one array element each.

    `age` is in years on the last day, `long_term` the number of long-term conditions, `height` in cm (adults' final
    height), `bmi` the adult body mass index, `smoking` one of the three states, `units` of alcohol a week, `seen` how
    much more often than others someone is seen (mean one).
    """

    age: Values
    male: Flags
    long_term: Values
    height: Values
    bmi: Values
    smoking: Small
    units: Values
    seen: Values
    circulatory: Flags
    diabetic: Flags
    mental: Flags

    def height_at(self, age: Values, person: Index) -> Values:
        """Give heights in cm at given ages."""
        child = np.interp(age, _CHILD_AGES, _CHILD_CM) * self.height[person] / _CHILD_CM[-1]
        return np.where(age < _ADULT, child, self.height[person])

    def bmi_at(self, age: Values, person: Index) -> Values:
        """Give body mass index at given ages; children are leaner."""
        share = np.interp(age, (0, 6, 18, 45), (0.6, 0.58, 0.85, 1.0))
        return self.bmi[person] * share


@dataclass(frozen=True, slots=True, eq=False)
class Yearly:
    """The rhythm of routine care: each person has their own time of year. `thinned` is below one at low densities."""

    birth: Days
    today: int
    offset: Values
    thinned: float

    def draw(self, rng: np.random.Generator, chance: Values, *, every: int = 1) -> tuple[Index, Days]:
        """Draw a routine event a person and period of `every` years, with a chance each, over the history."""
        periods = -(-YEARS_OF_HISTORY // every)
        chance = (chance * self.thinned).astype(np.float32)
        hit = rng.random((len(chance), periods), dtype=np.float32) < chance[:, None]
        person, period = np.nonzero(hit)
        back = (period + self.offset[person]) * every * YEAR + rng.normal(0, 18, len(person))
        return person.astype(np.int32), (self.today - np.abs(back)).astype(np.int32)

    def age(self, person: Index, day: Days) -> Values:
        """Give people's ages in years on given days."""
        return np.asarray((day - self.birth[person]) / YEAR, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """A block's people with all that their routine care depends on."""

    people: People
    conditions: Conditions
    traits: Traits
    yearly: Yearly


def _smoking(rng: np.random.Generator, age: Values, imd: Small) -> Small:
    draw = rng.random(len(age)) * np.where(imd == 0, 1.0, 0.75 + 0.045 * imd)
    ever = np.interp(age, _SMOKE_AGES, _SMOKE_EVER)
    now = np.interp(age, _SMOKE_AGES, _SMOKE_NOW)
    return np.where(draw < now, CURRENT, np.where(draw < ever, EX, NEVER_SMOKED)).astype(np.int8)


def make_life(rng: np.random.Generator, options: SyntheticOptions, people: People, conditions: Conditions) -> Life:
    """Draw the traits of a block's people and when in the year they are seen."""
    size, age, male = people.size, people.age, people.sex == MALE
    long_term, diabetic = conditions.count(), conditions.has("diabetes")
    heavy = diabetic * 3.5 + conditions.has("hypertension", "osteoarthritis") * 1.2
    drinks = rng.random(size) < np.where(age < _ADULT - 2, 0.0, 0.72)
    traits = Traits(
        age=age,
        male=male,
        long_term=long_term,
        height=np.where(male, 176, 162.5) + rng.normal(0, 6.8, size),
        bmi=np.exp(rng.normal(np.log(26.3), 0.17, size)) + heavy,
        smoking=_smoking(rng, age, people.imd),
        units=np.where(drinks, rng.gamma(1.1, 9.0, size), 0.0),
        seen=rng.gamma(3.0, 1 / 3, size),
        circulatory=conditions.has(
            "hypertension", "coronary-heart-disease", "stroke", "transient-ischaemic-attack", "atrial-fibrillation",
            "heart-failure", "peripheral-arterial-disease", "chronic-kidney-disease",
        ),
        diabetic=diabetic,
        mental=conditions.has("depression", "anxiety-disorder", "severe-mental-illness"),
    )  # fmt: skip
    thinned = min(1.0, options.density / _FULL_DENSITY)
    yearly = Yearly(people.birth, day_of(options.records_to), rng.random(size), thinned)
    return Life(people, conditions, traits, yearly)
