"""Completing a response: stored, recorded as entries, and every registry's results of the patient turned, at once.

Here: one call in the caller's transaction, and reading what was completed. Not here: what each answer records
(`cohortium_plugins.answering`), and how entries are laid over records (`cohortium_platform.records`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import cast
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_platform.keys import TenantKeys
from cohortium_platform.records import EntryRow, LaidOver, RecordStore, lay_over, lock
from cohortium_plugins.answering import Answers, Recorded, missing, read_answers, recorded, response_json, shown_items
from cohortium_plugins.model import Code, Definition
from cohortium_plugins.model.serialise import Json
from cohortium_plugins.templates import Template
from cohortium_tenants.care.drafts import Draft, Whose, bound_to, open_response, sealed_draft
from cohortium_tenants.care.models import CareEntry, CareResponse, ResponseStatus, ResponseVersion

__all__ = ["Completed", "Filled", "NotComplete", "amend", "complete", "completed", "fill"]

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class NotComplete(BadInput):
    """Something must be answered, or mended, first. `wrong` says what, by linkId; empty is the day of the review."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__("The review is not complete yet.", "Mend what is marked; nothing of it is lost.")
        self.wrong = wrong


@dataclass(frozen=True, slots=True)
class Filled:
    """A draft as it reads: answers, what of the template is shown, and what is wrong by linkId."""

    template: Template
    answers: Answers
    shown: frozenset[str]
    wrong: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Completed:
    """A version of a completed response. `codes`: what it recorded, with the linkId of each; `uncoded`: titles of lists
    for which the tenant has no code.
    """

    id: UUID
    version: int
    status: ResponseStatus
    template: str
    practice: str
    patient_id: int
    day: date
    by: UUID
    at: datetime
    response: Mapping[str, Json]
    typed: Mapping[str, Sequence[str]]
    shown: frozenset[str]
    codes: Sequence[Mapping[str, object]]
    uncoded: Sequence[str]


def fill(template: Template, draft: Draft, for_patient: frozenset[str]) -> Filled:
    """Read a draft."""
    answers, wrong = read_answers(template, draft.typed)
    return Filled(template, answers, shown_items(template, answers, for_patient), wrong)


def complete(  # noqa: PLR0913, PLR0917 - a completion names all that it stands on
    session: Session,
    keys: TenantKeys,
    store: RecordStore,
    definition: Definition,
    whose: Whose,
    draft: Draft,
    filled: Filled,
    *,
    by: UUID,
    actor: str,
    clock: Clock = _now,
) -> tuple[UUID, LaidOver]:
    """Store a draft as a completed version and record what its answers say, dated the day of the review. What a former
    version recorded is taken back. Evaluating the patient anew is the caller's next step, in the same transaction.

    Raises `NotComplete` and `Conflict`; nothing is changed then.
    """
    now = clock()
    _check(draft, filled, now.date())
    lock(session)  # the order of locks: records first, then care
    row = open_response(session, cast("UUID", draft.id))
    if not row.open or row.saved_number != draft.number:
        raise Conflict("This review was changed or completed since you opened it.", "Open it again.")
    found = recorded(filled.template, definition, filled.answers, filled.shown)
    row.version, row.open = row.version + 1, False
    session.add(row)
    session.add(_version(keys, row, draft, filled, found, by=by, now=now))
    session.flush()
    withdrawn = _withdraw(session, row, now)
    entries = _enter(session, keys, row, found, draft, now)
    return row.id, lay_over(session, store, whose.practice, entries, withdrawn, actor=actor)


def amend(session: Session, keys: TenantKeys, response_id: UUID, *, by: UUID, clock: Clock = _now) -> None:
    """Open a completed response again, as it was when completed; completing it makes another version.

    Raises `Conflict` when a new one of its template is being filled in.
    """
    row = open_response(session, response_id)
    others = select(CareResponse.id).where(
        CareResponse.pack == row.pack, CareResponse.template == row.template,
        CareResponse.patient_id == row.patient_id, col(CareResponse.open).is_(True), CareResponse.id != row.id,
    )  # fmt: skip
    if session.exec(others).first() is not None:
        raise Conflict("A new review of this kind has been begun.", "Complete or remove that one first.")
    last = completed(session, keys, response_id)
    row.sealed = keys.seal(sealed_draft(last.typed, last.day), bound_to(row.id))
    row.open, row.saved, row.saved_by, row.saved_number = True, clock(), by, row.saved_number + 1
    session.add(row)
    session.flush()


