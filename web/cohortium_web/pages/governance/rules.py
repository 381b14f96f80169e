"""The tenant's own rules for access: seen and changed by IG officers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.ig_settings import LIMITS, change_ig_settings, read_ig_settings
from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput, Forbidden
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires

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


@router.get("/")
def show_rules(asking: Managing) -> Response:
    """The rules as they are."""
    settings = read_ig_settings(asking.session)
    asking.record("ig/rules")
    rules = [(name, words, getattr(settings, name), *LIMITS[name]) for name, words in _WORDS.items()]
    return asking.page("governance/rules.html", rules=rules)


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
