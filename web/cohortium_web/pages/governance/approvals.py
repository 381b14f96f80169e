"""Approvals: asked for by those who would use data, decided and revoked by IG officers, shown with their use so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from cohortium_auth.approvals import (
    Level,
    NewApproval,
    State,
    Use,
    approvals_of_tenant,
    ask_for,
    decide_on,
    find_approval,
    revoke,
)
from cohortium_auth.login import Purpose, names_of
from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput, NotFound
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter()

Deciding = Annotated[Asking, requires(Action.DECIDE_APPROVAL)]
Requesting = Annotated[Asking, requires(Action.REQUEST_APPROVAL)]
_COLUMNS = (
    Column("title", "What for"),
    Column("state", "State"),
    Column("purpose", "Purpose"),
    Column("registry", "Registry"),
    Column("level", "Level"),
    Column("whom", "For"),
    Column("from", "From"),
    Column("until", "Until"),
    Column("times", "Times used", numeric=True),
    Column("last", "Last used"),
)
_TAGS: Mapping[State, str] = {
    State.REQUESTED: "yellow",
    State.IN_FORCE: "green",
    State.TO_COME: "blue",
    State.REFUSED: "red",
    State.REVOKED: "red",
    State.EXPIRED: "grey",
}


@router.get("/ig/approvals/")
def show_approvals(asking: Deciding, state: str = "") -> Response:
    """Every approval, those to decide on first."""
    if state and state not in set(State):
        raise BadInput("There is no such state.", "Choose one from the list.")
    uses = [use for use in approvals_of_tenant(asking.session, asking.on) if not state or use.state == state]
    uses.sort(key=lambda use: use.state is not State.REQUESTED)
    asking.record("ig/approvals")
    table = _table(asking, uses, "/ig/approvals/")
    return asking.answer(table, "governance/approvals.html", states=list(State), state=state)


@router.get("/approvals/")
def show_own(asking: Requesting) -> Response:
    """What somebody asked for, and what is approved for them or for their organisation."""
    uses = [
        use
        for use in approvals_of_tenant(asking.session, asking.on)
        if use.approval.requested_by == asking.who.person_id
        or (
            (use.approval.organisation == asking.who.organisation)
            and use.approval.person_id in {None, asking.who.person_id}
        )
    ]
    asking.record("approvals")
    return asking.answer(_table(asking, uses, ""), "governance/own_approvals.html", **_choices(asking))


class Wanted(BaseModel):
    """The request's form."""

    title: str = ""
    purpose: str = ""
    registry: str = ""
    level: str = ""
    whom: str = "organisation"
    start: str = ""
    end: str = ""
    conditions: str = ""
    documents: str = ""


@router.post("/approvals/")
def request_approval(asking: Requesting, form: Annotated[Wanted, Form()]) -> Response:
    """Ask for an approval, for oneself or for one's organisation."""
    if form.registry not in asking.site.definitions.of_tenant(asking.session):
        raise BadInput("There is no such registry.", "Choose one from the list.")
    if form.purpose not in set(Purpose) or form.level not in set(Level):
        raise BadInput("The request names no purpose or no level.", "Choose both from the lists.")
    wanted = NewApproval(
        title=form.title,
        purpose=Purpose(form.purpose),
        pack=form.registry,
        level=Level(form.level),
        start=_day(form.start, "first"),
        end=_day(form.end, "last"),
        conditions=form.conditions,
        documents=form.documents.splitlines(),
        organisation=asking.who.organisation,
        person_id=asking.who.person_id if form.whom == "person" else None,
    )
    approval = ask_for(asking.session, wanted, by=asking.who.person_id)
    detail = {"purpose": form.purpose, "registry": form.registry, "level": form.level}
    asking.record(f"approval/{approval}", detail=detail)
    return RedirectResponse("/approvals/", HTTPStatus.SEE_OTHER)


