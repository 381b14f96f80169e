"""Event rows as columns, gathered piece by piece and put in order once.

Here: the builder that every part of the generator adds to, and the finished columns. Not here: which rows there are,
and writing them (`extract.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cohortium_platform.synthetic.arrays import Codes, Days, Flags, Index, Small, Values

__all__ = ["EPISODES", "NO_UNIT", "UNITS", "EventRows", "Events"]

UNITS = (
    "kg/m2",
    "kg",
    "cm",
    "mm[Hg]",
    "mmol/mol",
    "%",
    "mmol/L",
    "mL/min/{1.73_m2}",
    "umol/L",
    "mg/mmol",
    "{ratio}",
    "{score}",
    "{units}/wk",
    "{cigarettes}/d",
)
"""Units as UCUM writes them; a row's unit counts into this."""
NO_UNIT = -1
EPISODES = (None, "first", "new", "review")
"""Episode types; a row's episode counts into this."""


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Event rows of one block in order of person and day; `person` counts into the block. A NaN value is no value."""

    person: Index
    day: Days
    code: Codes
    value: Values
    unit: Small
    episode: Small

    @property
    def size(self) -> int:
        """How many rows."""
        return len(self.person)

    def take(self, rows: Index | Flags) -> Events:
        """Give some of the rows, in the order asked for."""
        return Events(
            self.person[rows], self.day[rows], self.code[rows], self.value[rows], self.unit[rows], self.episode[rows]
        )


@dataclass(slots=True, eq=False)
class EventRows:
    """Gathers rows; those before a person's birth or after their last day are dropped."""

    birth: Days
    last: Days
    _parts: list[Events] = field(default_factory=list)

    def add(
        self,
        person: Index,
        day: Days,
        code: Codes | int,
        *,
        measured: tuple[Values, str | Small] | None = None,
        episode: int = 0,
    ) -> None:
        """Add rows; those of one day keep the order in which they were added.

        `code` is one for all rows or a column. `measured` gives values and their unit: one for all rows, or a column
        that counts into `UNITS`.
        """
        size = len(person)
        kept = (day >= self.birth[person]) & (day <= self.last[person])
        value, unit = measured or (np.full(size, np.nan), np.full(size, NO_UNIT, dtype=np.int8))
        if isinstance(unit, str):
            unit = np.full(size, UNITS.index(unit), dtype=np.int8)
        part = Events(
            person.astype(np.int32),
            day.astype(np.int32),
            np.full(size, code, dtype=np.int64) if isinstance(code, int) else code,
            value,
            unit,
            np.full(size, episode, dtype=np.int8),
        )
        self._parts.append(part if kept.all() else part.take(kept))

    def counts(self) -> Index:
        """Give how many rows each person has so far."""
        counts = np.zeros(len(self.birth), dtype=np.int32)
        for part in self._parts:
            counts += np.bincount(part.person, minlength=len(counts)).astype(np.int32)
        return counts

    def finish(self) -> Events:
        """Put all rows in order of person and day."""
        rows = Events(
            *(
                np.concatenate([getattr(part, column) for part in self._parts])
                for column in ("person", "day", "code", "value", "unit", "episode")
            )
        )
        # One integer key sorts faster than two; days fit in 24 bits from the year 1900 on.
        key = (rows.person.astype(np.int64) << 24) + (rows.day.astype(np.int64) + (1 << 20))
        return rows.take(np.argsort(key, kind="stable").astype(np.int32))
