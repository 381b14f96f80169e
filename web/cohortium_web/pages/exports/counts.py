"""Having an exporter make a file of suppressed counts: the tables that pages publish, every measure and level of them.

Not here: what may be published (`aggregates`). The exporter is given cells that are suppressed already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.policy import Action
from cohortium_plugins.exporting import ExportLevel
from cohortium_tenants.exports import ExportRegistry, ask_for_export
from cohortium_web.asking import Asking
from cohortium_web.pages.aggregates.family import Family, open_family
from cohortium_web.pages.aggregates.figures import LEVELS, Wanted, by_organisation, organisations_in_order
from cohortium_web.pages.exports.serving import approval_of, chosen, fetch, files_of, page_of_files
from cohortium_web.requiring import requires

__all__ = ["router"]

router = APIRouter(prefix="/aggregates/{pack}/exports")

Counting = Annotated[Asking, requires(Action.VIEW_AGGREGATES)]
_OWN = {
    "cohort": "Cohort",
    "cohort-title": "Cohort in words",
    "indicator": "Indicator",
    "measure": "Measure",
    "level": "By",
    "code": "ODS code",
}


@router.get("/")
def show_files(asking: Counting, pack: str) -> Response:
    """Which exporters there are for suppressed counts, and what they have made."""
    family = open_family(asking, pack)
    asking.record(f"aggregates/{pack}/exports", practices=family.reach, detail={"shown": "exporters"})
    return page_of_files(asking, family.registry.title, pack, ExportLevel.AGGREGATE, at=f"/aggregates/{pack}/exports/")


@router.post("/")
def ask(asking: Counting, pack: str, exporter: Annotated[str, Form()] = "") -> Response:
    """Ask for a file of suppressed counts at the newest month."""
    family, approval = open_family(asking, pack), approval_of(asking)
    name, evaluation = chosen(ExportLevel.AGGREGATE, exporter).name, family.registry.results.evaluation
    columns, titles = _columns(family)
    wanted = ExportRegistry(
        export=uuid4(),
        exporter=name,
        registry=pack,
        title=family.registry.title,
        version=evaluation.version,
        definition_hash=evaluation.definition_hash,
        index_date=family.newest,
        level=ExportLevel.AGGREGATE.value,
        approval=approval,
        practices=tuple(sorted(family.reach)),
        columns=tuple(columns),
        titles=dict(titles),
        actor=str(asking.who.person_id),
    )
    ask_for_export(asking.session, asking.site.queue, files_of(asking), wanted, rows=columns, patients=[])
    asking.record(
        f"aggregates/{pack}/export/{wanted.export}",
        practices=wanted.practices,
        detail={"exporter": name, "level": wanted.level},
    )
    return RedirectResponse(f"/aggregates/{pack}/exports/", HTTPStatus.SEE_OTHER)


@router.get("/{export}/file")
def fetch_file(asking: Counting, pack: str, export: UUID) -> Response:
    """Fetch one."""
    return fetch(asking, pack, ExportLevel.AGGREGATE, export, resource=f"aggregates/{pack}")


def _columns(family: Family) -> tuple[Mapping[str, Sequence[str]], Mapping[str, str]]:
    """The cells of every table by organisation at the newest month, as files show them, and what columns are called."""
    cohorts = {each.name: each.title for each in family.registry.registered.definition.cohorts}
    rows: list[Sequence[str]] = []
    titles: Mapping[str, str] = {}
    for indicator in family.registry.indicators:
        month = family.month(indicator, family.newest)
        for level, words in LEVELS.items():
            table = by_organisation(family, Wanted(indicator, level, family.newest, ()), month)
            codes = [*organisations_in_order(family, level, family.newest), *("" for _ in table.foot)]
            own = (indicator.cohort, cohorts[indicator.cohort], indicator.name, indicator.title, words)
            figures = [[cell.plain for cell in row] for row in (*table.rows, *table.foot)]
            rows += [[*own, code, *cells] for code, cells in zip(codes, figures, strict=True)]
            titles = {**_OWN, **{each.name: each.title for each in table.columns}, "organisation": "Organisation"}
    return {name: [row[at] for row in rows] for at, name in enumerate(titles)}, titles