@router.get("/ig/approvals/{approval}/")
def show_approval(asking: Deciding, approval: UUID) -> Response:
    """One approval with its decisions, its use, and what can be done about it."""
    use = find_approval(asking.session, approval, asking.on)
    people = names_of(asking.session)
    own = asking.who.person_id in {use.approval.requested_by, use.approval.person_id}
    decided = any(decision.person_id == asking.who.person_id for decision in use.decisions)
    asking.record(f"approval/{approval}")
    return asking.page(
        "governance/approval.html",
        use=use,
        whom=_whom(asking, use, people),
        asked_by=people.get(use.approval.requested_by, ""),
        decisions=[(people.get(each.person_id, ""), each) for each in use.decisions],
        revoked_by=people.get(use.approval.revoked_by, "") if use.approval.revoked_by else "",
        tag=_TAGS[use.state],
        may_decide=use.state is State.REQUESTED and not own and not decided,
        own=own,
        may_revoke=use.state in {State.IN_FORCE, State.TO_COME},
    )


@router.post("/ig/approvals/{approval}/decide")
def decide_approval(
    asking: Deciding, approval: UUID, agreed: Annotated[str, Form()] = "", why: Annotated[str, Form()] = ""
) -> Response:
    """Agree to an approval, or refuse it."""
    if agreed not in {"yes", "no"}:
        raise BadInput("Nothing was chosen.", "Agree or refuse.")
    by = asking.who.person_id
    state = decide_on(asking.session, approval, by=by, agreed=agreed == "yes", why=why, on=asking.on)
    asking.record(f"approval/{approval}", detail={"agreed": agreed == "yes", "state": state})
    return RedirectResponse(f"/ig/approvals/{approval}/", HTTPStatus.SEE_OTHER)


@router.post("/ig/approvals/{approval}/revoke")
def revoke_approval(asking: Deciding, approval: UUID, why: Annotated[str, Form()] = "") -> Response:
    """End an approval at once."""
    revoke(asking.session, approval, by=asking.who.person_id, why=why)
    asking.record(f"approval/{approval}", detail={"revoked": True})
    return RedirectResponse(f"/ig/approvals/{approval}/", HTTPStatus.SEE_OTHER)


def _table(asking: Asking, uses: Sequence[Use], leads_to: str) -> Table:
    people = names_of(asking.session)
    rows = [
        [
            Cell(use.approval.title, href=f"{leads_to}{use.approval.id}/" if leads_to else _use_of(asking, use)),
            Cell(use.state, tag=_TAGS[use.state]),
            Cell(use.approval.purpose),
            Cell(use.approval.pack),
            Cell(use.approval.level),
            Cell(_whom(asking, use, people)),
            Cell(use.approval.start_date),
            Cell(use.approval.end_date),
            Cell(use.times),
            Cell(use.last),
        ]
        for use in uses
    ]
    return Table("approvals", "Approvals of data uses", _COLUMNS, rows, "There are no approvals here.")


def _use_of(asking: Asking, use: Use) -> str:
    """Where an approval in force is used by somebody acting for its purpose; nowhere for any other."""
    approval = use.approval
    if use.state is not State.IN_FORCE or approval.purpose != asking.who.purpose:
        return ""
    if approval.level == Level.AGGREGATE and approval.pack in asking.counted:
        return f"/aggregates/{approval.pack}/"
    if approval.level == Level.PSEUDONYMISED and approval.pack in asking.pseudonymised:
        return f"/registries/{approval.pack}/pseudonymised/"
    return f"/registries/{approval.pack}/" if approval.pack in asking.registries else ""


def _whom(asking: Asking, use: Use, people: Mapping[UUID, str]) -> str:
    whom = "everyone" if use.approval.person_id is None else people.get(use.approval.person_id, "")
    return f"{whom} of {asking.name_of(use.approval.organisation)}"


def _choices(asking: Asking) -> Mapping[str, object]:
    registries = asking.site.definitions.of_tenant(asking.session)
    if not registries:
        raise NotFound("No registry is enabled here.", "Ask your ICB's administrator.")
    return {
        "registries": [(pack, found.title) for pack, found in registries.items()],
        "purposes": [purpose for purpose in asking.who.role.purposes if purpose is not Purpose.DIRECT_CARE],
        "levels": list(Level),
        "today": asking.on,
    }


def _day(text: str, which: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"The {which} day is missing or is no day.", "Choose it from the calendar.") from None
