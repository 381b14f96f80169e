"""Opt-outs: the cleared lists, whether one is in date, loading one, and how a type 1 code is read. Nobody is named."""

from __future__ import annotations

import io
from datetime import date
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, UploadFile
from sqlmodel import col, select
from starlette.formparsers import MultiPartParser
from starlette.responses import RedirectResponse, Response

from cohortium_auth.login import names_of
from cohortium_auth.opt_outs import DISSENT, WITHDRAWAL, ClearedList, cleared_list, load_cleared_list
from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput
from cohortium_platform.records import RecordStore
from cohortium_web.asking import Asking
from cohortium_web.bounds import FILES
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/ig/opt-outs")

Managing = Annotated[Asking, requires(Action.MANAGE_OPT_OUTS)]

MultiPartParser.spool_max_size = max(FILES.values())
"""A list of NHS numbers stays in memory while it is read: no file on a disk ever holds it."""

_COLUMNS = (
    Column("as_at", "As at"),
    Column("expires", "Last day"),
    Column("state", "State"),
    Column("people", "People cleared", numeric=True),
    Column("loaded", "Loaded"),
    Column("by", "By"),
)


@router.get("/")
def show_opt_outs(asking: Managing) -> Response:
    """The lists, the newest first."""
    current = cleared_list(asking.session, asking.on)
    rows, people = [], {str(person): name for person, name in names_of(asking.session).items()}
    for row in asking.session.exec(select(ClearedList).order_by(col(ClearedList.as_at).desc())):
        counts = current is not None and row.id == current.id
        state, tag = (
            ("in use", "green")
            if counts
            else (("expired", "grey") if row.expires < asking.on else ("replaced", "grey"))
        )
        by = people.get(row.by, row.by)
        cells = [Cell(row.as_at), Cell(row.expires), Cell(state, tag=tag), Cell(row.people), Cell(row.loaded), Cell(by)]
        rows.append(cells)
    asking.record("ig/opt-outs")
    table = Table("cleared-lists", "Lists of people cleared", _COLUMNS, rows, "No list was ever loaded.")
    view = {"today": asking.on, "current": current, "days": (current.expires - asking.on).days if current else 0}
    codes = {"dissent": DISSENT, "withdrawal": WITHDRAWAL}
    return asking.answer(table, "governance/opt_outs.html", **view, **codes, slug=asking.tenant.slug)


@router.post("/")
def load_list(
    asking: Managing,
    as_at: Annotated[str, Form()] = "",
    expires: Annotated[str, Form()] = "",
    answer: UploadFile | None = None,
) -> Response:
    """Take in what the national service gave back: whole, or not at all."""
    if answer is None or not answer.filename:
        raise BadInput("There is no file.", "Choose the file that the national service sent.")
    days = _day(as_at, "The day of the answer"), _day(expires, "The last day")
    store = RecordStore(asking.site.settings.store_root, asking.who.tenant_id)
    lines = io.TextIOWrapper(answer.file, encoding="utf-8-sig", errors="replace")
    by = str(asking.who.person_id)
    made = load_cleared_list(asking.session, store, asking.keys, lines, as_at=days[0], expires=days[1], by=by)
    detail = {"as_at": days[0].isoformat(), "expires": days[1].isoformat(), "people": made.people}
    asking.record(f"cleared-list/{made.id}", detail=detail)
    return RedirectResponse("/ig/opt-outs/", HTTPStatus.SEE_OTHER)


def _day(text: str, what: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{what} is missing or is no day.", "Give it as in 2026-04-01.") from None
