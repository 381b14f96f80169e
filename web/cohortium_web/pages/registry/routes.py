"""Routes of a registry: its list, tiles, measures, searching and downloading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.datastructures import QueryParams
from starlette.responses import RedirectResponse, Response

from cohortium_auth.policy import Action
from cohortium_platform.results import ListQuery
from cohortium_web.asking import Asking
from cohortium_web.pages.registry import download, searches
from cohortium_web.pages.registry.filters import Filters
from cohortium_web.pages.registry.form import filter_form
from cohortium_web.pages.registry.lists import ListedPage, list_page, tile_columns
from cohortium_web.pages.registry.measures import SHOWN, measure_groups, people_of
from cohortium_web.pages.registry.opened import OpenedRegistry, open_registry
from cohortium_web.requiring import requires
from cohortium_web.words import STATUSES

__all__ = ["registry_head", "router"]

router = APIRouter(prefix="/registries/{pack}")

Viewing = Annotated[Asking, requires(Action.VIEW_REGISTRY)]


@router.get("/")
def show_list(asking: Viewing, pack: str) -> Response:
    """The registry as a list, most gaps first."""
    registry = open_registry(asking, pack)
    listed = list_page(registry, Filters.read(asking.request.query_params))
    _record(listed, "list")
    view = {**_page_view(listed, registry.path), "rows": listed.rows()}
    if asking.wants_part:
        return asking.part("registry/results.html", listed.filters.at(registry.path), **view)
    head = registry_head(registry, "", listed.everyone, listed.filters)
    return asking.page("registry/list.html", **view, registry=head)


@router.get("/tiles/")
def show_tiles(asking: Viewing, pack: str) -> Response:
    """The registry as tiles: patients by indicator."""
    registry = open_registry(asking, pack)
    listed = list_page(registry, Filters.read(asking.request.query_params))
    groups, heads = tile_columns(registry, listed)
    _record(listed, "tiles")
    view = {
        **_page_view(listed, registry.path + "tiles/"),
        "rows": listed.tile_rows(),
        "groups": groups,
        "heads": heads,
        "looks": list(STATUSES.values()),
    }
    if asking.wants_part:
        return asking.part("registry/tiles_results.html", listed.filters.at(registry.path + "tiles/"), **view)
    head = registry_head(registry, "tiles/", listed.everyone, listed.filters)
    return asking.page("registry/tiles.html", **view, registry=head)


@router.get("/measures/")
def show_measures(asking: Viewing, pack: str) -> Response:
    """Every measure of the registry with its counts."""
    registry = open_registry(asking, pack)
    with asking.timed("results"):
        counts = registry.results.tiles()
    asking.record(f"registry/{pack}", practices=registry.results.practices, detail={"shown": "measures"})
    return asking.page(
        "registry/measures.html",
        registry=registry_head(registry, "measures/", people_of(counts)),
        groups=measure_groups(registry, counts),
        looks=[STATUSES[status] for status in SHOWN],
    )


@router.post("/search")
def search(
    asking: Viewing, pack: str, who: Annotated[str, Form()] = "", filters: Annotated[str, Form()] = ""
) -> Response:
    """Keep what is searched for, and lead to the list that it finds; see `searches` for why."""
    asking.registry(pack)
    chosen = replace(Filters.read(QueryParams(filters)), search=None, page=1)
    if who.strip():
        chosen = replace(chosen, search=searches.keep(asking, who.strip()))
    asking.record(f"registry/{pack}", detail={"shown": "search"})
    return RedirectResponse(chosen.at(f"/registries/{pack}/"), HTTPStatus.SEE_OTHER)


@router.get("/list.csv")
def take_list(asking: Annotated[Asking, requires(Action.EXPORT_LIST)], pack: str) -> Response:
    """The page of the list that the address names, as CSV."""
    registry = open_registry(asking, pack)
    listed = list_page(registry, Filters.read(asking.request.query_params))
    _record(listed, "csv")
    name = f"{pack}-{registry.index_date.isoformat()}-page-{listed.filters.page}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response("\ufeff" + download.as_csv(listed), media_type="text/csv; charset=utf-8", headers=headers)


def registry_head(
    registry: OpenedRegistry, tab: str, people: int | None = None, filters: Filters | None = None
) -> Mapping[str, object]:
    """What stands at the head and foot of every page of a registry."""
    if people is None:
        with registry.asking.timed("results"):
            people = registry.results.page(ListQuery(limit=0)).total
    return {
        "title": registry.title,
        "path": registry.path,
        "scope": registry.scope(people),
        "index_date": registry.index_date,
        "tabs": registry.tabs(tab, filters),
        "records_to": registry.records_to,
        "withdrawn": registry.withdrawn,
    }


def _page_view(listed: ListedPage, action: str) -> dict[str, object]:
    """What the list and the tiles have in common."""
    registry, filters = listed.registry, listed.filters
    return {
        "form": filter_form(registry, filters, action, listed.search),
        "action": action,
        "paging": listed.paging(action),
        "download": filters.at(registry.path + "list.csv"),
        "search_action": registry.path + "search",
        "search_id": filters.search or "",
        "here_query": replace(filters, search=None, page=1).query(),
        "part": registry.asking.wants_part,
        "tabs": registry.tabs(action.removeprefix(registry.path), filters),
    }


def _record(listed: ListedPage, shown: str) -> None:
    """Write the audit entry of a list: what was asked, how many there are, and everyone on the page."""
    registry, filters = listed.registry, listed.filters
    asked = replace(filters, search=None, page=1).query()
    detail = {
        "shown": shown,
        "filters": asked,
        "searched": filters.search is not None,
        "page": filters.page,
        "total": listed.page.total,
        "index_date": registry.index_date.isoformat(),
    }
    practices = sorted({row.practice for row in listed.page.rows})
    registry.asking.record(f"registry/{registry.id}", practices=practices, patients=listed.patients, detail=detail)
