"""Sensitive codes: the tenant's list, what it does, and changing it. Codes are shown to IG officers only."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.login import names_of
from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput
from cohortium_tenants.sensitive import Category, SensitiveChange, changes, list_version, sensitive_codes
from cohortium_tenants.sensitive.changing import Changed, NewCode, add_codes, remove_codes
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/ig/sensitive")

Managing = Annotated[Asking, requires(Action.MANAGE_OPT_OUTS)]
_PAGE = "/ig/sensitive/"
_COLUMNS = (
    Column("code", "Code"),
    Column("state", "State"),
    Column("category", "Category"),
    Column("source", "Source, or reason"),
    Column("version", "Version", numeric=True),
    Column("at", "Changed"),
    Column("by", "By"),
)


@router.get("/")
def show_list(asking: Managing, shown: str = "") -> Response:
    """The codes on the list, or every change that there was."""
    if shown not in {"", "history"}:
        raise BadInput("There is no such view.", "Choose one from the list.")
    listed, people = sensitive_codes(asking.session), names_of(asking.session)
    rows = [_row(change, people) for change in (changes(asking.session) if shown else listed.values())]
    version = list_version(asking.session)
    asking.record("ig/sensitive", detail={"version": version, "shown": shown})
    caption = "Every change of the list" if shown else "Codes on the list"
    table = Table("sensitive-codes", caption, _COLUMNS, rows, "The list is empty, so no code is withheld.")
    return asking.answer(
        table,
        "governance/sensitive.html",
        shown=shown,
        version=version,
        codes=len(listed),
        categories=list(Category),
        registries=[
            found.title for found in asking.site.definitions.of_tenant(asking.session).values() if found.withheld
        ],
    )


@router.post("/add")
def add(
    asking: Managing,
    codes: Annotated[str, Form()] = "",
    category: Annotated[str, Form()] = "",
    source: Annotated[str, Form()] = "",
) -> Response:
    """Put codes of one category on the list."""
    wanted = [NewCode(code, category, source) for code in _codes(codes)]
    done = add_codes(asking.session, wanted, by=str(asking.who.person_id), audited=False)
    return _done(asking, done, listed=True)


@router.post("/remove")
def remove(asking: Managing, codes: Annotated[str, Form()] = "", reason: Annotated[str, Form()] = "") -> Response:
    """Take codes off the list."""
    by = str(asking.who.person_id)
    done = remove_codes(asking.session, _codes(codes), reason=reason, by=by, audited=False)
    return _done(asking, done, listed=False)


def _codes(text: str) -> list[str]:
    found = text.replace(",", " ").split()
    if not found:
        raise BadInput("No code was given.", "Give each code on a line of its own.")
    return found


def _done(asking: Asking, done: Changed, *, listed: bool) -> Response:
    """Say in the log that the list changed, and nothing of what the codes are."""
    asking.record("sensitive-codes", detail={"version": done.version, "codes": done.codes, "listed": listed})
    return RedirectResponse(_PAGE, HTTPStatus.SEE_OTHER)


def _row(change: SensitiveChange, people: Mapping[UUID, str]) -> list[Cell]:
    by = next((name for person, name in people.items() if str(person) == change.by), change.by)
    state = Cell("on the list", tag="green") if change.listed else Cell("taken off", tag="grey")
    return [
        Cell(str(change.code)),
        state,
        Cell(change.category),
        Cell(change.source),
        Cell(change.version),
        Cell(change.at),
        Cell(by),
    ]
