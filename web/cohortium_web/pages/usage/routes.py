"""The usage page: registries by organisation, role and week, from the audit log; never by whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput
from cohortium_tenants.usage import usage
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/usage")

_FEWEST_PEOPLE = 3
"""A row of fewer people would say by whom; only those who read the log itself see it."""
_WEEKS = (4, 13, 26, 52)
_COLUMNS = (
    Column("week", "Week from"),
    Column("registry", "Registry"),
    Column("organisation", "Organisation"),
    Column("role", "Role"),
    Column("people", "People", numeric=True),
    Column("lists", "Lists", numeric=True),
    Column("patients", "Patients opened", numeric=True),
    Column("downloads", "Downloads", numeric=True),
)


@router.get("/")
def show_usage(
    asking: Annotated[Asking, requires(Action.VIEW_USAGE)], weeks: str = "13", registry: str = ""
) -> Response:
    """Usage of the last weeks."""
    if weeks not in {str(each) for each in _WEEKS}:
        raise BadInput("There is no such span.", "Choose one from the list.")
    titles = {pack: found.title for pack, found in asking.site.definitions.of_tenant(asking.session).items()}
    until, sees_few = asking.on + timedelta(days=1), Action.SEARCH_AUDIT in asking.actions
    rows = [
        [
            Cell(used.week),
            Cell(titles.get(used.registry, used.registry)),
            Cell(asking.name_of(used.organisation)),
            Cell(used.role),
            Cell(used.people),
            Cell(used.lists),
            Cell(used.patients),
            Cell(used.downloads),
        ]
        for used in usage(asking.session, until - timedelta(weeks=int(weeks)), until)
        if (not registry or used.registry == registry) and (sees_few or used.people >= _FEWEST_PEOPLE)
    ]
    asking.record("usage", detail={"weeks": int(weeks), "registry": registry})
    table = Table("usage", "Use of registries", _COLUMNS, rows, "Nobody has used a registry in that time.")
    view = {"spans": _WEEKS, "weeks": int(weeks), "registries": list(titles.items()), "registry": registry}
    return asking.answer(table, "usage/usage.html", **view)