def completed(session: Session, keys: TenantKeys, response_id: UUID, version: int | None = None) -> Completed:
    """Give a version of a completed response, the latest unless another is asked for. Raises `NotFound`."""
    row = session.get(CareResponse, (tenant_of(session), response_id))
    wanted = 0 if row is None else version or row.version
    stored = session.get(ResponseVersion, (tenant_of(session), response_id, wanted))
    if row is None or stored is None:
        raise NotFound("There is no such review.", "Go back to the patient.")
    found = json.loads(keys.open(stored.sealed, _bound(response_id, wanted)))
    return Completed(
        id=response_id,
        version=wanted,
        status=ResponseStatus(stored.status),
        template=row.template,
        practice=row.practice,
        patient_id=row.patient_id,
        day=date.fromisoformat(found["day"]),
        by=stored.completed_by,
        at=stored.completed,
        response=found["response"],
        typed=found["typed"],
        shown=frozenset(found["shown"]),
        codes=found["codes"],
        uncoded=found["uncoded"],
    )


def _check(draft: Draft, filled: Filled, today: date) -> None:
    wrong = {link: said for link, said in filled.wrong.items() if link in filled.shown}
    for item in missing(filled.template, filled.answers, filled.shown):
        wrong.setdefault(item.link_id, "Answer this question.")
    if draft.day is None:
        wrong[""] = "Enter the day of the review."
    elif draft.day > today:
        wrong[""] = "The day of the review cannot be in the future."
    if wrong:
        raise NotComplete(wrong)


def _version(  # noqa: PLR0913 - a version is this much
    keys: TenantKeys,
    row: CareResponse,
    draft: Draft,
    filled: Filled,
    found: Sequence[Recorded],
    *,
    by: UUID,
    now: datetime,
) -> ResponseVersion:
    status = ResponseStatus.COMPLETED if row.version == 1 else ResponseStatus.AMENDED
    content = {
        "day": cast("date", draft.day).isoformat(),
        "response": response_json(
            filled.template, filled.answers, filled.shown, status=status, authored=now.isoformat(timespec="seconds")
        ),
        "typed": draft.typed,
        "shown": sorted(filled.shown),
        "codes": [_coded(each, each.code) for each in found if each.code is not None],
        "uncoded": [each.codelist.title for each in found if each.code is None],
    }
    return ResponseVersion(
        tenant_id=row.tenant_id,
        response_id=row.id,
        version=row.version,
        status=status,
        template_version=filled.template.version,
        sealed=keys.seal(json.dumps(content).encode(), _bound(row.id, row.version)),
        completed=now,
        completed_by=by,
    )


def _coded(each: Recorded, code: Code) -> Mapping[str, object]:
    return {
        "link_id": each.link_id,
        "codelist": each.codelist.title,
        "code": code.code,
        "term": code.term,
        "local": code.local,
        "value": each.value,
        "unit": each.unit,
    }


def _withdraw(session: Session, row: CareResponse, now: datetime) -> list[tuple[int, int]]:
    """Take back what former versions recorded."""
    former = session.exec(
        select(CareEntry).where(CareEntry.response_id == row.id, col(CareEntry.withdrawn).is_(None))
    ).all()
    for entry in former:
        entry.withdrawn = now
        session.add(entry)
    return [(entry.patient_id, entry.entry) for entry in former]


def _enter(  # noqa: PLR0913, PLR0917 - what is entered, of which version
    session: Session, keys: TenantKeys, row: CareResponse, found: Sequence[Recorded], draft: Draft, now: datetime
) -> list[EntryRow]:
    numbered = select(func.max(CareEntry.entry)).where(CareEntry.patient_id == row.patient_id)
    first = (session.exec(numbered).one() or 0) + 1
    rows = []
    day, coded = cast("date", draft.day), [(each, each.code) for each in found if each.code is not None]
    for number, (each, code) in enumerate(coded, start=first):
        rows.append(EntryRow(row.patient_id, number, day, code.code, each.value, each.unit))
        content = {**_coded(each, code), "day": day.isoformat()}
        session.add(
            CareEntry(
                tenant_id=row.tenant_id,
                patient_id=row.patient_id,
                entry=number,
                practice=row.practice,
                response_id=row.id,
                version=row.version,
                sealed=keys.seal(
                    json.dumps(content).encode(), b"care entry" + row.id.bytes + number.to_bytes(4, "big")
                ),
                made=now,
            )
        )
    session.flush()
    return rows


def _bound(response_id: UUID, version: int) -> bytes:
    return b"care version" + response_id.bytes + version.to_bytes(4, "big")
