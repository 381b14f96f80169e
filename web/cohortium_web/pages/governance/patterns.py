"""Flagged patterns: access that an officer should look at, each with the rule that flagged it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.login import names_of
from cohortium_auth.patterns import RULES, flagged
from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput
from cohortium_web.asking import Asking
from cohortium_web.pages.governance.history import who_is
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/ig/patterns")

_SPANS = (7, 30, 90, 365)
_COLUMNS = (
    Column("rule", "Pattern"),
    Column("who", "Who"),
    Column("first", "First"),
    Column("last", "Last"),
    Column("times", "Times", numeric=True),
    Column("entries", "In the log"),
)


@router.get("/")
def show_patterns(
    asking: Annotated[Asking, requires(Action.SEARCH_AUDIT)], days: str = "30", rule: str = ""
) -> Response:
    """What the rules found in the last days."""
    if days not in {str(span) for span in _SPANS} or (rule and rule not in {each.id for each in RULES}):
        raise BadInput("There is no such span or pattern.", "Choose from the lists.")
    until = datetime.combine(asking.on + timedelta(days=1), time(), UTC)
    since = until - timedelta(days=int(days))
    people = names_of(asking.session)
    rows = [
        [
            Cell(each.rule.title),
            Cell(who_is(each.actor, people)),
            Cell(each.first),
            Cell(each.last),
            Cell(each.times),
            Cell("show", href="/ig/audit/?" + urlencode({"person": each.actor, "since": since.date().isoformat()})),
        ]
        for each in flagged(asking.session, since, until)
        if not rule or each.rule.id == rule
    ]
    asking.record("ig/patterns", detail={"days": int(days), "rule": rule, "found": len(rows)})
    table = Table("patterns", "Access to look at", _COLUMNS, rows, "No rule has flagged anything in that time.")
    return asking.answer(table, "governance/patterns.html", rules=RULES, spans=_SPANS, days=int(days), rule=rule)
