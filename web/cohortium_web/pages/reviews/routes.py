"""Routes of reviews: what is offered, filling in, saving as it is typed, completing, amending, printing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cohortium_auth.login import names_of
from cohortium_auth.policy import Action
from cohortium_platform.errors import Conflict, NotFound
from cohortium_platform.records import COHORTIUM
from cohortium_plugins.model import Status
from cohortium_plugins.templates import Template
from cohortium_tenants.care import (
    Completed,
    Draft,
    NotComplete,
    Whose,
    amend,
    completed,
    discard_draft,
    find_draft,
    responses_of,
    save_draft,
)
from cohortium_web.asking import Asking
from cohortium_web.pages.patient.opened import OpenedPatient
from cohortium_web.pages.patient.routes import patient_head
from cohortium_web.pages.reviews.completion import complete_review
from cohortium_web.pages.reviews.forms import PREFIX, day_in, form_items, last_recorded, typed_in, typed_words
from cohortium_web.pages.reviews.opened import OpenedReview, open_for_care, open_review, templates_for
from cohortium_web.pages.reviews.printing import care_plan, recordings, summary
from cohortium_web.pages.reviews.views import Offered, Turned
from cohortium_web.requiring import requires
from cohortium_web.words import moment

__all__ = ["router"]

router = APIRouter(prefix="/registries/{pack}/patients/{reference}/reviews")


async def _sent(request: Request) -> FormData:
    """The form as it was sent: which fields there are is the template's business."""
    return await request.form()


Viewing = Annotated[Asking, requires(Action.VIEW_PATIENT)]
Filling = Annotated[Asking, requires(Action.FILL_IN_TEMPLATE)]
Sent = Annotated[FormData, Depends(_sent)]


@router.get("/")
def show_reviews(asking: Viewing, pack: str, reference: str) -> Response:
    """The reviews offered for a patient, what is being filled in, and what was completed."""
    patient = open_for_care(asking, pack, reference)
    names, titles = names_of(asking.session), _titles(patient)
    offered = []
    for template in templates_for(patient):
        whose = Whose(pack, template.name, patient.row.practice, patient.row.patient_id)
        draft = find_draft(asking.session, asking.keys, whose)
        path = f"{patient.path}reviews/{template.name}/"
        by = names.get(draft.saved_by, "") if draft.saved_by else ""
        offered.append(Offered(template.name, template.title, template.description, path, draft.saved, by))
    done = [
        (titles.get(head.template, head.template), head, names.get(head.saved_by, ""))
        for head in responses_of(asking.session, pack, patient.row.patient_id)
        if head.version
    ]
    patient.record_view("reviews")
    can_fill = bool(asking.reach_of(pack, Action.FILL_IN_TEMPLATE).practices & {patient.row.practice})
    view = {"offered": offered, "done": done, "can_fill": can_fill}
    return asking.page("reviews/list.html", **patient_head(patient, "reviews"), **view)


@router.get("/{template}/")
def show_form(asking: Filling, pack: str, reference: str, template: str) -> Response:
    """The form, with what was typed so far."""
    review = open_review(asking, pack, reference, template)
    review.record("review-form")
    return _form(review, review.draft)


@router.post("/{template}/save")
def save(asking: Filling, sent: Sent, pack: str, reference: str, template: str) -> Response:
    """Save what is typed: an answer as JSON for the page's script, else the form again."""
    review = open_review(asking, pack, reference, template)
    try:
        draft = _save(review, sent)
    except Conflict as conflict:
        return _conflict(review, sent, conflict)
    review.record("review-saved")
    if not _wants_json(asking.request):
        return RedirectResponse(review.path + "?saved=1", HTTPStatus.SEE_OTHER)
    filled = review.fill(draft)
    return JSONResponse({
        "number": draft.number,
        "saved": "" if draft.saved is None else moment(draft.saved),
        "shown": sorted(filled.shown),
        "wrong": {link: said for link, said in filled.wrong.items() if link in filled.shown},
    })  # fmt: skip


