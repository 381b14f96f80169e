"""One patient's record as rules see it, and what an indicator says of them. Data only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from cohortium_plugins.model.values import Status

__all__ = ["COHORTIUM", "GP", "Member", "Record", "Result", "Row"]

GP = "gp"
"""The source of a practice's own system; a trust's rows carry its ODS code."""

COHORTIUM = "cohortium"
"""The source of entries made in Cohortium itself."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of any table. Columns that its table does not have are None; a registration's date is its first day.

    `entry` is the position in which the source gave the row. A value is a finite number or None.
    """

    date: dt.date
    code: int | None = None
    value: float | None = None
    unit: str | None = None
    episode: str | None = None
    kind: str | None = None
    relationship: str | None = None
    practice: str | None = None
    end_date: dt.date | None = None
    source: str = GP
    entry: int = 0

    def order(self) -> tuple[object, ...]:
        """Give the key that puts rows in the one order every engine uses: date, entry, code, value, source, and then
        what is left (unit, episode, kind, relationship, end date), unknown first.
        """
        code = (self.code is not None, self.code or 0)
        value = (self.value is not None, self.value or 0.0)
        words = ((word is not None, word or "") for word in (self.unit, self.episode, self.kind, self.relationship))
        end = (self.end_date is not None, self.end_date or self.date)
        return (self.date, self.entry, code, value, self.source, *words, end)


@dataclass(frozen=True, slots=True)
class Record:
    """A patient's rows at the practice they are registered with. `missing` names tables never loaded there;
    `records_to` is the day the practice's records run to (None: not limited).
    """

    patient_id: int
    practice: str
    date_of_birth: dt.date | None
    sex: str | None = None
    ethnicity: str | None = None
    imd_decile: int | None = None
    date_of_death: dt.date | None = None
    rows: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    records_to: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What an indicator says of one patient at one index date. See `docs/language/status.md`.

    `window_end` is the day on which it falls or fell due, met or not: with it one can tell closed windows from open
    ones.
    """

    patient_id: int
    practice: str
    indicator: str
    index_date: dt.date
    status: Status
    reason: str | None = None
    due_date: dt.date | None = None
    due_now: bool = False
    met_date: dt.date | None = None
    value: float | None = None
    value_code: int | None = None
    value_text: str | None = None
    adjustment: str | None = None
    event_date: dt.date | None = None
    event_code: int | None = None
    event_source: str | None = None
    window_end: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a cohort at one index date, with the value shown and the stratifiers by name."""

    patient_id: int
    practice: str
    cohort: str
    index_date: dt.date
    since: dt.date | None
    shown_code: int | None
    shown_number: float | None
    shown_text: str | None
    strata: Mapping[str, str | None]
