"""What is wrong in real extracts, put in on purpose and counted.

Here: duplicate rows, days in the future or before birth, impossible values, unknown codes. Not here: NHS numbers that
are missing or wrong (`identities.py`).

Apart from duplicates and values, faults fall on filler rows only, so that no known result changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cohortium_platform.synthetic.arrays import Index
from cohortium_platform.synthetic.codes import unknown_codes
from cohortium_platform.synthetic.filler import is_filler
from cohortium_platform.synthetic.rows import Events

__all__ = ["Faults", "add_faults"]

_DUPLICATE, _FUTURE, _BEFORE_BIRTH, _IMPOSSIBLE, _UNKNOWN = 0.003, 0.0002, 0.00003, 0.0001, 0.0005
_PLACEHOLDER_DAY = -25_567
"""1 January 1900, which systems write where they know no date."""
_IMPOSSIBLE_VALUES = np.array([-1.0, 0.0, 999.0, 9999.0, 100000.0])


@dataclass(frozen=True, slots=True)
class Faults:
    """How many rows were made wrong on purpose."""

    duplicates: int = 0
    future: int = 0
    before_birth: int = 0
    impossible: int = 0
    unknown: int = 0

    def __add__(self, other: Faults) -> Faults:
        return Faults(
            self.duplicates + other.duplicates,
            self.future + other.future,
            self.before_birth + other.before_birth,
            self.impossible + other.impossible,
            self.unknown + other.unknown,
        )


def _some(rng: np.random.Generator, among: Index, share: float, of: int) -> Index:
    """Choose rows: a share of all `of` rows, taken from some of them."""
    return rng.choice(among, min(int(rng.poisson(share * of)), len(among)), replace=False).astype(np.int32)


def add_faults(rng: np.random.Generator, events: Events, today: int) -> tuple[Events, Faults]:
    """Give the rows with faults in them, and how many there are of each."""
    size = events.size
    day, code, value = events.day.copy(), events.code.copy(), events.value.copy()
    filler = np.flatnonzero(is_filler(code)).astype(np.int32)
    chosen = _some(rng, filler, _FUTURE + _BEFORE_BIRTH + _UNKNOWN, size)
    kind = rng.random(len(chosen)) * (_FUTURE + _BEFORE_BIRTH + _UNKNOWN)
    future, early = chosen[kind < _FUTURE], chosen[(kind >= _FUTURE) & (kind < _FUTURE + _BEFORE_BIRTH)]
    unknown = chosen[kind >= _FUTURE + _BEFORE_BIRTH]
    # Mostly an appointment entered ahead, sometimes a slip of the year.
    ahead = np.where(rng.random(len(future)) < 0.8, rng.integers(1, 120, len(future)), 3653)
    day[future] = today + ahead
    day[early] = _PLACEHOLDER_DAY
    code[unknown] = unknown_codes().draw(rng, len(unknown))
    valued = np.flatnonzero(~np.isnan(value)).astype(np.int32)
    impossible = _some(rng, valued, _IMPOSSIBLE, size)
    value[impossible] = rng.choice(_IMPOSSIBLE_VALUES, len(impossible))
    twice = rng.random(size, dtype=np.float32) < _DUPLICATE
    rows = np.repeat(np.arange(size, dtype=np.int32), 1 + twice)
    wrong = replace(events, day=day, code=code, value=value).take(rows)
    return wrong, Faults(int(twice.sum()), len(future), len(early), len(impossible), len(unknown))