@router.post("/{template}/complete")
def complete(asking: Filling, sent: Sent, pack: str, reference: str, template: str) -> Response:
    """Complete the review: its codes are recorded, and the tiles turn, in this request."""
    review = open_review(asking, pack, reference, template)
    try:
        draft = _save(review, sent)
        response, behind = complete_review(review, draft)
    except NotComplete as unready:
        review.record("review-not-complete")
        return _form(review, draft, wrong=unready.wrong)
    except Conflict as conflict:
        return _conflict(review, sent, conflict)
    review.record("review-completed", response=str(response), behind=len(behind))
    later = "?later=1" if behind else ""
    return RedirectResponse(f"{review.patient.path}reviews/done/{response}/{later}", HTTPStatus.SEE_OTHER)


@router.post("/{template}/discard")
def discard(asking: Filling, sent: Sent, pack: str, reference: str, template: str) -> Response:
    """Remove what was typed and not completed."""
    review = open_review(asking, pack, reference, template)
    discard_draft(asking.session, review.whose, seen=_number(sent))
    review.record("review-discarded")
    return RedirectResponse(review.patient.path + "reviews/", HTTPStatus.SEE_OTHER)


@router.get("/done/{response}/")
def show_done(asking: Viewing, pack: str, reference: str, response: str) -> Response:
    """A completed review: what it recorded, what turned green, and what can be printed."""
    patient, done, template = _done(asking, pack, reference, response)
    titles = {indicator.name: indicator.title for indicator in patient.registry.indicators}
    turned = [
        Turned(patient.registry.title, titles[result.indicator], result.met_date)
        for result in patient.results
        if result.status is Status.MET and result.event_source == COHORTIUM and result.event_date == done.day
    ]
    patient.record_view("review", response=response, version=done.version)
    head = next(each for each in responses_of(asking.session, pack, patient.row.patient_id) if each.id == done.id)
    return asking.page(
        "reviews/done.html",
        **patient_head(patient, "reviews"),
        **_of(asking, patient, done, template),
        turned=turned,
        later="later" in asking.request.query_params,
        parts=summary(template, done),
        can_amend=not head.is_open and done.version == head.version,
    )


@router.get("/done/{response}/care-plan")
def print_care_plan(asking: Viewing, pack: str, reference: str, response: str) -> Response:
    """The care plan for the patient: their own words, and no code."""
    patient, done, template = _done(asking, pack, reference, response)
    patient.record_view("care-plan", response=response, version=done.version)
    view = {**_of(asking, patient, done, template), "plan": care_plan(template, done)}
    return asking.page("reviews/care_plan.html", banner=patient.banner(), path=patient.path, **view)


@router.get("/done/{response}/summary")
def print_summary(asking: Viewing, pack: str, reference: str, response: str) -> Response:
    """The summary for the GP record and the hospital: every answer, and the codes recorded."""
    patient, done, template = _done(asking, pack, reference, response)
    patient.record_view("review-summary", response=response, version=done.version)
    view = {**_of(asking, patient, done, template), "parts": summary(template, done)}
    return asking.page("reviews/summary.html", banner=patient.banner(), path=patient.path, **view)


@router.post("/done/{response}/amend")
def start_amending(asking: Filling, pack: str, reference: str, response: str) -> Response:
    """Open a completed review again; what it recorded stands until the amendment is completed."""
    patient, done, template = _done(asking, pack, reference, response)
    amend(asking.session, asking.keys, done.id, by=asking.who.person_id)
    patient.record_view("review-amending", response=response)
    return RedirectResponse(f"{patient.path}reviews/{template.name}/", HTTPStatus.SEE_OTHER)


