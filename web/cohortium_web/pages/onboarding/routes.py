"""Routes of onboarding. Administrators record steps; IG officers see all; practice managers see their own practice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.login import Role, roles_of
from cohortium_auth.policy import Action, agreements_of, end_agreement, share
from cohortium_platform.errors import BadInput, Forbidden, NotFound
from cohortium_tenants.onboarding import Progress, Step, complete, progress_of, withdraw
from cohortium_tenants.organisations import OrganisationType
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/onboarding")

Seeing = Annotated[Asking, requires(Action.VIEW_ONBOARDING)]
Managing = Annotated[Asking, requires(Action.MANAGE_ONBOARDING)]
_COLUMNS = (
    Column("organisation", "Organisation"),
    Column("code", "ODS code"),
    Column("kind", "Kind"),
    Column("state", "State"),
    Column("done", "Steps done", numeric=True),
    Column("live", "Go-live"),
    Column("missing", "Still to do"),
)
_REACHING = frozenset({Role.CLINICIAN, Role.CARE_COORDINATOR})
_TAGS = {"live": "green", "to come": "blue", "not live": "red"}


@router.get("/")
def show_all(asking: Seeing, kind: str = "", state: str = "") -> Response:
    """Every organisation and how far it is."""
    rows = []
    for progress in progress_of(asking.session):
        node = asking.organisations.nodes[progress.organisation]
        where = _state(progress, asking.on)
        if (kind and node.type != kind) or (state and where != state):
            continue
        rows.append(
            [
                Cell(node.name, href=f"/onboarding/{progress.organisation}/"),
                Cell(progress.organisation),
                Cell(str(node.type)),
                Cell(where, tag=_TAGS[where]),
                Cell(len(progress.steps) - len(progress.missing)),
                Cell(progress.go_live),
                Cell(", ".join(progress.missing)),
            ]
        )
    asking.record("onboarding")
    kinds = sorted({str(node.type) for node in asking.organisations.nodes.values()})
    table = Table("onboarding", "Organisations and their onboarding", _COLUMNS, rows, "No organisation is like that.")
    return asking.answer(table, "onboarding/all.html", kinds=kinds, kind=kind, states=list(_TAGS), state=state)


@router.get("/own/")
def show_own(asking: Annotated[Asking, requires(Action.VIEW_OWN_ONBOARDING)]) -> Response:
    """The onboarding of one's own practice."""
    asking.record("onboarding/own")
    return _show(asking, asking.who.organisation, may_manage=False)


@router.get("/{organisation}/")
def show_one(asking: Seeing, organisation: str) -> Response:
    """The steps of one organisation, with their evidence."""
    if organisation not in asking.organisations.nodes:
        raise NotFound("There is no such organisation.", "Choose one from the list.")
    asking.record(f"onboarding/{organisation}")
    return _show(asking, organisation, may_manage=Action.MANAGE_ONBOARDING in asking.actions)


@router.post("/{organisation}/")
def record_step(  # noqa: PLR0913, PLR0917 - a step is this much
    asking: Managing,
    organisation: str,
    step: Annotated[str, Form()] = "",
    on: Annotated[str, Form()] = "",
    document: Annotated[str, Form()] = "",
    undo: Annotated[str, Form()] = "",
) -> Response:
    """Record a step as done, or take it back."""
    if step not in set(Step):
        raise BadInput("There is no such step.", "Choose one from the page.")
    if undo:
        withdraw(asking.session, organisation, Step(step))
    else:
        by = str(asking.who.person_id)
        complete(asking.session, organisation, Step(step), on=_day(on), document=document, by=by)
    asking.record(f"onboarding/{organisation}", detail={"step": step, "withdrawn": bool(undo)})
    return RedirectResponse(f"/onboarding/{organisation}/", HTTPStatus.SEE_OTHER)


@router.post("/{organisation}/agreements")
def add_agreement(
    asking: Managing,
    organisation: str,
    practice: Annotated[str, Form()] = "",
    start: Annotated[str, Form()] = "",
    document: Annotated[str, Form()] = "",
) -> Response:
    """Record that a practice shares with this organisation, from a day on."""
    for code, kind in ((practice, OrganisationType.PRACTICE), (organisation, None)):
        node = asking.organisations.nodes.get(code)
        if node is None or (kind is not None and node.type != kind):
            raise NotFound("There is no such practice or organisation.", "Choose them from the lists.")
    held = roles_of(asking.session, asking.who.person_id, asking.on)
    if any(holding.organisation == organisation and holding.role in _REACHING for holding in held):
        raise Forbidden("Nobody gives reach to an organisation that they see patients for.", "Ask a colleague to.")
    share(asking.session, practice, organisation, start=_day(start), document=document)
    detail = {"shares_with": organisation, "start": start}
    asking.record(f"onboarding/{organisation}/agreement", practices=[practice], detail=detail)
    return RedirectResponse(f"/onboarding/{organisation}/", HTTPStatus.SEE_OTHER)


@router.post("/{organisation}/agreements/{agreement}")
def close_agreement(asking: Managing, organisation: str, agreement: UUID, end: Annotated[str, Form()] = "") -> Response:
    """Give an agreement its last day; the day after nobody sees by it."""
    if agreement not in {each.id for each in agreements_of(asking.session, organisation)}:
        raise NotFound("There is no such sharing agreement.")
    end_agreement(asking.session, agreement, _day(end))
    asking.record(f"onboarding/{organisation}/agreement", detail={"agreement": str(agreement), "end": end})
    return RedirectResponse(f"/onboarding/{organisation}/", HTTPStatus.SEE_OTHER)


def _show(asking: Asking, organisation: str, *, may_manage: bool) -> Response:
    progress = next(each for each in progress_of(asking.session) if each.organisation == organisation)
    where = _state(progress, asking.on)
    return asking.page(
        "onboarding/one.html",
        name=asking.name_of(organisation),
        code=organisation,
        state=where,
        tag=_TAGS[where],
        steps=list(progress.steps.items()),
        next_step=_next(progress.missing),
        may_manage=may_manage,
        today=asking.on,
        all_may=Action.VIEW_ONBOARDING in asking.actions,
        agreements=[
            (each, asking.name_of(each.practice), asking.name_of(each.organisation))
            for each in agreements_of(asking.session, organisation)
        ],
        practices=sorted((asking.name_of(each), each) for each in asking.organisations.practices(asking.on)),
    )


def _next(missing: Sequence[Step]) -> Step | None:
    return missing[0] if missing else None


def _state(progress: Progress, on: date) -> str:
    if progress.is_live(on):
        return "live"
    return "not live" if progress.missing else "to come"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput("The day is missing or is no day.", "Choose it from the calendar.") from None
