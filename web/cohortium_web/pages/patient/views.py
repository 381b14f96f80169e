"""What the patient's templates show, as data. Not here: where it comes from (`measures`, `why`, `timeline`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cohortium_web.words import StatusLook

__all__ = [
    "AlsoAsked",
    "Banner",
    "DecidingEntry",
    "MeasureGroup",
    "MeasureRow",
    "TimelineEntry",
    "TimelineYear",
    "TreeStep",
    "WhyView",
]


@dataclass(frozen=True, slots=True)
class Banner:
    """Who the patient is. What the practice did not supply is empty."""

    name: str
    nhs_number: str | None
    born: date | None
    age: int | None
    sex: str
    practice: str
    address: str
    telephones: Sequence[str]
    next_of_kin: Sequence[str]
    condition: str
    since: date | None


@dataclass(frozen=True, slots=True)
class AlsoAsked:
    """The same measure as another registry of the patient asks for it."""

    registry: str
    title: str
    look: StatusLook
    why: str


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One measure. `due` is `Now`, a day or what stands for none; `source` is empty for the practice's own entries;
    `registry` and `also` say who asks, where more than one registry does. `name` is unlike any other of the page.
    """

    name: str
    title: str
    look: StatusLook
    due: str
    result: str
    note: str
    day: date | None
    source: str
    why: str
    registry: str = ""
    also: Sequence[AlsoAsked] = ()


@dataclass(frozen=True, slots=True)
class MeasureGroup:
    """Measures under their group's heading, and those that do not apply to this patient."""

    title: str
    rows: Sequence[MeasureRow]
    not_applicable: Sequence[str]


@dataclass(frozen=True, slots=True)
class DecidingEntry:
    """An entry of the record that decided a measure."""

    day: date
    term: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class TreeStep:
    """One part of a rule in words, what it came to, and the parts it is made of."""

    words: str
    value: str
    steps: Sequence[TreeStep]


@dataclass(frozen=True, slots=True)
class WhyView:
    """Why a measure is as it is, on a day. `wanted` lists what the sentence asks for, when it is more than one thing;
    `outlook` says what becomes of it with nothing recorded.
    """

    name: str
    title: str
    day: date
    look: StatusLook
    sentence: str
    wanted: Sequence[str]
    outlook: str
    entries: Sequence[DecidingEntry]
    steps: Sequence[tuple[str, TreeStep]]
    source: str
    unsure: str


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One coded entry. `later` marks one dated after the registry's day, which no rule sees."""

    day: date
    term: str
    value: str
    source: str
    groups: Sequence[str]
    later: bool


@dataclass(frozen=True, slots=True)
class TimelineYear:
    """The entries of one year, newest first."""

    year: int
    entries: Sequence[TimelineEntry]