def _form(
    review: OpenedReview,
    draft: Draft,
    *,
    wrong: Mapping[str, str] | None = None,
    conflict: Sequence[tuple[str, str, str]] = (),
    saved_by: str = "",
) -> Response:
    filled, asking = review.fill(draft), review.asking
    said = {**filled.wrong, **(wrong or {})}
    last = last_recorded(review.template, review.definition, review.patient.record)
    items = form_items(review.template.items, review.for_patient, filled, draft.typed, said, last)
    texts = {item.link_id: item.text for item in review.template.walk()}
    response = asking.page(
        "reviews/form.html",
        **patient_head(review.patient, "reviews"),
        review=review.template,
        items=items,
        prefix=PREFIX,
        draft=draft,
        day=(draft.day or review.usual_day).isoformat() if draft.number == 0 or draft.day else "",
        today=asking.on.isoformat(),
        action=review.path,
        errors=[(link, texts.get(link, "Day of the review"), why) for link, why in (wrong or {}).items()],
        conflict=conflict,
        saved_by=saved_by or review.names.get(draft.saved_by, ""),
        just_saved="saved" in asking.request.query_params,
        day_wrong=(wrong or {}).get("", ""),
    )
    response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else response.status_code
    response.status_code = HTTPStatus.CONFLICT if conflict else response.status_code
    return response


def _save(review: OpenedReview, sent: FormData) -> Draft:
    asking = review.asking
    typed, day = typed_in(review.template, sent), day_in(str(sent.get("day", "")))
    return save_draft(
        asking.session, asking.keys, review.whose, typed, day, seen=_number(sent), by=asking.who.person_id
    )


def _number(sent: FormData) -> int:
    number = str(sent.get("number", "0"))
    return int(number) if number.isdecimal() else 0


def _conflict(review: OpenedReview, sent: FormData, conflict: Conflict) -> Response:
    """Show both versions; saving again, on purpose, keeps the writer's own. Nothing was changed."""
    review.record("review-conflict")
    theirs = find_draft(review.asking.session, review.asking.keys, review.whose)
    by = review.names.get(theirs.saved_by, "")
    if _wants_json(review.asking.request):
        said = {"number": theirs.number, "by": by, "message": conflict.message}
        return JSONResponse(said, HTTPStatus.CONFLICT)
    typed, day = typed_in(review.template, sent), day_in(str(sent.get("day", "")))
    differing = [
        (
            item.text,
            typed_words(item, theirs.typed.get(item.link_id, ())),
            typed_words(item, typed.get(item.link_id, ())),
        )
        for item in review.template.walk()
        if list(theirs.typed.get(item.link_id, ())) != list(typed.get(item.link_id, ()))
    ]
    rows = differing or [("Day of the review", _plain(theirs.day), _plain(day))]
    return _form(review, replace(theirs, typed=typed, day=day), conflict=rows, saved_by=by)


def _plain(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _titles(patient: OpenedPatient) -> Mapping[str, str]:
    return {name: template.title for name, template in patient.registry.registered.pack.templates.items()}


def _done(asking: Asking, pack: str, reference: str, response: str) -> tuple[OpenedPatient, Completed, Template]:
    """A completed review of this very patient. Raises `NotFound`."""
    patient = open_for_care(asking, pack, reference)
    try:
        done = completed(asking.session, asking.keys, UUID(response))
    except ValueError:
        raise NotFound("There is no such review.", "Go back to the patient.") from None
    template = patient.registry.registered.pack.templates.get(done.template)
    if done.patient_id != patient.row.patient_id or template is None:
        raise NotFound("There is no such review.", "Go back to the patient.")
    return patient, done, template


def _of(asking: Asking, patient: OpenedPatient, done: Completed, template: Template) -> dict[str, object]:
    """What every page about a completed review says of it."""
    return {
        "review": template,
        "done": done,
        "by": names_of(asking.session).get(done.by, ""),
        "codes": recordings(template, done),
        "done_path": f"{patient.path}reviews/done/{done.id}/",
    }
