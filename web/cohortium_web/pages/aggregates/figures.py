"""Tables of suppressed figures: rows by organisation, by value of a stratifier, or by month.

Whatever form a table is taken away in, its cells are these. Not here: what may be published (`family` and
`cohortium_platform.statistics`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product

from cohortium_platform.statistics import COUNTED, Figures, Level, Month, Published, Stratified
from cohortium_plugins.model import Indicator, Status, Stratifier
from cohortium_web.pages.aggregates.family import NOT_KNOWN, Family
from cohortium_web.tables import Cell, Column, Table
from cohortium_web.words import STATUSES, day

__all__ = ["LEVELS", "Wanted", "by_month", "by_organisation", "by_stratifier", "organisations_in_order"]

LEVELS: Mapping[Level, str] = {
    Level.PRACTICE: "Practice",
    Level.PCN: "PCN",
    Level.PLACE: "Place",
    Level.ICB: "ICB",
}
_FIGURES = (
    *(Column(status.replace("_", "-"), STATUSES[status].word, numeric=True) for status in COUNTED),
    Column("rate", "Rate, percent", numeric=True),
    Column("left-out", "Practices left out", numeric=True),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which table of the lattice is asked for."""

    indicator: Indicator
    level: Level
    month: date
    stratifiers: Sequence[Stratifier]

    @property
    def detail(self) -> Mapping[str, object]:
        """How the audit names it."""
        return {
            "shown": "aggregates",
            "indicator": self.indicator.name,
            "level": self.level.value,
            "month": self.month.isoformat(),
            "by": [each.name for each in self.stratifiers],
        }


def organisations_in_order(family: Family, level: Level, when: date) -> Sequence[str]:
    """The organisations of a table in the order of its rows: by name."""
    return sorted(family.organisations(level, when), key=lambda code: (family.asking.name_of(code), code))


def by_organisation(family: Family, wanted: Wanted, month: Month) -> Table:
    """One row an organisation. Below them what is counted at no single one of them, and everything."""
    names = family.organisations(wanted.level, wanted.month)
    rows = {code: month.figures(practices) for code, practices in names.items()}
    total = month.figures(frozenset(month.paths) & family.reach)
    foot = [("Hidden above, taken together", _beyond(total, rows.values())), ("Everything in your reach", total)]
    return Table(
        _name(family, wanted),
        f"{wanted.indicator.title}, by {LEVELS[wanted.level]}, at {day(wanted.month)}",
        (Column("organisation", LEVELS[wanted.level]), *_FIGURES),
        [
            [_organisation(family, wanted, code), *_cells(rows[code])]
            for code in organisations_in_order(family, wanted.level, wanted.month)
        ],
        "No organisation of this kind has practices in your reach.",
        has_json=True,
        suppression=family.policy.words,
        foot=[
            [Cell(title), *_cells(figures, with_rate=figures is total)]
            for title, figures in foot
            if figures is not None
        ],
    )


def by_stratifier(family: Family, wanted: Wanted, month: Month, made: Stratified) -> Table:
    """One row an organisation and value. An organisation of which nothing may be shown has a single row."""
    labels = [{**dict(each.labels), NOT_KNOWN: "Not known"} for each in wanted.stratifiers]
    names = family.organisations(wanted.level, wanted.month)
    rows: list[list[Cell]] = []
    shown: list[Figures] = []
    for code in organisations_in_order(family, wanted.level, wanted.month):
        found = {
            tuple(label[value] for label, value in zip(labels, key, strict=True)): made.figures(names[code], key)
            for key in product(*labels)
        }
        for classes in made.taken_together():
            words = (_together(label, group) for label, group in zip(labels, classes, strict=True))
            found[tuple(words)] = made.together(names[code], classes)
        head = _organisation(family, wanted, code)
        if all(cell.value is None for figures in found.values() for cell in figures.cells):
            hidden = made.figures((), ())
            rows.append([head, *(Cell("Every group") for _ in labels), *_cells(hidden)])
            continue
        shown += found.values()
        rows += [[head, *(Cell(word) for word in words), *_cells(figures)] for words, figures in found.items()]
    total = made.total(frozenset(month.paths) & family.reach)
    foot = [("Hidden above, taken together", _beyond(total, shown)), ("Everything in your reach", total)]
    titles = " and ".join(each.title.lower() for each in wanted.stratifiers)
    return Table(
        _name(family, wanted),
        f"{wanted.indicator.title}, by {LEVELS[wanted.level]}, {titles}, at {day(wanted.month)}",
        (
            Column("organisation", LEVELS[wanted.level]),
            *(Column(each.name, each.title) for each in wanted.stratifiers),
            *_FIGURES,
        ),
        rows,
        "No organisation of this kind has practices in your reach.",
        has_json=True,
        suppression=family.policy.words,
        foot=[
            [Cell(title), *(Cell("All") for _ in labels), *_cells(figures, with_rate=figures is total)]
            for title, figures in foot
            if figures is not None
        ],
    )


def by_month(family: Family, indicator: Indicator, organisation: str, months: Mapping[date, Month]) -> Table:
    """One row a month of one organisation, the newest first."""
    rows = [
        [Cell(when), *_cells(month.figures(inside))]
        for when, month in reversed(list(months.items()))
        if (inside := family.inside(organisation, when))
    ]
    return Table(
        f"{family.registry.id}-{indicator.name}-{organisation}",
        f"{indicator.title}: {family.asking.name_of(organisation)}",
        (Column("month", "At the end of"), *_FIGURES),
        rows,
        "This organisation has no practices in your reach.",
        has_json=True,
        suppression=family.policy.words,
    )


def _together(label: Mapping[str, str], values: frozenset[str]) -> str:
    """What values taken together are called, in the order that the pack gives them."""
    return " or ".join(words for value, words in label.items() if value in values)


def _name(family: Family, wanted: Wanted) -> str:
    by = "".join(f"-by-{each.name}" for each in wanted.stratifiers)
    return f"{family.registry.id}-{wanted.indicator.name}-{wanted.level}-{wanted.month}{by}"


def _organisation(family: Family, wanted: Wanted, code: str) -> Cell:
    href = f"/aggregates/{family.registry.id}/over-time/?indicator={wanted.indicator.name}&organisation={code}"
    return Cell(family.asking.name_of(code), href)


def _cells(figures: Figures, *, with_rate: bool = True) -> list[Cell]:
    left_out = max(cell.left_out for cell in figures.cells)
    rate = figures.rate if with_rate else None
    return [
        *(_cell(figure) for figure in figures.cells),
        Cell(rate, hidden="" if rate is not None else "not given"),
        Cell(left_out),
    ]


def _cell(figure: Published) -> Cell:
    return Cell(figure.value, hidden=figure.text if figure.value is None else "")


def _beyond(total: Figures, rows: Iterable[Figures]) -> Figures | None:
    """What the total counts and no row does: the total less the rows, so that a table adds up; None when nothing is.
    The practices counted differ by status, so that it has no rate.
    """
    found: dict[Status, Published] = {}
    listed = list(rows)
    for status, whole in total.by_status.items():
        value = whole.value
        if value is not None:
            value -= sum(row.by_status[status].value or 0 for row in listed)
        found[status] = Published(value)
    return Figures(found) if any(figure.value for figure in found.values()) else None
