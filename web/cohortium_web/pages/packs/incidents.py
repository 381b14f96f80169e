"""Routes of clinical safety incident reports: who was shown a wrong status, and when. No patient is named: they stand
as the audit log has them, under the ICB's own key, by which the IG officers' pages find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.policy import Action
from cohortium_platform.errors import NotFound
from cohortium_platform.jobs import Job
from cohortium_tenants.packs import enablements
from cohortium_tenants.packs.catalogue.versions import find_version, versions_of
from cohortium_tenants.packs.files import TenantFiles
from cohortium_tenants.packs.incidents import ask_for_report, find_report, reports_of
from cohortium_tenants.packs.models import IncidentReport
from cohortium_web.asking import Asking
from cohortium_web.pages.packs.previews import ended
from cohortium_web.pages.packs.shown import who
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/packs/{pack}/incidents")

Reporting = Annotated[Asking, requires(Action.REPORT_INCIDENT)]
_COLUMNS = (
    Column("at", "When"),
    Column("who", "Who"),
    Column("role", "Role"),
    Column("organisation", "Organisation"),
    Column("shown", "What was opened"),
    Column("patient", "Patient, under this ICB's key"),
    Column("wrong", "Wrong statuses", numeric=True),
    Column("index-date", "As at"),
)
_ROWS = """
    SELECT at, actor, role, organisation, action, shown, patient, wrong, index_date FROM read_parquet($file)
    ORDER BY at, actor, patient
"""


@router.get("/")
def show_reports(asking: Reporting, pack: str) -> Response:
    """The reports about a pack, and the form that asks for one."""
    newest = find_version(asking.session, pack)
    found = reports_of(asking.session, pack)
    ran = sorted({each.version for each in enablements(asking.session, pack)})
    if not ran:
        raise NotFound("That pack never ran here.", "Choose one from the catalogue.")
    asking.record(f"pack/{pack}/incidents")
    return asking.page(
        "packs/incidents.html",
        pack=newest,
        reports=found,
        ran=ran,
        versions=[each.version for each in versions_of(asking.session, pack)],
        names=who(asking, [each.asked_by for each in found]),
    )


@router.post("/")
def ask(
    asking: Reporting, pack: str, version: Annotated[str, Form()] = "", right: Annotated[str, Form()] = ""
) -> Response:
    """Ask for a report."""
    by = str(asking.who.person_id)
    made = ask_for_report(asking.session, asking.site.queue, pack, version, right, by=by)
    asking.record(f"pack/{pack}/incident/{made.id}", detail={"version": made.version, "right": made.right_version})
    return RedirectResponse(f"/packs/{pack}/incidents/{made.id}/", HTTPStatus.SEE_OTHER)


@router.get("/{report}/")
def show(asking: Reporting, pack: str, report: UUID) -> Response:
    """One report: who, when, how much; or how far it is."""
    found = find_report(asking.session, pack, report)
    job = asking.session.get(Job, (asking.who.tenant_id, found.job_id))
    detail = {"shown": "progress" if found.finished is None else "report"}
    asking.record(f"pack/{pack}/incident/{report}", detail=detail)
    if found.finished is None:
        over = job is None or ended(job)
        if over and asking.request.headers.get("hx-request"):
            return Response(headers={"HX-Refresh": "true"})
        return asking.page("packs/incident_progress.html", report=found, job=job, ended=over)
    if asking.request.headers.get("hx-request"):
        return Response(headers={"HX-Refresh": "true"})
    caption = f"Who was shown a wrong status by {pack} {found.version}"
    rows = _rows(asking, found)
    table = Table(f"{pack}-incident", caption, _COLUMNS, rows, "Nobody opened a page with a wrong status on it.")
    return asking.answer(table, "packs/incident.html", report=found)


def _rows(asking: Asking, found: IncidentReport) -> Sequence[Sequence[Cell]]:
    file = TenantFiles(asking.site.settings.store_root, asking.who.tenant_id).path(found.path)
    read = asking.site.results.rows(_ROWS, {"file": str(file)})
    names = who(asking, [str(row[1]) for row in read])
    return [
        [
            Cell(cast("None", at)), Cell(names[str(actor)]), Cell(str(role)), Cell(asking.name_of(str(organisation))),
            Cell(str(shown) or str(action).replace("-", " ")), Cell(str(patient)), Cell(cast("int", wrong)),
            Cell(cast("None", day)),
        ]
        for at, actor, role, organisation, action, shown, patient, wrong, day in read
    ]  # fmt: skip
