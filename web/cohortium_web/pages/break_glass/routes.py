"""Routes of breaking the glass. The NHS number comes in the body of a POST and stands in no address and no log."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.breakglass import Reason, break_glass
from cohortium_auth.ig_settings import read_ig_settings
from cohortium_auth.policy import Action, Decision, Reach
from cohortium_platform import identities
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.identities.terms import nhs_number_in
from cohortium_web.asking import Asking, patient_hash
from cohortium_web.pages.references import PatientReferences
from cohortium_web.pages.registry.opened import open_practices
from cohortium_web.requiring import requires

__all__ = ["router"]

router = APIRouter(prefix="/break-glass")

Breaking = Annotated[Asking, requires(Action.BREAK_GLASS)]


@router.get("/")
def show_form(asking: Breaking) -> Response:
    """What breaking the glass means, and the form."""
    settings = read_ig_settings(asking.session)
    registries = asking.site.definitions.of_tenant(asking.session)
    asking.record("break-glass")
    return asking.page(
        "break_glass/form.html",
        reasons=list(Reason),
        registries=[(pack, found.title) for pack, found in registries.items()],
        minutes=settings.break_glass_minutes,
        days=settings.review_days,
    )


@router.post("/")
def open_patient(
    asking: Breaking,
    registry: Annotated[str, Form()] = "",
    nhs_number: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    words: Annotated[str, Form()] = "",
) -> Response:
    """Open one patient. Asking for somebody who is not there is recorded as well."""
    if reason not in set(Reason):
        raise BadInput("No reason was chosen.", "Choose the one that fits best.")
    number = nhs_number_in(nhs_number)
    if number is None:
        raise BadInput("That is not an NHS number.", "Give all ten digits.")
    registered = asking.site.definitions.of_tenant(asking.session).get(registry)
    practices = frozenset(asking.organisations.practices(asking.on))
    found = identities.search(asking.session, asking.keys, number, practices=practices)
    hashes = [patient_hash(asking.keys, patient) for patient in found]
    if registered is None or len(found) != 1:
        asking.refuse("break-glass", patients=list(found))
    patient_id = next(iter(found))
    try:
        everywhere = open_practices(asking, registered, Reach(practices, Decision(allowed=True, policies=())))
        row, _ = everywhere.results.patient(patient_id)
    except NotFound:
        asking.refuse("break-glass", patients=[patient_id])
    opening = break_glass(
        asking.session, asking.keys, asking.who, hashes[0], patient_id, reason=Reason(reason), words=words
    )
    asking.record(f"break-glass/{opening}", practices=[row.practice], patients=[patient_id], detail={"reason": reason})
    reference = PatientReferences(asking.keys).write(patient_id)
    return RedirectResponse(f"/registries/{registry}/patients/{reference}/", HTTPStatus.SEE_OTHER)
