"""The first page of information governance: what waits for an officer, and where everything is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.approvals import State, approvals_of_tenant
from cohortium_auth.breakglass import openings
from cohortium_auth.ig_settings import read_ig_settings
from cohortium_auth.opt_outs import cleared_list
from cohortium_auth.policy import Action
from cohortium_tenants.onboarding import progress_of
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.words import day, plural

__all__ = ["router"]

router = APIRouter(prefix="/ig")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for an officer, where to see to it, and whether it should have been done by now."""

    words: str
    href: str
    late: bool


_PAGES = (
    (Action.SEARCH_AUDIT, "/ig/audit/", "Audit log", "Search what was done, by whom and why; save searches; download."),
    (Action.VIEW_ACCESS_HISTORY, "/ig/history/", "Who has seen a patient", "A letter for the patient who asks."),
    (Action.REVIEW_BREAK_GLASS, "/ig/break-glass/", "Break-glass reviews", "Records opened outside somebody's reach."),
    (Action.DECIDE_APPROVAL, "/ig/approvals/", "Approvals", "Uses other than direct care: decide, see, revoke."),
    (Action.VIEW_ACCESS_MATRIX, "/ig/matrix/", "Access matrix", "Who may do what, drawn from the policies."),
    (Action.SEARCH_AUDIT, "/ig/patterns/", "Flagged patterns", "Access that one should look at, and the rule why."),
    (Action.EXPORT_AUDIT, "/ig/proofs/", "Proofs", "Signed checkpoints of the log, to keep and to verify."),
    (Action.MANAGE_OPT_OUTS, "/ig/opt-outs/", "Opt-outs", "Lists of people cleared, and until when they count."),
    (Action.MANAGE_OPT_OUTS, "/ig/sensitive/", "Sensitive codes", "Codes never shown outside the practice."),
    (
        Action.MANAGE_IG_SETTINGS,
        "/ig/rules/",
        "Rules for access",
        "How many officers approve, how long things last, how counts are suppressed.",
    ),
)


@router.get("/")
def show_overview(asking: Annotated[Asking, requires(Action.VIEW_ACCESS_MATRIX)]) -> Response:
    """What waits, and the pages that this role may open."""
    waiting = sorted(_waiting(asking), key=lambda item: not item.late)
    asking.record("ig")
    pages = [(href, title, words) for action, href, title, words in _PAGES if action in asking.actions]
    return asking.page("governance/overview.html", waiting=waiting, pages=pages)


def _waiting(asking: Asking) -> Iterator[Waiting]:
    notice = asking.on + timedelta(days=read_ig_settings(asking.session).notice_days)
    if Action.DECIDE_APPROVAL in asking.actions:
        yield from _approvals(asking, notice)
    if Action.REVIEW_BREAK_GLASS in asking.actions:
        yield from _reviews(asking)
    if Action.MANAGE_OPT_OUTS in asking.actions:
        current = cleared_list(asking.session, asking.on)
        if current is None:
            yield Waiting("No cleared list is in date: only direct care goes on", "/ig/opt-outs/", late=True)
        elif current.expires <= notice:
            yield Waiting(f"The cleared list expires on {day(current.expires)}", "/ig/opt-outs/", late=False)
    if Action.VIEW_ONBOARDING in asking.actions:
        not_live = sum(not progress.is_live(asking.on) for progress in progress_of(asking.session))
        if not_live:
            yield Waiting(f"{plural(not_live, 'organisation')} not live yet", "/onboarding/", late=False)


def _approvals(asking: Asking, notice: date) -> Iterator[Waiting]:
    uses = approvals_of_tenant(asking.session, asking.on)
    if asked := sum(use.state is State.REQUESTED for use in uses):
        yield Waiting(f"{plural(asked, 'approval')} to decide on", "/ig/approvals/?state=requested", late=False)
    if ending := sum(use.state is State.IN_FORCE and use.approval.end_date <= notice for use in uses):
        words = f"{plural(ending, 'approval')} ending by {day(notice)}"
        yield Waiting(words, "/ig/approvals/?state=in+force&sort=until", late=False)


def _reviews(asking: Asking) -> Iterator[Waiting]:
    now = datetime.now(UTC)
    unreviewed = [each for each in openings(asking.session, asking.keys) if each.review is None]
    if overdue := sum(each.is_overdue(now) for each in unreviewed):
        yield Waiting(f"{plural(overdue, 'break-glass review')} overdue", "/ig/break-glass/", late=True)
    if left := len(unreviewed) - overdue:
        yield Waiting(f"{plural(left, 'break-glass opening')} to review", "/ig/break-glass/", late=False)
