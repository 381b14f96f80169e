"""Routes of suppressed counts: a table of the lattice, and one organisation over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput
from cohortium_platform.statistics import Level
from cohortium_plugins.model import Stratifier
from cohortium_web.asking import Asking
from cohortium_web.charts import Line, LineChart
from cohortium_web.pages.aggregates.family import Family, open_family
from cohortium_web.pages.aggregates.figures import LEVELS, Wanted, by_month, by_organisation, by_stratifier
from cohortium_web.pages.registry.views import Choice
from cohortium_web.requiring import requires
from cohortium_web.tables import Table
from cohortium_web.words import day

__all__ = ["router"]

router = APIRouter(prefix="/aggregates/{pack}")


@router.get("/")
def show_counts(  # noqa: PLR0913, PLR0917 - a table of the lattice is named by these
    asking: Annotated[Asking, requires(Action.VIEW_AGGREGATES)],
    pack: str,
    indicator: str = "",
    level: str = Level.PLACE,
    month: str = "",
    by: str = "",
    and_by: str = "",
) -> Response:
    """One table: an indicator by organisation at a month's end, perhaps split by one or two stratifiers."""
    family = open_family(asking, pack)
    stratifiers = _stratifiers(family, by, and_by)
    day_asked = _day(month) or family.newest
    day_shown = family.newest if stratifiers else day_asked
    wanted = Wanted(family.indicator(indicator), _level(level), day_shown, stratifiers)
    made = family.month(wanted.indicator, wanted.month)
    if stratifiers:
        table = by_stratifier(family, wanted, made, family.split(made, wanted.indicator, stratifiers))
    else:
        table = by_organisation(family, wanted, made)
    _record(asking, pack, family, wanted.detail)
    return asking.answer(
        table,
        "aggregates/counts.html",
        registry=family.registry,
        policy=family.policy,
        wanted=wanted,
        practices=len(family.reach),
        another_month=day_asked if day_asked != day_shown else None,
        stale=[asking.name_of(code) for code in family.stale(day_shown)],
        groups=family.registry.groups,
        indicators=_indicators(family, wanted.indicator.name),
        levels=[Choice(each, title, each == wanted.level) for each, title in LEVELS.items()],
        months=[Choice(each.isoformat(), day(each), each == wanted.month) for each in family.months],
        first=[Choice(each.name, each.title, each.name == by) for each in family.stratifiers],
        second=[Choice(each.name, each.title, each.name == and_by) for each in family.stratifiers],
    )


@router.get("/over-time/")
def show_over_time(
    asking: Annotated[Asking, requires(Action.VIEW_AGGREGATES)], pack: str, indicator: str = "", organisation: str = ""
) -> Response:
    """One organisation month by month, as a run chart and a table."""
    family = open_family(asking, pack)
    chosen = family.indicator(indicator)
    every = {code: level for level in reversed(Level) for code in family.organisations(level, family.newest)}
    shown = organisation or next(iter(every))
    if shown not in every:
        raise BadInput("That organisation has no practices in your reach.", "Choose one from the list.")
    table = by_month(family, chosen, shown, family.months_of(chosen))
    _record(asking, pack, family, {"shown": "over-time", "indicator": chosen.name, "organisation": shown})
    left_out = sorted({code for each in family.months for code in family.stale(each)})
    return asking.answer(
        table,
        "aggregates/over_time.html",
        registry=family.registry,
        policy=family.policy,
        chosen=chosen,
        organisation=asking.name_of(shown),
        practices=len(family.reach),
        chart=_chart(table),
        stale=[asking.name_of(code) for code in left_out],
        groups=family.registry.groups,
        indicators=_indicators(family, chosen.name),
        organisations=[Choice(code, asking.name_of(code), code == shown, LEVELS[kind]) for code, kind in every.items()],
    )


def _record(asking: Asking, pack: str, family: Family, detail: object) -> None:
    form = asking.request.query_params.get("format", "page")
    asking.record(f"aggregates/{pack}", practices=family.reach, detail={"table": detail, "as": form})


def _level(name: str) -> Level:
    if name not in set(Level):
        raise BadInput("There is no such level of organisation.", "Choose one from the list.")
    return Level(name)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadInput("That is not a day.", "Choose a month from the list.") from None


def _stratifiers(family: Family, by: str, and_by: str) -> Sequence[Stratifier]:
    """At most two, and not the same twice."""
    names = [name for name in dict.fromkeys((by, and_by)) if name]
    return [family.stratifier(name) for name in names]


def _indicators(family: Family, chosen: str) -> Sequence[Choice]:
    return [Choice(each.name, each.title, each.name == chosen, each.group) for each in family.registry.indicators]


def _chart(table: Table) -> LineChart | None:
    """The table's own rates, the earliest first."""
    rate = [column.name for column in table.columns].index("rate")
    rows = [(row[0].value, row[rate].value) for row in reversed(table.rows)]
    points = [(when, value) for when, value in rows if isinstance(when, date)]
    if not any(isinstance(value, int) for _, value in points):
        return None
    return LineChart(
        description=f"{table.caption}: percent met by month",
        labels=[f"{when:%b %y}" for when, _ in points],
        lines=[Line("Rate", [float(value) if isinstance(value, int) else None for _, value in points])],
    )
