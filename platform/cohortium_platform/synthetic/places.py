"""What the profiles of a practice mean in numbers, and example practices.

Here: age bands, mortality, ethnic groups and deprivation deciles by profile; two fictitious sets of practices, one in
the shape of a large city's integrated care board and one rural. Not here: drawing people from them (`population.py`).

The numbers are rounded from published national statistics so that a population looks right. They describe no real
place.
"""

from __future__ import annotations

import functools

import numpy as np

from cohortium_platform.synthetic.arrays import Values
from cohortium_platform.synthetic.options import Ages, Deprivation, Ethnicity, Setting, SyntheticPractice

__all__ = [
    "DECILES",
    "ETHNIC_GROUPS",
    "OLDEST",
    "age_weights",
    "deprivation_weights",
    "ethnic_weights",
    "mortality",
    "rural_practices",
    "urban_practices",
]

OLDEST = 104
_BAND = 5
ETHNIC_GROUPS = ("A", "B", "C", "D", "E", "F", "G", "H", "J", "K", "L", "M", "N", "P", "R", "S", "Z", None)
"""The 16+1 categories of the NHS data dictionary, and nothing recorded."""
DECILES = 10

# Five-year bands from 0-4 to 85-89, then 90 and over.
_AGES = {
    Ages.YOUNG: (5.5, 5.2, 4.9, 4.9, 8.5, 12.0, 11.0, 9.2, 7.8, 6.6, 5.9, 5.3, 4.3, 3.2, 2.4, 1.8, 1.2, 0.8, 0.5),
    Ages.MIXED: (5.4, 5.8, 6.1, 5.8, 6.1, 6.6, 6.9, 6.8, 6.5, 6.0, 6.6, 6.8, 6.3, 5.3, 4.8, 4.6, 3.2, 2.0, 1.2),
    Ages.OLD: (4.5, 5.1, 5.5, 5.3, 4.7, 4.9, 5.5, 5.8, 5.9, 5.9, 6.9, 7.7, 7.6, 6.8, 6.3, 5.9, 3.9, 2.2, 1.3),
}
_ETHNICITY = {
    Ethnicity.DIVERSE: (34, 3, 19, 1.5, 0.8, 1.2, 2.2, 5, 2.5, 5.5, 3.5, 5, 9, 2.5, 1.8, 5, 2, 4),
    Ethnicity.MIXED: (68, 1, 9, 1.4, 0.4, 0.8, 0.9, 4, 3.5, 1.2, 1.8, 1.4, 3, 0.8, 1, 2, 1.5, 4),
    Ethnicity.MOSTLY_WHITE: (92.5, 0.6, 3, 0.4, 0.1, 0.4, 0.3, 0.5, 0.2, 0.1, 0.3, 0.1, 0.3, 0.1, 0.3, 0.3, 1, 4),
}
_DEPRIVATION = {
    Deprivation.MORE: (22, 20, 16, 12, 9, 7, 5, 4, 3, 2),
    Deprivation.AVERAGE: (10, 10, 10, 10, 10, 10, 10, 10, 10, 10),
    Deprivation.LESS: (2, 4, 6, 8, 10, 12, 13, 14, 15, 16),
}


def _share(weights: tuple[float, ...]) -> Values:
    array = np.asarray(weights, dtype=np.float64)
    return np.asarray(array / array.sum(), dtype=np.float64)


def mortality() -> Values:
    """Give the yearly chance of dying at each age from 0 to `OLDEST`."""
    age = np.arange(OLDEST + 1)
    return np.asarray(np.clip(np.exp(-10.4 + 0.094 * age), 0.0002, 0.6), dtype=np.float64)


@functools.cache
def age_weights(ages: Ages) -> Values:
    """Give the share of each age from 0 to `OLDEST` in a list."""
    weights = np.repeat(np.asarray(_AGES[ages], dtype=np.float64) / _BAND, _BAND)
    last = len(_AGES[ages]) * _BAND - _BAND
    old = np.cumprod(1 - mortality()[last : OLDEST + 1])
    weights = np.concatenate([weights[:last], _AGES[ages][-1] * old / old.sum()])
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def ethnic_weights(ethnicity: Ethnicity) -> Values:
    """Give the share of each of `ETHNIC_GROUPS`."""
    return _share(_ETHNICITY[ethnicity])


def deprivation_weights(deprivation: Deprivation) -> Values:
    """Give the share of each decile, the most deprived first."""
    return _share(_DEPRIVATION[deprivation])


_MEAN_LIST = 10_000
_FEWEST_PRACTICES = 5
_URBAN = (
    ("Alderwick", Ages.YOUNG, Ethnicity.DIVERSE, Deprivation.MORE),
    ("Brantham Park", Ages.YOUNG, Ethnicity.MIXED, Deprivation.AVERAGE),
    ("Coldharbour Green", Ages.MIXED, Ethnicity.DIVERSE, Deprivation.AVERAGE),
    ("Dunmere", Ages.MIXED, Ethnicity.MIXED, Deprivation.LESS),
    ("Eastlock", Ages.YOUNG, Ethnicity.DIVERSE, Deprivation.MORE),
)
_RURAL = (
    ("Fallowdale", Ages.OLD, Ethnicity.MOSTLY_WHITE, Deprivation.LESS),
    ("Gorsemoor", Ages.OLD, Ethnicity.MOSTLY_WHITE, Deprivation.AVERAGE),
    ("Hythe Marsh", Ages.MIXED, Ethnicity.MOSTLY_WHITE, Deprivation.MORE),
)
_KINDS = ("Surgery", "Medical Centre", "Health Centre", "Practice", "Group Practice")
_SIZES = (0.6, 1.4, 0.8, 1.1, 0.5, 1.7, 0.9, 1.0, 0.7, 1.3)


def _practices(
    places: tuple[tuple[str, Ages, Ethnicity, Deprivation], ...], people: int, first: int, setting: Setting
) -> tuple[SyntheticPractice, ...]:
    count = max(_FEWEST_PRACTICES, round(people / _MEAN_LIST))
    made = []
    for number in range(count):
        # Neighbours in the list are in one place: people move to a neighbour.
        place, ages, ethnicity, deprivation = places[number * len(places) // count]
        kind = _KINDS[number % len(_KINDS)]
        made.append(
            SyntheticPractice(
                code=f"Z{first + number:05d}",
                place=place,
                name=f"{place} {kind} {number + 1}",
                size=_SIZES[number % len(_SIZES)],
                ages=ages,
                ethnicity=ethnicity,
                deprivation=deprivation,
                setting=setting,
            )
        )
    return tuple(made)


def urban_practices(people: int) -> tuple[SyntheticPractice, ...]:
    """Give fictitious practices in five places of a large city, about ten thousand people each."""
    return _practices(_URBAN, people, 91_001, Setting.URBAN)


def rural_practices(people: int) -> tuple[SyntheticPractice, ...]:
    """Give fictitious practices in three places of a rural county, about ten thousand people each."""
    return _practices(_RURAL, people, 95_001, Setting.RURAL)
