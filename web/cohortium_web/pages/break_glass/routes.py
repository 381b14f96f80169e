"""Routes of breaking the glass. The NHS number comes in the body of a POST and stands in no address and no log."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.breakglass import MOST_AN_HOUR, Reason, break_glass, opened_lately, see_words
from cohortium_auth.ig_settings import read_ig_settings
from cohortium_auth.policy import Action, Decision, PracticeRecords, Reach, decide
from cohortium_platform import identities
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.identities.pseudonyms import pseudonym_of_nhs_number
from cohortium_platform.identities.terms import nhs_number_in
from cohortium_platform.results import ListRow
from cohortium_web.asking import Asking, patient_hash
from cohortium_web.definitions import Registered
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
    number, registered = nhs_number_in(nhs_number), asking.site.definitions.of_tenant(asking.session).get(registry)
    if reason not in set(Reason):
        raise BadInput("No reason was chosen.", "Choose the one that fits best.")
    if number is None:
        raise BadInput("That is not an NHS number.", "Give all ten digits.")
    if registered is None:
        raise BadInput("There is no such registry.", "Choose one from the list.")
    see_words(words)
    patient_id, row = _found(asking, registered, number)
    patient = patient_hash(asking.keys, patient_id)
    opening = break_glass(
        asking.session, asking.keys, asking.who, patient, patient_id, reason=Reason(reason), words=words
    )
    asking.record(
        f"registry/{registry}/break-glass/{opening}",
        practices=[row.practice],
        patients=[patient_id],
        detail={"reason": reason},
    )
    reference = PatientReferences(asking.keys).write(patient_id)
    return RedirectResponse(f"/registries/{registry}/patients/{reference}/", HTTPStatus.SEE_OTHER)


def _found(asking: Asking, registered: Registered, number: str) -> tuple[int, ListRow]:
    """The patient of a number, in the registry, at a practice whose patients may be opened so. From here on whatever
    ends without an opening is a refusal and recorded: it could tell who is in the registry. So are too many in an hour.
    """
    practices = frozenset(asking.organisations.practices(asking.on))
    found = sorted(identities.search(asking.session, asking.keys, number, practices=practices))
    resource = f"registry/{registered.pack.id}/break-glass"
    if len(found) != 1 or opened_lately(asking.session, asking.who) >= MOST_AN_HOUR:
        asking.refuse(resource, patients=found or [pseudonym_of_nhs_number(asking.keys, number)])
    try:
        everywhere = open_practices(asking, registered, Reach(practices, Decision(allowed=True, policies=())))
        row, _ = everywhere.results.patient(found[0])
    except NotFound:
        asking.refuse(resource, patients=found)
    seen = decide(
        asking.session, asking.principal, Action.VIEW_PATIENT, PracticeRecords(row.practice), asking.who.purpose,
        on=asking.on, registry=registered.pack.id, broken_glass=True,
    )  # fmt: skip
    if not seen.allowed:
        asking.refuse(resource, practices=[row.practice], patients=found)
    return found[0], row
