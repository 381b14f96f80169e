"""Break-glass openings: what waits for review, and reviewing it. No page here names the patient."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.breakglass import Opening, ReviewOutcome, openings, review
from cohortium_auth.login import names_of
from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput, NotFound
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router", "state_of"]

router = APIRouter(prefix="/ig/break-glass")

Reviewing = Annotated[Asking, requires(Action.REVIEW_BREAK_GLASS)]
_COLUMNS = (
    Column("started", "Opened"),
    Column("state", "State"),
    Column("who", "By"),
    Column("role", "Role"),
    Column("organisation", "Of"),
    Column("reason", "Reason"),
    Column("review", "Review by"),
)
_TAGS: Mapping[str, str] = {
    "to review": "yellow",
    "overdue": "red",
    ReviewOutcome.JUSTIFIED: "green",
    ReviewOutcome.NOT_JUSTIFIED: "red",
    ReviewOutcome.ESCALATED: "orange",
}


def state_of(opening: Opening, now: datetime) -> str:
    """Where an opening stands: to review, overdue, or what its review found."""
    if opening.review is not None:
        return opening.review.outcome
    return "overdue" if opening.is_overdue(now) else "to review"


@router.get("/")
def show_openings(asking: Reviewing) -> Response:
    """Every opening, those to review first."""
    now, people = datetime.now(UTC), names_of(asking.session)
    rows = [
        [
            Cell(opening.row.started, href=f"/ig/break-glass/{opening.row.id}/"),
            Cell(state_of(opening, now), tag=_TAGS[state_of(opening, now)]),
            Cell(people.get(opening.row.person_id, "")),
            Cell(opening.row.role),
            Cell(asking.name_of(opening.row.organisation)),
            Cell(opening.row.reason),
            Cell(opening.row.review_by),
        ]
        for opening in openings(asking.session, asking.keys)
    ]
    asking.record("ig/break-glass")
    table = Table("break-glass", "Records opened outside reach", _COLUMNS, rows, "Nobody has opened one.")
    return asking.answer(table, "governance/openings.html")


@router.get("/{opening}/")
def show_opening(asking: Reviewing, opening: UUID) -> Response:
    """One opening, with its reason in the person's words."""
    found = next((each for each in openings(asking.session, asking.keys) if each.row.id == opening), None)
    if found is None:
        raise NotFound("There is no such opening.", "Choose one from the list.")
    people, now = names_of(asking.session), datetime.now(UTC)
    asking.record(f"break-glass/{opening}")
    return asking.page(
        "governance/opening.html",
        opening=found,
        who=people.get(found.row.person_id, ""),
        organisation=asking.name_of(found.row.organisation),
        state=state_of(found, now),
        tag=_TAGS[state_of(found, now)],
        outcomes=list(ReviewOutcome),
        own=found.row.person_id == asking.who.person_id,
        reviewer=people.get(found.review.person_id, "") if found.review else "",
    )


@router.post("/{opening}/")
def review_opening(
    asking: Reviewing, opening: UUID, outcome: Annotated[str, Form()] = "", note: Annotated[str, Form()] = ""
) -> Response:
    """Record a review."""
    if outcome not in set(ReviewOutcome):
        raise BadInput("No outcome was chosen.", "Choose one.")
    by = asking.who.person_id
    review(asking.session, asking.keys, opening, by=by, outcome=ReviewOutcome(outcome), note=note)
    asking.record(f"break-glass/{opening}", detail={"outcome": outcome})
    return RedirectResponse("/ig/break-glass/", HTTPStatus.SEE_OTHER)
