"""The audit log, searched by IG officers: filters, saved searches, downloads as CSV and as FHIR AuditEvents.

Searching is itself an entry. No page of the log shows clinical content, since the log holds none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from sqlmodel import col, select
from starlette.datastructures import QueryParams
from starlette.responses import RedirectResponse, Response

from cohortium_auth.login import names_of
from cohortium_auth.policy import Action
from cohortium_platform.audit import AuditEntry, Outcome
from cohortium_platform.audit.search import AuditPage, FoundEntry, search
from cohortium_platform.audit.sequencer import sequence
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.identities.terms import nhs_number_in
from cohortium_web.asking import Asking
from cohortium_web.fhir.audit_event import as_bundle
from cohortium_web.pages.governance.history import who_is
from cohortium_web.pages.governance.models import SavedSearch
from cohortium_web.pages.governance.searching import Wanted
from cohortium_web.pages.registry.searches import keep
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table, as_csv

__all__ = ["router"]

router = APIRouter(prefix="/ig/audit")

Searching = Annotated[Asking, requires(Action.SEARCH_AUDIT)]
_MOST_TAKEN = 10_000
_UNASKED = ("sign-in", "audit-entry-missing")
"""What the log holds beside the actions of routes."""
_LONGEST_NAME = 80
_COLUMNS = (
    Column("place", "Place", numeric=True),
    Column("at", "When"),
    Column("who", "Who"),
    Column("role", "Role"),
    Column("organisation", "Of"),
    Column("purpose", "Purpose"),
    Column("action", "Action"),
    Column("resource", "Of what"),
    Column("patients", "Patients", numeric=True),
    Column("detail", "More"),
    Column("policy", "Policy"),
    Column("outcome", "Outcome"),
)
_SAID = (
    "looked",
    "shown",
    "as",
    "agreed",
    "state",
    "revoked",
    "rule",
    "before",
    "after",
    "step",
    "withdrawn",
    "reason",
)
_TAGS = {Outcome.DENIED: "orange", Outcome.FAILED: "red"}


@router.get("/")
def show_log(asking: Searching) -> Response:
    """A page of what was found, newest first; or all of it, up to ten thousand entries, to take away."""
    wanted = Wanted.read(asking.request.query_params)
    sequence(asking.site.aside, asking.tenant.id)
    taken = asking.request.query_params.get("format", "")
    query, patients = wanted.query(asking)
    if taken:
        query = replace(query, offset=0, limit=_MOST_TAKEN)
    found = search(asking.session, query)
    if taken and found.more:
        raise BadInput(f"That is more than {_MOST_TAKEN:,} entries.", "Narrow the time, and take it in parts.")
    asking.record(
        "audit", patients=patients, detail={"filters": wanted.filters, "taken": taken, "found": len(found.found)}
    )
    table = _table(asking, found.found)
    if taken == "csv":
        return as_csv(table)
    if taken == "fhir":
        return _fhir(found.found)
    return asking.page("governance/audit.html", **_view(asking, wanted, found, table))


@router.post("/")
def begin_search(
    asking: Searching, nhs_number: Annotated[str, Form()] = "", filters: Annotated[str, Form()] = ""
) -> Response:
    """Search for a patient, whose number then stands in no address."""
    wanted = Wanted.read(QueryParams(filters))
    if nhs_number_in(nhs_number) is None:
        raise BadInput("That is not an NHS number.", "Give all ten digits.")
    kept = keep(asking, nhs_number)
    asking.record("audit", detail={"search": "patient"})
    return RedirectResponse(replace(wanted, search=str(kept), page=1).at(1), HTTPStatus.SEE_OTHER)


@router.post("/saved")
def save_search(asking: Searching, name: Annotated[str, Form()] = "", filters: Annotated[str, Form()] = "") -> Response:
    """Keep the filters under a name."""
    wanted = Wanted.read(QueryParams(filters))
    if not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise BadInput("A saved search needs a name of at most 80 letters.", "Give it one.")
    saved = SavedSearch(
        tenant_id=asking.tenant.id,
        person_id=asking.who.person_id,
        name=name.strip(),
        filters=wanted.filters,
        made=datetime.now(UTC),
    )
    asking.session.add(saved)
    asking.record("audit/saved", detail={"filters": wanted.filters})
    return RedirectResponse(f"/ig/audit/?{wanted.filters}", HTTPStatus.SEE_OTHER)


@router.post("/saved/{number}")
def forget_search(asking: Searching, number: UUID) -> Response:
    """Remove a saved search of one's own."""
    saved = asking.session.get(SavedSearch, (asking.tenant.id, number))
    if saved is None or saved.person_id != asking.who.person_id:
        raise NotFound("There is no such search.")
    asking.session.delete(saved)
    asking.record("audit/saved", detail={"removed": True})
    return RedirectResponse("/ig/audit/", HTTPStatus.SEE_OTHER)


def _view(asking: Asking, wanted: Wanted, found: AuditPage, table: Table) -> Mapping[str, object]:
    mine = col(SavedSearch.person_id) == asking.who.person_id
    nodes = asking.organisations.nodes
    return {
        "table": table,
        "wanted": wanted,
        "previous": wanted.at(wanted.page - 1) if wanted.page > 1 else "",
        "next": wanted.at(wanted.page + 1) if found.more else "",
        "people": sorted(
            ((str(person), name) for person, name in names_of(asking.session).items()), key=lambda p: p[1]
        ),
        "organisations": sorted(((code, node.name) for code, node in nodes.items()), key=lambda pair: pair[1]),
        "registries": [(pack, each.title) for pack, each in asking.site.definitions.of_tenant(asking.session).items()],
        "actions": [(action, action.replace("-", " ")) for action in sorted({*Action, *_UNASKED})],
        "outcomes": [(outcome, outcome) for outcome in Outcome],
        "saved": asking.session.exec(select(SavedSearch).where(mine).order_by(col(SavedSearch.name))).all(),
    }


def _table(asking: Asking, found: Sequence[FoundEntry]) -> Table:
    people = names_of(asking.session)
    rows = [
        [
            Cell(each.place),
            Cell(each.entry.at),
            Cell(who_is(each.entry.actor, people)),
            Cell(each.entry.role),
            Cell(asking.name_of(each.entry.organisation)),
            Cell(each.entry.purpose),
            Cell(_done(each.entry)),
            Cell(each.entry.resource),
            Cell(len(each.entry.patients)),
            Cell(_said(each.entry.detail)),
            Cell(each.entry.policy),
            Cell(each.entry.outcome, tag=_TAGS.get(Outcome(each.entry.outcome), "")),
        ]
        for each in found
    ]
    return Table("audit-log", "Entries of the log, newest first", _COLUMNS, rows, "Nothing in the log is like that.")


def _done(entry: AuditEntry) -> str:
    """What was done; of a page that can change something, whether it was only looked at."""
    return f"{entry.action}, only looked at" if entry.detail.get("looked") else entry.action


def _said(detail: Mapping[str, object]) -> str:
    """What was looked at or decided, in a line. Filters and counts of lists stay in the log: officers see no count."""
    words = {True: "yes", False: "no"}
    found = ((name, detail[name]) for name in _SAID if name in detail)
    return "; ".join(f"{name}: {words[value] if isinstance(value, bool) else value}" for name, value in found)


def _fhir(found: Sequence[FoundEntry]) -> Response:
    headers = {"content-disposition": 'attachment; filename="audit-events.json"'}
    text = json.dumps(as_bundle(each.entry for each in found), ensure_ascii=False)
    return Response(text, media_type="application/fhir+json", headers=headers)
