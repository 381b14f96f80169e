"""The tenant's own rules for access, and how its counts are suppressed: seen and changed by IG officers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.ig_settings import (
    LIMITS,
    change_ig_settings,
    choose_suppression,
    read_ig_settings,
    suppression_choices,
    suppression_name,
)
from cohortium_auth.login import names_of
from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput, Forbidden
from cohortium_platform.statistics import POLICIES
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/ig/rules")

Managing = Annotated[Asking, requires(Action.MANAGE_IG_SETTINGS)]
_WORDS: Mapping[str, str] = {
    "officers_to_approve": "IG officers who must agree to an approval",
    "break_glass_minutes": "Minutes that a record opened by break-glass stays open",
    "review_days": "Days in which that must be reviewed",
    "trust_relationship_days": "Days after a trust's last entry that a patient counts as under its care",
    "notice_days": "Days before its end that an approval or a cleared list is announced",
}
_MOST_DIGITS = 9
_CHOICES = (Column("chosen", "Since"), Column("policy", "Rule"), Column("by", "Chosen by"), Column("why", "Why"))


@router.get("/")
def show_rules(asking: Managing) -> Response:
    """The rules as they are."""
    settings = read_ig_settings(asking.session)
    asking.record("ig/rules")
    rules = [(name, words, getattr(settings, name), *LIMITS[name]) for name, words in _WORDS.items()]
    return asking.answer(
        _choices(asking),
        "governance/rules.html",
        rules=rules,
        policies=[(name, policy.words) for name, policy in POLICIES.items()],
        chosen=suppression_name(asking.session),
    )


@router.post("/")
def change_rule(asking: Managing, name: Annotated[str, Form()] = "", value: Annotated[str, Form()] = "") -> Response:
    """Change one rule; what was asked for before keeps the rule it was asked under."""
    if not value.strip().isdecimal() or len(value) > _MOST_DIGITS:
        raise BadInput("That is no whole number.", "Give it in digits.")
    before = getattr(read_ig_settings(asking.session), name, None)
    if name == "officers_to_approve" and isinstance(before, int) and int(value) < before:
        raise Forbidden(
            "No officer lowers alone how many must agree.", "The operator can: cohortium tenant change-access-rule."
        )
    change_ig_settings(asking.session, {name: int(value)})
    asking.record("ig/rules", detail={"rule": name, "before": before, "after": int(value)})
    return RedirectResponse("/ig/rules/", HTTPStatus.SEE_OTHER)


@router.post("/suppression")
def change_suppression(
    asking: Managing, policy: Annotated[str, Form()] = "", why: Annotated[str, Form()] = ""
) -> Response:
    """Choose how counts are suppressed, for every month and preview at once."""
    before = suppression_name(asking.session)
    choose_suppression(asking.session, policy, by=asking.who.person_id, why=why)
    detail = {"rule": "suppression", "before": before, "after": policy}
    asking.record("ig/rules", detail=detail)
    return RedirectResponse("/ig/rules/#suppression", HTTPStatus.SEE_OTHER)


def _choices(asking: Asking) -> Table:
    people = names_of(asking.session)
    rows = [
        [Cell(each.chosen), Cell(POLICIES[each.policy].words), Cell(people.get(each.chosen_by, "")), Cell(each.why)]
        for each in suppression_choices(asking.session)
    ]
    empty = "Nobody has changed it: the first rule holds."
    return Table("suppression-choices", "How counts were suppressed", _CHOICES, rows, empty)
