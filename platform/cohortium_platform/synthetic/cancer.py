"""Who has had cancer: which people, when diagnosed, at which site.

Here: the patients of a block and their diagnosis dates, drawn so that the share of registered living people with a
cancer since April 2003 is the one asked for. Not here: the rows that their records hold (`cancer_rows.py`).

Numbers are made from three curves: how common cancer is at each age, how many survive a diagnosis for how long, and
how diagnoses on practice registers grew over the years. With them about 0.4 % of the population is diagnosed in a
year, a quarter of these die within the year, and three in ten of the dead had cancer.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import date

import numpy as np

from cohortium_platform.synthetic.arrays import NEVER, YEAR, Days, Flags, Index, Small, Values, day_of
from cohortium_platform.synthetic.options import Ages, SyntheticOptions
from cohortium_platform.synthetic.places import OLDEST, age_weights
from cohortium_platform.synthetic.plan import Block, Stage, stream
from cohortium_platform.synthetic.population import MALE, People

__all__ = ["OTHER_SITE", "REGISTER_START", "SITES", "CancerPatients", "find_cancer_patients"]

REGISTER_START = day_of(date(2003, 4, 1))
SITES = (
    "breast",
    "prostate",
    "colorectal",
    "lung",
    "melanoma",
    "lymphoma",
    "gynaecological",
    "myeloma",
    "pancreatic",
    "other",
)
"""Sites as `cancer-tumour-site.csv` groups them; "other" stands for every code that the list does not group."""
OTHER_SITE = len(SITES) - 1

_PREVALENCE_AT = ((0, 18, 30, 40, 50, 60, 70, 80, 90, 104), (0.1, 0.15, 0.4, 1.0, 2.5, 5.5, 10.5, 15.0, 16.0, 16.0))
_DEAD_WITH_CANCER_AT = ((0, 30, 45, 60, 75, 85, 95), (0.05, 0.15, 0.35, 0.42, 0.36, 0.24, 0.14))
_SURVIVAL = (
    (0, 0.25, 0.5, 1, 2, 3, 5, 10, 15, 20, 25),
    (1, 0.92, 0.86, 0.79, 0.71, 0.66, 0.59, 0.47, 0.38, 0.31, 0.25),
)
_GROWTH = 0.96
_USUAL_PREVALENCE = 0.028
_SITE_SHARE = {
    False: (0.36, 0.0, 0.11, 0.05, 0.08, 0.06, 0.10, 0.015, 0.005, 0.22),
    True: (0.002, 0.36, 0.14, 0.06, 0.08, 0.07, 0.0, 0.02, 0.006, 0.262),
}
_DEADLY = np.array([0.6, 0.6, 1.0, 4.0, 0.4, 0.9, 1.0, 1.5, 8.0, 1.3])
_IN_THE_YOUNG = np.array([0.3, 0.0, 0.3, 0.05, 1.3, 3.0, 0.5, 0.05, 0.1, 2.5])
_YOUNG = 35
_SECOND_CANCER = 0.03
_APART_DAYS = 3 * 366
_HISTORY_ONLY = 0.02
_RECODED_BEFORE = day_of(date(2010, 1, 1))
_OLD_CANCER = 0.15
_OLDEST_CANCER = day_of(date(1985, 1, 1))


@dataclass(frozen=True, slots=True, eq=False)
class CancerPatients:
    """Cancer patients of a block, one array element each.

    `person` is the place in the block. `first` is the first diagnosis on or after 1 April 2003, `site` its site;
    `second` a later one at another site, at least three years after, or NEVER. `history_only` marks people whose
    record holds nothing but a "history of" entry. `before` is a diagnosis before April 2003 of which `first` is only
    a later entry, or NEVER.
    """

    person: Index
    first: Days
    site: Small
    second: Days
    second_site: Small
    history_only: Flags
    before: Days

    @property
    def size(self) -> int:
        """How many they are."""
        return len(self.person)

    @property
    def clock(self) -> Days:
        """Day of the latest new diagnosis; NEVER for those with a history entry only."""
        return np.where(self.history_only, NEVER, np.where(self.second < NEVER, self.second, self.first)).astype(
            np.int32
        )


@functools.lru_cache(maxsize=4)
def _prevalence(lists: tuple[tuple[Ages, float], ...], wanted: float) -> Values:
    """Give the chance at each age that makes the whole population reach the wanted prevalence."""
    shape = np.interp(np.arange(OLDEST + 1), *_PREVALENCE_AT)
    total = sum(size for _, size in lists)
    mean = sum(size * float((age_weights(ages) * shape).sum()) for ages, size in lists) / total
    return np.minimum(shape * wanted / mean, 0.8)


@functools.cache
def _time_since(*, dead: bool) -> tuple[Values, Values]:
    """Give the cumulative share of years since diagnosis: of the living, or of those who died of or with it."""
    years = np.linspace(0, 24, 1201)
    survival = np.interp(years, *_SURVIVAL)
    density = (-np.gradient(survival, years) if dead else survival) * _GROWTH**years
    share = np.cumsum(density)
    return years, share / share[-1]


def _systematic(rng: np.random.Generator, chance: Values) -> Flags:
    """Choose by chance so that the number chosen is the expected one: a walk through the running sum."""
    steps = np.floor(np.cumsum(chance) + rng.random())
    return np.asarray(np.diff(steps, prepend=0.0) > 0)


def _who(rng: np.random.Generator, options: SyntheticOptions, block: Block, people: People) -> Index:
    age = np.clip(people.age, 0, OLDEST)
    key = tuple((practice.ages, practice.size) for practice in options.practices)
    chance = _prevalence(key, options.cancer_prevalence)[age.astype(np.int64)]
    dead = people.death < NEVER
    lift = options.cancer_prevalence / _USUAL_PREVALENCE
    chance = np.where(dead, np.minimum(np.interp(age, *_DEAD_WITH_CANCER_AT) * lift, 0.8), chance)
    here = np.arange(block.size) < block.current
    chosen = np.concatenate([_systematic(rng, chance[here]), _systematic(rng, chance[~here])])
    return np.flatnonzero(chosen).astype(np.int32)


def _diagnosed(rng: np.random.Generator, people: People, person: Index) -> Days:
    """Draw the diagnosis day, after birth and after the register began."""
    last = people.last[person]
    longest = (last - np.maximum(people.birth[person], REGISTER_START)) / YEAR
    draw, since = rng.random(len(person)), np.zeros(len(person))
    dead = people.death[person] < NEVER
    for is_dead in (False, True):
        years, share = _time_since(dead=is_dead)
        top = np.interp(longest, years, share)
        since = np.where(dead == is_dead, np.interp(draw * top, share, years), since)
    day = last - np.rint(since * YEAR).astype(np.int32)
    return np.clip(day, np.maximum(people.birth[person], REGISTER_START), last).astype(np.int32)


def _sites(rng: np.random.Generator, people: People, person: Index) -> Small:
    """Draw a site that the person's sex can have, by how common it is in the living, the dying and the young."""
    weights = np.where((people.sex[person] == MALE)[:, None], np.array(_SITE_SHARE[True]), np.array(_SITE_SHARE[False]))
    weights = weights * np.where((people.death[person] < NEVER)[:, None], _DEADLY, 1.0)
    weights = weights * np.where((people.age[person] < _YOUNG)[:, None], _IN_THE_YOUNG, 1.0)
    share = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    return np.asarray((rng.random(len(person))[:, None] > share).sum(axis=1), dtype=np.int8)


