"""Having an exporter make a file of a registry, and fetching it, under the approval that it was asked for.

Rows are read and reduced here, in the request that is decided and recorded; the exporter sees nothing else. Whoever
asked may fetch the file for a day, as long as that same approval gives them every practice that it speaks of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput, CohortiumError, NotFound
from cohortium_platform.jobs import JobState
from cohortium_plugins.exporting import Exporter, ExportLevel
from cohortium_plugins.installed import installed_exporters
from cohortium_tenants.exports import (
    ExportFiles,
    ExportRegistry,
    Part,
    ask_for_export,
    asked_of,
    exports_of,
    find_export,
)
from cohortium_web.asking import Asking
from cohortium_web.pages.exports.rows import rows_of
from cohortium_web.pages.registry.opened import open_registry
from cohortium_web.requiring import requires

__all__ = ["router"]

router = APIRouter(prefix="/registries/{pack}/exports")

Pseudonymised = Annotated[Asking, requires(Action.EXPORT_PSEUDONYMISED)]
Identifiable = Annotated[Asking, requires(Action.EXPORT_IDENTIFIABLE)]
Chosen = Annotated[str, Form()]
_AT_ONCE = 2_000


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
    jobs = exports_of(asking.session, str(asking.who.person_id), pack, level)
    asking.record(f"registry/{pack}/exports", practices=registry.results.practices, detail={"shown": "exporters"})
    titles = {each.name: each.title for each in _exporters(level)}
    made = [(asked.export, titles.get(asked.exporter, asked.exporter), job) for job in jobs if (asked := asked_of(job))]
    return asking.page(
        "exports/exports.html", title=registry.title, level=level.value, exporters=titles, made=made, pack=pack
    )


def _ask(asking: Asking, pack: str, level: ExportLevel, name: str) -> Response:
    registry, approval = open_registry(asking, pack), _approval(asking)
    if name not in {each.name for each in _exporters(level)}:
        raise BadInput("There is no such exporter.", "Choose one from the list.")
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
    ask_for_export(asking.session, asking.site.queue, _files(asking), wanted, rows=rows.columns, patients=rows.patients)
    detail = {"exporter": name, "level": level.value, "rows": len(rows.patients)}
    _record(asking, wanted, rows.patients, detail)
    return RedirectResponse(f"/registries/{pack}/exports/{level}/", HTTPStatus.SEE_OTHER)


def _fetch(asking: Asking, pack: str, level: ExportLevel, export: UUID) -> Response:
    job = find_export(asking.session, str(asking.who.person_id), pack, level, export)
    asked, exporter = asked_of(job), installed_exporters().get(asked_of(job).exporter)
    if asked.approval != _approval(asking) or not asking.practices.issuperset(asked.practices):
        asking.refuse(f"registry/{pack}/export/{export}")
    if job.state != JobState.SUCCEEDED or exporter is None:
        raise NotFound("This file is not there.", "Look at the page whether it is still being made.")
    files = _files(asking)
    made, patients = files.open(export, Part.MADE), memoryview(files.open(export, Part.PATIENTS)).cast("q")
    detail = {"exporter": asked.exporter, "level": level.value, "fetched": len(patients)}
    _record(asking, asked, patients.tolist(), detail)
    name = f"{pack}-{asked.index_date}-{level}{exporter.suffix}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(made, media_type=exporter.media_type, headers=headers)


def _record(asking: Asking, export: ExportRegistry, patients: Sequence[int], detail: Mapping[str, str | int]) -> None:
    """One entry for so many patients: whoever asks who was shown a row of theirs is told of this one."""
    for some in [patients[at : at + _AT_ONCE] for at in range(0, len(patients), _AT_ONCE)] or [[]]:
        asking.record(
            f"registry/{export.registry}/export/{export.export}",
            practices=export.practices,
            patients=some,
            detail=detail,
        )


def _exporters(level: ExportLevel) -> list[Exporter]:
    return sorted((each for each in installed_exporters().values() if each.level is level), key=lambda each: each.title)


def _approval(asking: Asking) -> UUID:
    """The approval that the decision relied on. Raises `CohortiumError` where a policy demanded none."""
    if asking.decision.approval is None:
        raise CohortiumError("Rows would be taken under no approval.", "The policy must demand one.")
    return asking.decision.approval


def _files(asking: Asking) -> ExportFiles:
    return ExportFiles(asking.site.settings.store_root, asking.keys)
