"""A registry's outreach list. An exempted person stays in the registry, in the whole-population rate and here.

Not here: rates, which show what adjustments do to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.policy import Action
from cohortium_platform import identities
from cohortium_platform.errors import BadInput
from cohortium_platform.results import Adjusted, ListQuery
from cohortium_web.asking import Asking
from cohortium_web.pages.paging import PAGE_ROWS, PageOf
from cohortium_web.pages.references import PatientReferences
from cohortium_web.pages.registry.form import organisation_choices, practices_of
from cohortium_web.pages.registry.opened import OpenedRegistry, open_registry
from cohortium_web.pages.registry.routes import registry_head
from cohortium_web.pages.registry.views import Choice
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table, as_csv
from cohortium_web.words import nhs_number

__all__ = ["router"]

router = APIRouter(prefix="/registries/{pack}/outreach")

_TAB = "outreach/"
_COLUMNS = (
    Column("name", "Patient"),
    Column("nhs-number", "NHS number"),
    Column("practice", "Practice"),
    Column("measure", "Measure"),
    Column("reason", "Why outside the rate"),
    Column("due", "Due"),
)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A page of the list, and all that its address says."""

    registry: OpenedRegistry
    table: Table
    paged: PageOf
    chosen: Mapping[str, str]


@router.get("/")
def show_outreach(
    asking: Annotated[Asking, requires(Action.VIEW_REGISTRY)],
    pack: str,
    organisation: str = "",
    indicator: str = "",
    page: int = 1,
) -> Response:
    """Everyone whom an adjustment takes out of a rate, a row a measure."""
    listed = _listed(open_registry(asking, pack), organisation, indicator, page, "outreach")
    registry, action = listed.registry, listed.registry.path + _TAB
    return asking.answer(
        listed.table,
        "outreach/outreach.html",
        registry=registry_head(registry, _TAB),
        organisations=organisation_choices(registry, organisation),
        indicators=[Choice(i.name, i.title, i.name == indicator) for i in registry.indicators if i.adjustments],
        action=action,
        paging=listed.paged.paging(lambda at: f"{action}?{urlencode({**listed.chosen, 'page': at})}"),
        total=listed.paged.total,
    )


@router.get("/list.csv")
def take_outreach(
    asking: Annotated[Asking, requires(Action.EXPORT_LIST)],
    pack: str,
    organisation: str = "",
    indicator: str = "",
    page: int = 1,
) -> Response:
    """The page of the list that the address names, as CSV."""
    listed = _listed(open_registry(asking, pack), organisation, indicator, page, "outreach-csv")
    return as_csv(listed.table.asked(asking.request))


def _listed(registry: OpenedRegistry, organisation: str, indicator: str, page: int, shown: str) -> _Listed:
    """Read one page, and record who is on it."""
    asking = registry.asking
    if organisation and organisation not in asking.organisations.nodes:
        raise BadInput("There is no such organisation.", "Choose one from the list.")
    practices = practices_of(registry, organisation) if organisation else None
    query = ListQuery(practices=practices, indicator=indicator or None, limit=PAGE_ROWS)
    with asking.timed("results"):
        found, total = registry.results.adjusted(query)
        paged = PageOf(total, page).within()
        if paged.number > 1:
            found, _ = registry.results.adjusted(replace(query, offset=paged.offset))
    chosen = {name: value for name, value in (("organisation", organisation), ("indicator", indicator)) if value}
    asking.record(
        f"registry/{registry.id}",
        practices=sorted({each.practice for each in found}),
        patients=list(dict.fromkeys(each.patient_id for each in found)),
        detail={"shown": shown, **chosen, "page": paged.number, "total": total},
    )
    table = Table(
        f"{registry.id}-outreach-page-{paged.number}",
        "People outside a rate, and still in view",
        _COLUMNS,
        _rows(registry, found),
        "Nobody in your reach is outside a rate.",
        csv_at=f"{registry.path}{_TAB}list.csv",
    )
    return _Listed(registry, table, paged, chosen)


def _rows(registry: OpenedRegistry, found: Sequence[Adjusted]) -> Sequence[Sequence[Cell]]:
    asking = registry.asking
    with asking.timed("identities"):
        known = identities.open_many(
            asking.session,
            asking.keys,
            list(dict.fromkeys(each.patient_id for each in found)),
            practices=registry.results.practices,
        )
    references = PatientReferences(asking.keys)
    measures = {indicator.name: indicator for indicator in registry.indicators}
    rows = []
    for each in found:
        who, measure = known.get(each.patient_id), measures[each.indicator]
        reason = next((a.title for a in measure.adjustments if a.name == each.adjustment), each.adjustment)
        href = f"{registry.path}patients/{references.write(each.patient_id)}/"
        rows.append(
            [
                Cell((who.name if who else "") or "Name not known", href),
                Cell(nhs_number(who.nhs_number if who else None)),
                Cell(asking.name_of(each.practice)),
                Cell(measure.title),
                Cell(reason),
                Cell(each.due_date),
            ]
        )
    return rows
