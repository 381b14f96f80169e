"""Rows that leave only in company: each looks like a number of others in what could tell who somebody is.

A row that is alone of its kind is made coarser, step by step, until enough rows look alike, and is held back when no
step is enough. Not here: which columns could tell who somebody is, and what is coarser
(`cohortium_web.pages.pseudonymised`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

__all__ = ["made_alike"]

Row = TypeVar("Row")
Shown = TypeVar("Shown", bound=Hashable)


def made_alike(rows: Sequence[Row], steps: Sequence[Callable[[Row], Shown]], least: int) -> Sequence[Shown | None]:
    """What is shown of each row, None where it is held back: what the first step gives by which `least` rows look alike
    that no step before has shown. So whatever is shown of one row is shown of `least` or more.
    """
    shown: list[Shown | None] = [None] * len(rows)
    left = list(range(len(rows)))
    for step in steps:
        made = {place: step(rows[place]) for place in left}
        alike = Counter(made.values())
        for place in left:
            if alike[made[place]] >= least:
                shown[place] = made[place]
        left = [place for place in left if shown[place] is None]
    return shown
