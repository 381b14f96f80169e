"""Routes of the rates page: one indicator of a registry month by month, over the practices in reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput
from cohortium_platform.records import GP
from cohortium_platform.results import Count
from cohortium_platform.statistics import Rate, rates
from cohortium_plugins.model import Indicator
from cohortium_web.asking import Asking
from cohortium_web.charts import Line, LineChart
from cohortium_web.pages.registry.form import organisation_choices, practices_of
from cohortium_web.pages.registry.opened import OpenedRegistry, open_registry
from cohortium_web.pages.registry.routes import registry_head
from cohortium_web.pages.registry.views import Choice
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table
from cohortium_web.words import day

__all__ = ["router", "without_stale"]

router = APIRouter(prefix="/registries/{pack}")


_COLUMNS = (
    Column("month", "At the end of"),
    Column("met", "Met", numeric=True),
    Column("overdue", "Overdue", numeric=True),
    Column("rate", "QOF rate %", numeric=True),
    Column("closed", "Closed windows only %", numeric=True),
    Column("due", "Due", numeric=True),
    Column("excluded", "Excluded", numeric=True),
    Column("whole", "Whole population %", numeric=True),
)


@dataclass(frozen=True, slots=True)
class Month:
    """A row of the table."""

    index_date: date
    rate: Rate


@router.get("/rates/")
def show_rates(
    asking: Annotated[Asking, requires(Action.VIEW_REGISTRY)], pack: str, indicator: str = "", organisation: str = ""
) -> Response:
    """The rate of one indicator at each month's end, and beside it the rate over closed windows only."""
    registry = open_registry(asking, pack)
    chosen = _chosen(registry, indicator)
    if organisation and organisation not in asking.organisations.nodes:
        raise BadInput("There is no such organisation.", "Choose one from the list.")
    practices = practices_of(registry, organisation) if organisation else registry.results.practices
    with asking.timed("results"):
        counts = [
            count
            for count in registry.results.counts()
            if count.indicator == chosen.name and count.practice in practices
        ]
    kept, stale = without_stale(counts, _records_to(registry))
    months = [Month(rate.index_date, rate) for rate in rates(kept)]
    detail = {"shown": "rates", "indicator": chosen.name, "organisation": organisation}
    asking.record(f"registry/{pack}", practices=practices, detail=detail)
    return asking.answer(
        _table(pack, chosen, months),
        "rates/rates.html",
        registry=registry_head(registry, "rates/"),
        chosen=chosen,
        chart=_chart(chosen, months) if months else None,
        groups=registry.groups,
        indicators=[Choice(i.name, i.title, i.name == chosen.name, i.group) for i in registry.indicators],
        organisations=organisation_choices(registry, organisation),
        stale=[asking.name_of(code) for code in stale],
        action=registry.path + "rates/",
    )


def without_stale(counts: Sequence[Count], records_to: Mapping[str, date]) -> tuple[Sequence[Count], Sequence[str]]:
    """Leave out what is counted at a practice after the day its records run to; and name those practices."""
    stale = {count.practice for count in counts if records_to.get(count.practice, count.index_date) < count.index_date}
    kept = [count for count in counts if records_to.get(count.practice, count.index_date) >= count.index_date]
    return kept, sorted(stale)


def _records_to(registry: OpenedRegistry) -> Mapping[str, date]:
    return {practice: day for (practice, source), day in registry.days.items() if source == GP}


def _chosen(registry: OpenedRegistry, name: str) -> Indicator:
    """The indicator asked for, or the first that has a window: there the two rates differ."""
    by_name = {indicator.name: indicator for indicator in registry.indicators}
    if name and name not in by_name:
        raise BadInput("There is no such measure.", "Choose one from the list.")
    windowed = next((i for i in registry.indicators if i.due is not None and i.renews is None), registry.indicators[0])
    return by_name[name] if name else windowed


def _chart(indicator: Indicator, months: Sequence[Month]) -> LineChart:
    first, last = months[0], months[-1]
    return LineChart(
        description=f"{indicator.title}: percent met from {day(first.index_date)} to {day(last.index_date)}",
        labels=[f"{month.index_date:%b %y}" for month in months],
        lines=[
            Line("QOF rate", [_percent(month.rate.rate) for month in months]),
            Line("Closed windows only", [_percent(month.rate.closed_windows) for month in months], dashed=True),
        ],
    )


def _table(pack: str, indicator: Indicator, months: Sequence[Month]) -> Table:
    """A row a month, the newest first; percents to one decimal."""
    rows = [
        [
            Cell(month.index_date),
            Cell(month.rate.met),
            Cell(month.rate.overdue),
            Cell(_tenths(month.rate.rate)),
            Cell(_tenths(month.rate.closed_windows)),
            Cell(month.rate.due),
            Cell(month.rate.excluded),
            Cell(_tenths(month.rate.whole_population)),
        ]
        for month in reversed(months)
    ]
    name = f"{pack}-{indicator.name}-rates"
    return Table(name, f"{indicator.title}, month by month", _COLUMNS, rows, "Nobody in your reach has this measure.")


def _tenths(rate: float | None) -> float | None:
    return None if rate is None else round(rate * 100, 1)


def _percent(rate: float | None) -> float | None:
    return None if rate is None else round(rate * 100, 2)
