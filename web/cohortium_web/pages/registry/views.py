"""What the registry's templates show, as data: rows, choices, tiles. Not here: where it comes from (`lists`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cohortium_web.words import StatusLook

__all__ = [
    "Active",
    "Chip",
    "Choice",
    "FilterForm",
    "GroupHead",
    "IndicatorHead",
    "Measure",
    "MeasureGroup",
    "Paging",
    "RecordsTo",
    "Row",
    "Segment",
    "StratumField",
    "Tab",
    "Tile",
    "TileRow",
]


@dataclass(frozen=True, slots=True)
class Tab:
    """One way to look at a registry."""

    title: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """An indicator of one patient, by a short title and a status."""

    title: str
    look: StatusLook


@dataclass(frozen=True, slots=True)
class Row:
    """One patient of a list. `more` counts the overdue indicators that have no chip for want of room."""

    href: str
    name: str
    nhs_number: str | None
    age: int | None
    sex: str
    practice: str
    shown: str
    since: date | None
    gaps: int
    due: int
    chips: Sequence[Chip]
    more: int


@dataclass(frozen=True, slots=True)
class Choice:
    """An option of a list to choose from. `group` puts it under a heading."""

    value: str
    label: str
    selected: bool
    group: str = ""


@dataclass(frozen=True, slots=True)
class StratumField:
    """A stratifier to filter by; with a `problem`, nothing can be chosen and it says why."""

    name: str
    title: str
    choices: Sequence[Choice]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Active:
    """A filter in force, and the address without it."""

    label: str
    href: str


@dataclass(frozen=True, slots=True)
class FilterForm:
    """Everything that the list's form offers, and what is chosen."""

    organisations: Sequence[Choice]
    indicators: Sequence[Choice]
    statuses: Sequence[Choice]
    status_problem: str
    gaps: str
    age_from: str
    age_to: str
    strata: Sequence[StratumField]
    search: str
    searching: bool
    groups: Sequence[str]
    active: Sequence[Active]


@dataclass(frozen=True, slots=True)
class Paging:
    """Where a page stands among all: `first` and `last` count rows from 1. Numbers of None are gaps."""

    first: int
    last: int
    total: int
    number: int
    pages: Sequence[tuple[int | None, str]]
    previous: str
    next: str


@dataclass(frozen=True, slots=True)
class RecordsTo:
    """How far the records of one source run, at the practices shown: the same everywhere, or from the oldest on, with
    the practices that lag behind.
    """

    source: str
    latest: date
    behind: Sequence[tuple[str, date]]


@dataclass(frozen=True, slots=True)
class GroupHead:
    """A group of indicators and how many columns it has."""

    title: str
    columns: int


@dataclass(frozen=True, slots=True)
class IndicatorHead:
    """A column of tiles, with the counts of the whole selection."""

    name: str
    title: str
    met: int
    gaps: int
    starts_group: bool


@dataclass(frozen=True, slots=True)
class Tile:
    """How one patient stands on one indicator; without an address it does not apply. `word` is short enough to fit."""

    look: StatusLook
    word: str
    title: str
    href: str
    starts_group: bool


@dataclass(frozen=True, slots=True)
class TileRow:
    """One patient's tiles."""

    href: str
    name: str
    nhs_number: str | None
    practice: str
    gaps: int
    tiles: Sequence[Tile]


@dataclass(frozen=True, slots=True)
class Segment:
    """A status of one measure: how many patients, where its bar begins and how long it is (percent of all)."""

    look: StatusLook
    count: int
    href: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One indicator over the whole selection. `problem` says why nobody could be evaluated."""

    title: str
    description: str
    source: str
    segments: Sequence[Segment]
    rate: float | None
    problem: str


@dataclass(frozen=True, slots=True)
class MeasureGroup:
    """Measures under their group's heading."""

    title: str
    measures: Sequence[Measure]