def find_cancer_patients(options: SyntheticOptions, block: Block, people: People) -> CancerPatients:
    """Choose a block's cancer patients and their diagnoses."""
    rng = stream(options, block.number, Stage.CANCER)
    person = _who(rng, options, block, people)
    first, site = _diagnosed(rng, people, person), _sites(rng, people, person)
    room = people.last[person] - first - _APART_DAYS
    second_site = _sites(rng, people, person)
    again = (rng.random(len(person)) < _SECOND_CANCER) & (room > 0) & (second_site != site)
    second = first + _APART_DAYS + (rng.random(len(person)) * np.maximum(room, 1)).astype(np.int32)
    history_only = (rng.random(len(person)) < _HISTORY_ONLY) & ~again
    born = people.birth[person]
    earliest = np.maximum(born, _OLDEST_CANCER)
    old = (rng.random(len(person)) < _OLD_CANCER) & (first < _RECODED_BEFORE) & (born < REGISTER_START - 1)
    before = earliest + (rng.random(len(person)) * (REGISTER_START - 1 - earliest)).astype(np.int32)
    return CancerPatients(
        person=person,
        first=first,
        site=site,
        second=np.where(again, second, NEVER).astype(np.int32),
        second_site=second_site,
        history_only=history_only,
        before=np.where(old & ~history_only, before, NEVER).astype(np.int32),
    )
