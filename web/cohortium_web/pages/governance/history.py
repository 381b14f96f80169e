"""A patient's access history, as a letter: who looked, when, in which role, and why. And the same of one person.

The NHS number comes in the body of a POST; the letter is that POST's answer, so that no address names the patient. The
look-up is itself an entry of the log, and stands in the patient's next letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import Response

from cohortium_auth.login import names_of
from cohortium_auth.policy import Action
from cohortium_platform import identities
from cohortium_platform.audit import SERVICE, AuditEntry, Outcome
from cohortium_platform.audit.search import AuditQuery, search
from cohortium_platform.audit.sequencer import sequence
from cohortium_platform.errors import BadInput
from cohortium_platform.identities.pseudonyms import pseudonym_of_nhs_number
from cohortium_platform.identities.terms import nhs_number_in
from cohortium_web.asking import Asking, patient_hash
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table, as_csv

__all__ = ["WHAT", "patients_ever", "router", "what_of", "who_is"]

router = APIRouter(prefix="/ig/history")

Looking = Annotated[Asking, requires(Action.VIEW_ACCESS_HISTORY)]
WHAT: Mapping[str, str] = {
    "view-patient": "opened the patient's page",
    "view-registry": "saw the patient on a list",
    "fill-in-template": "wrote in a review of the patient",
    "export-list": "took the patient's line in a download",
    "export-pseudonymised": "took a line about the patient under a pseudonym, without name or number",
    "break-glass": "opened the record outside their reach",
    "view-access-history": "looked up who had seen the patient",
}
"""What an action did with a patient, in words for the patient."""
_YEARS = 8
_AT_ONCE = 1000
_LAST_YEAR = 9000
_COLUMNS = (
    Column("at", "When"),
    Column("who", "Who"),
    Column("role", "In which role"),
    Column("organisation", "Of"),
    Column("what", "What"),
    Column("purpose", "Why"),
    Column("outcome", "Outcome"),
)


@router.get("/")
def show_form(asking: Looking) -> Response:
    """Ask for an NHS number."""
    asking.record("ig/history")
    return asking.page("governance/history.html", first=asking.on - timedelta(days=365 * _YEARS), last=asking.on)


@router.post("/")
def show_letter(
    asking: Looking,
    nhs_number: Annotated[str, Form()] = "",
    first: Annotated[str, Form()] = "",
    last: Annotated[str, Form()] = "",
    format: Annotated[str, Form()] = "",  # noqa: A002 - the form's own word
) -> Response:
    """The letter, or its table as CSV."""
    number = nhs_number_in(nhs_number)
    if number is None:
        raise BadInput("That is not an NHS number.", "Give all ten digits.")
    span = (_day(first, asking.on - timedelta(days=365 * _YEARS)), _day(last, asking.on))
    patients = patients_ever(asking, number)
    found = _entries(asking, [patient_hash(asking.keys, patient) for patient in patients], span)
    table = _table(asking, found)
    detail = {"first": span[0].isoformat(), "last": span[1].isoformat(), "entries": len(table.rows)}
    asking.record("ig/history", patients=patients, detail=detail)
    if format == "csv":
        return as_csv(table)
    names = identities.open_many(asking.session, asking.keys, patients)
    return asking.page(
        "governance/letter.html",
        known=bool(found or names),
        name=", ".join(identity.name or "name not known" for identity in names.values()),
        nhs_number=number,
        table=table,
        under_pseudonym=any(entry.action == Action.EXPORT_PSEUDONYMISED for entry in found),
        first=span[0],
        last=span[1],
        written=asking.on,
    )


def patients_ever(asking: Asking, number: str) -> list[int]:
    """Everybody whom an NHS number has ever stood for here: the pseudonym made of it, which the log keeps although the
    record has gone, and those of untrusted numbers, at practices that have closed as well.
    """
    practices = frozenset(asking.organisations.nodes)
    untrusted = identities.search(asking.session, asking.keys, number, practices=practices)
    return sorted({pseudonym_of_nhs_number(asking.keys, number), *untrusted})


def _entries(asking: Asking, hashes: Sequence[bytes], span: tuple[date, date]) -> Sequence[AuditEntry]:
    """Every entry that names the patient, newest first."""
    sequence(asking.site.aside, asking.tenant.id)
    since, until = (datetime.combine(day, time(), UTC) for day in (span[0], span[1] + timedelta(days=1)))
    found: list[AuditEntry] = []
    query, more = AuditQuery(patients=hashes, since=since, until=until, limit=_AT_ONCE), True
    while more:
        page = search(asking.session, query)
        found += [each.entry for each in page.found]
        query, more = replace(query, offset=query.offset + _AT_ONCE), page.more
    return found


def _table(asking: Asking, entries: Sequence[AuditEntry]) -> Table:
    people = names_of(asking.session)
    rows = [
        [
            Cell(entry.at),
            Cell(who_is(entry.actor, people)),
            Cell(entry.role),
            Cell(asking.name_of(entry.organisation)),
            Cell(what_of(entry)),
            Cell(entry.purpose),
            Cell("" if entry.outcome == Outcome.DONE else str(entry.outcome)),
        ]
        for entry in entries
    ]
    return Table("access-history", "Everyone who looked", _COLUMNS, rows, "Nobody has looked in that time.")


def what_of(entry: AuditEntry) -> str:
    """What an entry says was done, in words."""
    return WHAT.get(entry.action, entry.action.replace("-", " "))


def who_is(actor: str, people: Mapping[UUID, str]) -> str:
    """Who an entry's actor is: a person's name, or what stands for the service."""
    if actor == SERVICE:
        return "the service itself"
    try:
        return people.get(UUID(actor), "someone no longer known here")
    except ValueError:
        return actor


def _day(text: str, otherwise: date) -> date:
    try:
        day = date.fromisoformat(text) if text else otherwise
    except ValueError:
        day = date.max
    if day.year >= _LAST_YEAR:
        raise BadInput("That is no day.", "Choose it from the calendar.")
    return day
