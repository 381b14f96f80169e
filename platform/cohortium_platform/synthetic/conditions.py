"""Drawing long-term conditions that come together as they do in people.

Here: who has which condition since when, and the rows that say so. Not here: how common they are (`illness.py`), and
what follows from them (`routine.py`, `care.py`).

Each person has a hidden tendency to each condition: a normal draw, part of it shared with conditions of the same cause
(a Gaussian copula). They have the condition when the tendency exceeds what the prevalence at their age asks for.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from cohortium_platform.synthetic.arrays import NEVER, YEAR, Days, Flags, Values
from cohortium_platform.synthetic.codes import sampler
from cohortium_platform.synthetic.illness import AGES, CAUSES, CONDITIONS
from cohortium_platform.synthetic.options import SyntheticOptions
from cohortium_platform.synthetic.places import OLDEST
from cohortium_platform.synthetic.plan import Block, Stage, stream
from cohortium_platform.synthetic.population import MALE, People
from cohortium_platform.synthetic.rows import EventRows

__all__ = ["Conditions", "add_condition_rows", "find_conditions"]

_RARE, _SURE = 1e-6, 0.95
_MIDDLE_DECILE = 5.5
_CODED_AGAIN = 0.25
_TYPE_1 = 0.08
FIRST = 1


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """Onset days of a block: a row a person, a column a condition of `CONDITIONS`; NEVER where they have it not.

    `resolved` holds the days on which a record says that it is over.
    """

    onset: Days
    resolved: Days

    def has(self, *names: str) -> Flags:
        """Say who has any of some conditions, over or not."""
        columns = [place for place, condition in enumerate(CONDITIONS) if condition.codelist in names]
        return np.asarray((self.onset[:, columns] < NEVER).any(axis=1))

    def count(self) -> Values:
        """Give how many conditions each person has."""
        return np.asarray((self.onset < NEVER).sum(axis=1), dtype=np.float64)


@functools.cache
def _thresholds() -> Values:
    """Give the tendency above which someone has a condition, by sex (women first), age and condition."""
    normal, years = NormalDist(), np.arange(OLDEST + 1)
    table = np.empty((2, len(years), len(CONDITIONS)))
    for column, condition in enumerate(CONDITIONS):
        share = np.exp(np.interp(years, AGES, np.log(np.maximum(condition.prevalence, 1e-4)))) / 100
        share = np.where(years < condition.from_age, 0.0, share)
        women = 2 / (1 + condition.men)
        for sex, lift in enumerate((women, women * condition.men)):
            table[sex, :, column] = [normal.inv_cdf(1 - min(max(value * lift, _RARE), _SURE)) for value in share]
    return table


@functools.cache
def _loadings() -> tuple[Values, Values, Values]:
    """Give how much of each tendency comes from each cause, how much is its own, and its pull by deprivation."""
    shared = np.array([[condition.goes_with.get(cause, 0.0) for condition in CONDITIONS] for cause in CAUSES])
    own = np.sqrt(1 - (shared**2).sum(axis=0))
    return shared, own, np.array([condition.poverty for condition in CONDITIONS])


def _onsets(rng: np.random.Generator, people: People) -> Days:
    """Draw since when, later than the youngest age of onset."""
    years = np.array([condition.years for condition in CONDITIONS])
    since = rng.standard_exponential((people.size, len(CONDITIONS))) * years * YEAR
    youngest = np.array([condition.from_age for condition in CONDITIONS]) * YEAR
    lived = (people.last - people.birth)[:, None]
    room = np.maximum(lived - youngest, 1)
    # Times that would lie before the youngest age are folded back into the years in which it could begin.
    since = np.where(since > room, since % room, since)
    return np.asarray(people.last[:, None] - since, dtype=np.int32)


def find_conditions(options: SyntheticOptions, block: Block, people: People) -> Conditions:
    """Draw the conditions of a block's people."""
    rng = stream(options, block.number, Stage.CONDITIONS)
    shared, own, poverty = _loadings()
    causes = rng.standard_normal((people.size, len(CAUSES)))
    tendency = causes @ shared + rng.standard_normal((people.size, len(CONDITIONS))) * own
    decile = np.where(people.imd == 0, _MIDDLE_DECILE, people.imd)
    tendency += ((_MIDDLE_DECILE - decile) / _MIDDLE_DECILE)[:, None] * poverty
    age = np.clip(people.age, 0, OLDEST).astype(np.int64)
    has = tendency > _thresholds()[(people.sex == MALE).astype(np.int64), age]
    names = [condition.codelist for condition in CONDITIONS]
    has[:, names.index("non-diabetic-hyperglycaemia")] &= ~has[:, names.index("diabetes")]
    onset = np.where(has, _onsets(rng, people), NEVER).astype(np.int32)
    over = rng.random(onset.shape) < np.array([condition.resolved for condition in CONDITIONS])
    left = np.maximum(people.last[:, None] - onset, 1)
    resolved = onset + 1 + (rng.random(onset.shape) * left).astype(np.int32)
    return Conditions(onset, np.where(has & over, resolved, NEVER).astype(np.int32))


def add_condition_rows(rng: np.random.Generator, rows: EventRows, conditions: Conditions) -> None:
    """Add diagnoses, the same diagnosis coded again later, and resolved codes."""
    for column, condition in enumerate(CONDITIONS):
        person = np.flatnonzero(conditions.onset[:, column] < NEVER).astype(np.int32)
        day = conditions.onset[person, column]
        draw = sampler(condition.codelist).draw
        rows.add(person, day, draw(rng, len(person)), episode=FIRST)
        again = rng.random(len(person)) < _CODED_AGAIN
        later = day[again] + rng.integers(30, 1500, int(again.sum()), dtype=np.int32)
        until = conditions.resolved[person[again], column]
        still = later < until
        rows.add(person[again][still], later[still], draw(rng, int(still.sum())))
        over = np.flatnonzero(conditions.resolved[:, column] < NEVER).astype(np.int32)
        if condition.resolved:
            code = sampler(f"{condition.codelist}-resolved").draw(rng, len(over))
            rows.add(over, conditions.resolved[over, column], code)
        if condition.codelist == "diabetes":
            first_type = rng.random(len(person)) < _TYPE_1
            rows.add(person[first_type], day[first_type], sampler("diabetes-type-1").draw(rng, int(first_type.sum())))
            rows.add(
                person[~first_type], day[~first_type], sampler("diabetes-type-2").draw(rng, int((~first_type).sum()))
            )
        if condition.codelist == "osteoporosis":
            broken = person[rng.random(len(person)) < 0.5]
            rows.add(
                broken, conditions.onset[broken, column] - 30, sampler("fragility-fracture").draw(rng, len(broken))
            )
