"""The rows that clinical resources give while a delivery is read.

Here: what one such row holds and the few ways to make one. Not here: reading a resource, and the columns of whom the
row is about and where it stood, which are the same for every resource (`extraction`).
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from cohortium_platform.ingest.fhir.reasons import Fate, Reason
from cohortium_platform.ingest.fhir.values import Coded, Json

__all__ = ["ROW_COLUMNS", "Day", "Row", "Table", "consultation", "event", "extension", "left_out", "prescription"]


class Table(enum.IntEnum):
    """Where a row belongs."""

    EVENTS = 0
    MEDICATIONS = 1
    CONSULTATIONS = 2


Day: TypeAlias = tuple[str | None, Reason | None]
"""An ISO day and a remark about it, or no day and the reason why there is none."""

Row: TypeAlias = tuple[
    int, int, int | None, str | None, int | None, float | None, str | None, str | None, str | None, str | None
]
"""`ROW_COLUMNS` in order. A plain tuple, since millions are made a minute."""

ROW_COLUMNS = ("target", "fate", "reason", "day", "code", "value", "unit", "episode", "kind", "medication")
"""`target` is a `Table`, `fate` a `Fate`, `reason` a `Reason`; `medication` is where to look the code up
(`references.lookup`) when the row does not hold it."""


# An enumeration's member costs more to look up than the row around it to make.
_EVENTS, _MEDICATIONS, _CONSULTATIONS = int(Table.EVENTS), int(Table.MEDICATIONS), int(Table.CONSULTATIONS)
_STAGED, _REJECTED, _LEFT_OUT = int(Fate.STAGED), int(Fate.REJECTED), int(Fate.LEFT_OUT)
_NOTHING = (None, None, None, None, None, None, None)


def event(
    coded: Coded, when: Day, value: float | None = None, unit: str | None = None, episode: str | None = None
) -> Row:
    """One coded entry; rejected without a code or a day."""
    code, remark = coded
    day, partial = when
    if code is None or day is None:
        return (_EVENTS, _REJECTED, remark if code is None else partial, *_NOTHING)
    return (_EVENTS, _STAGED, remark or partial, day, code, value, unit, episode, None, None)


def prescription(coded: Coded, when: Day, medication: str | None = None) -> Row:
    """One medicine on one day; its code may have to be looked up."""
    code, remark = coded
    day, partial = when
    if day is None or (code is None and medication is None):
        return (_MEDICATIONS, _REJECTED, partial if day is None else remark, *_NOTHING)
    remark = None if code is None else remark
    return (_MEDICATIONS, _STAGED, remark or partial, day, code, None, None, None, None, medication)


def consultation(kind: str, when: Day) -> Row:
    """One consultation of a kind."""
    day, partial = when
    if day is None:
        return (_CONSULTATIONS, _REJECTED, partial, *_NOTHING)
    return (_CONSULTATIONS, _STAGED, partial, day, None, None, None, None, kind, None)


def left_out(target: Table, reason: Reason) -> Row:
    """The trace of a resource that gives no row, so that its older versions give none either."""
    return (int(target), _LEFT_OUT, reason, *_NOTHING)


def extension(resource: Json, ending: str) -> Json | None:
    """The first extension whose URL ends so: publishers have moved UK extensions between addresses, not names."""
    for each in resource.get("extension") or ():
        if each.get("url", "").endswith(ending):
            found: Json = each
            return found
    return None
