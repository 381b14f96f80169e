"""What of a row could tell who somebody is, and how it is made coarser where too few are alike.

Identifying are age, sex, place, the month since when, and the pack's stratifiers. Statuses are not: hardly anybody
outside a practice knows them. Not here: how many must be alike, and how steps are applied
(`cohortium_platform.statistics`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

__all__ = ["COLUMNS", "WITHHELD", "Identifying", "in_words", "steps"]

COLUMNS = ("age", "sex", "place", "since")
"""Identifying columns before those of stratifiers."""
WITHHELD = "withheld"
"""What stands for a value that is not given since too few would be alike."""
_OLDEST = 90
_FINEST = 5


@dataclass(frozen=True, slots=True)
class Identifying:
    """What could tell who somebody is; `strata` in the pack's order, empty where not known."""

    age: int | None
    sex: str
    place: str
    since: date | None
    strata: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """How coarse: ages in bands of so many years, days as in `since` (strftime), so many of the first stratifiers."""

    band: int | None
    since: str
    strata: int
    place: bool = True
    sex: bool = True

    def __call__(self, row: Identifying) -> tuple[str, ...]:
        since = "" if row.since is None else f"{row.since:{self.since}}"
        return (
            WITHHELD if self.band is None else _banded(row.age, self.band),
            row.sex if self.sex else WITHHELD,
            row.place if self.place else WITHHELD,
            since if self.since else WITHHELD,
            *(value if at < self.strata else WITHHELD for at, value in enumerate(row.strata)),
        )


def steps(strata: int) -> Sequence[Callable[[Identifying], tuple[str, ...]]]:
    """From the finest on, each coarser than the one before; the last says nothing of who it is."""
    return [
        _Step(_FINEST, "%Y-%m", strata),
        _Step(_FINEST, "%Y", strata),
        _Step(2 * _FINEST, "%Y", strata),
        *(_Step(2 * _FINEST, "", kept) for kept in range(strata, -1, -1)),
        _Step(4 * _FINEST, "", 0),
        _Step(4 * _FINEST, "", 0, place=False),
        _Step(None, "", 0, place=False, sex=False),
    ]


def in_words() -> Sequence[str]:
    """The same in words."""
    return [
        "months become years",
        f"ages come in bands of {2 * _FINEST} years",
        "the year is withheld, then the pack's groups, the last column first",
        f"ages come in bands of {4 * _FINEST} years, then the place is withheld",
        "age and sex are withheld",
    ]


def _banded(age: int | None, years: int) -> str:
    if age is None:
        return ""
    first = age - age % years
    oldest = _OLDEST - _OLDEST % years
    return f"{oldest}+" if first >= oldest else f"{first}-{first + years - 1}"
