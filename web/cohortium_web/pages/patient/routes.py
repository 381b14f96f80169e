"""Routes of a patient: the measure table, why each measure is so, and the timeline."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput
from cohortium_web.asking import Asking
from cohortium_web.pages.patient.measures import measure_set
from cohortium_web.pages.patient.opened import OpenedPatient, open_elsewhere, open_patient
from cohortium_web.pages.patient.timeline import timeline, timeline_groups
from cohortium_web.pages.patient.why import explain_measure
from cohortium_web.requiring import requires

__all__ = ["patient_head", "router"]

router = APIRouter(prefix="/registries/{pack}/patients/{reference}")

Viewing = Annotated[Asking, requires(Action.VIEW_PATIENT)]


@router.get("/")
def show_patient(asking: Viewing, pack: str, reference: str) -> Response:
    """The patient's banner and measure table."""
    patient = open_patient(asking, pack, reference)
    elsewhere = open_elsewhere(patient)
    others = [each.registry.id for each in elsewhere]
    patient.record_view("measures", **({"also": others} if others else {}))
    measures = measure_set(patient, elsewhere)
    return asking.page(
        "patient/measures.html",
        **patient_head(patient, "measures"),
        gaps=measures.gaps,
        due=measures.due,
        groups=measures.groups,
        elsewhere=[(each.registry.title, each.path) for each in elsewhere],
    )


@router.get("/why/{indicator}/")
def show_why(asking: Viewing, pack: str, reference: str, indicator: str) -> Response:
    """Why a measure is as it is: a part of the page for htmx, else a page of its own."""
    patient = open_patient(asking, pack, reference)
    why = explain_measure(patient, indicator)
    patient.record_view("why", indicator=indicator)
    if asking.wants_part:
        return asking.page("patient/why_part.html", why=why)
    return asking.page("patient/why.html", **patient_head(patient, "why"), why=why)


@router.get("/timeline/")
def show_timeline(asking: Viewing, pack: str, reference: str, group: str = "") -> Response:
    """The patient's coded entries by year."""
    patient = open_patient(asking, pack, reference)
    groups = timeline_groups(patient)
    if group and group not in groups:
        raise BadInput("There is no such group of measures.", "Choose one from the list.")
    years = timeline(patient, group)
    patient.record_view("timeline", group=group)
    view = {"years": years, "group": group, "groups": groups, "action": patient.path + "timeline/"}
    if asking.wants_part:
        return asking.page("patient/timeline_part.html", **view)
    return asking.page("patient/timeline.html", **patient_head(patient, "timeline"), **view)


def patient_head(patient: OpenedPatient, tab: str) -> dict[str, object]:
    """What stands at the head and foot of every page about a patient."""
    registry = patient.registry
    return {
        "banner": patient.banner(),
        "registry": {
            "title": registry.title,
            "path": registry.path,
            "index_date": registry.index_date,
            "records_to": registry.records_of(patient.row.practice),
        },
        "tab": tab,
        "path": patient.path,
        "opened_until": patient.opened_until,
    }
