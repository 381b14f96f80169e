"""Having an exporter make a file of a registry, and fetching it, under the approval that it was asked for.

Rows are read and reduced here, in the request that is decided and recorded; the exporter sees nothing else. Whoever
asked may fetch the file for a day, as long as that same approval gives them every practice that it speaks of.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.policy import Action
from cohortium_plugins.exporting import ExportLevel
from cohortium_tenants.exports import ExportRegistry, ask_for_export
from cohortium_web.asking import Asking
from cohortium_web.pages.exports.rows import rows_of
from cohortium_web.pages.exports.serving import approval_of, chosen, fetch, files_of, page_of_files, record_patients
from cohortium_web.pages.registry.opened import open_registry
from cohortium_web.requiring import requires

__all__ = ["router"]

router = APIRouter(prefix="/registries/{pack}/exports")

Pseudonymised = Annotated[Asking, requires(Action.EXPORT_PSEUDONYMISED)]
Identifiable = Annotated[Asking, requires(Action.EXPORT_IDENTIFIABLE)]
Chosen = Annotated[str, Form()]


@router.get("/pseudonymised/")
def show_pseudonymised(asking: Pseudonymised, pack: str) -> Response:
    """Which exporters there are for rows under pseudonyms, and what they have made."""
    return _show(asking, pack, ExportLevel.PSEUDONYMISED)


@router.post("/pseudonymised/")
def ask_pseudonymised(asking: Pseudonymised, pack: str, exporter: Chosen = "") -> Response:
    """Ask for a file of rows under pseudonyms."""
    return _ask(asking, pack, ExportLevel.PSEUDONYMISED, exporter)


@router.get("/pseudonymised/{export}/file")
def fetch_pseudonymised(asking: Pseudonymised, pack: str, export: UUID) -> Response:
    """Fetch one."""
    return _fetch(asking, pack, ExportLevel.PSEUDONYMISED, export)


@router.get("/identifiable/")
def show_identifiable(asking: Identifiable, pack: str) -> Response:
    """Which exporters there are for identifiable rows, and what they have made."""
    return _show(asking, pack, ExportLevel.IDENTIFIABLE)


@router.post("/identifiable/")
def ask_identifiable(asking: Identifiable, pack: str, exporter: Chosen = "") -> Response:
    """Ask for a file of identifiable rows."""
    return _ask(asking, pack, ExportLevel.IDENTIFIABLE, exporter)


@router.get("/identifiable/{export}/file")
def fetch_identifiable(asking: Identifiable, pack: str, export: UUID) -> Response:
    """Fetch one."""
    return _fetch(asking, pack, ExportLevel.IDENTIFIABLE, export)


def _show(asking: Asking, pack: str, level: ExportLevel) -> Response:
    registry = open_registry(asking, pack)
    asking.record(f"registry/{pack}/exports", practices=registry.results.practices, detail={"shown": "exporters"})
    return page_of_files(asking, registry.title, pack, level, at=f"/registries/{pack}/exports/{level}/")


def _ask(asking: Asking, pack: str, level: ExportLevel, name: str) -> Response:
    registry, approval = open_registry(asking, pack), approval_of(asking)
    chosen(level, name)
    rows, evaluation = rows_of(registry, level, approval), registry.results.evaluation
    practices = sorted(registry.results.practices)
    wanted = ExportRegistry(
        export=uuid4(),
        exporter=name,
        registry=pack,
        title=registry.title,
        version=evaluation.version,
        definition_hash=evaluation.definition_hash,
        index_date=registry.index_date,
        level=level.value,
        approval=approval,
        practices=tuple(practices),
        columns=tuple(rows.columns),
        titles=dict(rows.titles),
        actor=str(asking.who.person_id),
    )
    ask_for_export(
        asking.session, asking.site.queue, files_of(asking), wanted, rows=rows.columns, patients=rows.patients
    )
    detail = {"exporter": name, "level": level.value, "rows": len(rows.patients)}
    record_patients(asking, wanted, rows.patients, detail, resource=f"registry/{pack}")
    return RedirectResponse(f"/registries/{pack}/exports/{level}/", HTTPStatus.SEE_OTHER)


def _fetch(asking: Asking, pack: str, level: ExportLevel, export: UUID) -> Response:
    return fetch(asking, pack, level, export, resource=f"registry/{pack}")
