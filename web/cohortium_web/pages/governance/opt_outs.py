"""Opt-outs: the cleared lists, whether one is in date, and how a type 1 code is read. Nobody is named."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from sqlmodel import col, select
from starlette.responses import Response

from cohortium_auth.login import names_of
from cohortium_auth.opt_outs import DISSENT, WITHDRAWAL, ClearedList, cleared_list
from cohortium_auth.policy import Action
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/ig/opt-outs")

_COLUMNS = (
    Column("as_at", "As at"),
    Column("expires", "Last day"),
    Column("state", "State"),
    Column("people", "People cleared", numeric=True),
    Column("loaded", "Loaded"),
    Column("by", "By"),
)


@router.get("/")
def show_opt_outs(asking: Annotated[Asking, requires(Action.MANAGE_OPT_OUTS)]) -> Response:
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
    view = {"current": current, "days": (current.expires - asking.on).days if current else 0}
    codes = {"dissent": DISSENT, "withdrawal": WITHDRAWAL}
    return asking.answer(table, "governance/opt_outs.html", **view, **codes, slug=asking.tenant.slug)
