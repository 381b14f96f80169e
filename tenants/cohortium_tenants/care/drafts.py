"""Responses being filled in: saved as they are typed, found again by anybody who may, never written over unseen.

Here: saving and reading in the caller's transaction. Not here: who may (auth), and what completing one does
(`completing`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import Conflict, NotFound
from cohortium_platform.keys import TenantKeys
from cohortium_tenants.care.models import CareResponse, ResponseStatus, ResponseVersion

__all__ = [
    "Draft",
    "ResponseHead",
    "Whose",
    "bound_to",
    "discard_draft",
    "find_draft",
    "open_response",
    "responses_of",
    "save_draft",
    "sealed_draft",
]

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Whose:
    """Which template of which pack, about whom."""

    pack: str
    template: str
    practice: str
    patient_id: int


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed so far, by linkId, and the day of the review. `number` is that of the last saving, 0 before the
    first; `version` is 0 until it was completed once.
    """

    typed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    day: date | None = None
    number: int = 0
    version: int = 0
    id: UUID | None = None
    saved: datetime | None = None
    saved_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response as lists name it: nothing of what it says."""

    id: UUID
    template: str
    status: ResponseStatus
    is_open: bool
    version: int
    saved: datetime
    saved_by: UUID


def find_draft(session: Session, keys: TenantKeys, whose: Whose) -> Draft:
    """Give what is being filled in; an empty one when nothing is."""
    row = session.exec(_open(whose)).one_or_none()
    return Draft() if row is None else _draft(keys, row)


def save_draft(  # noqa: PLR0913 - what, over what, by whom
    session: Session,
    keys: TenantKeys,
    whose: Whose,
    typed: Mapping[str, Sequence[str]],
    day: date | None,
    *,
    seen: int,
    by: UUID,
    clock: Clock = _now,
) -> Draft:
    """Save what is typed over the saving that the writer has `seen`. What is saved already stays as it is.

    Raises `Conflict` when somebody else has saved since; nothing is written then.
    """
    now = clock()
    row = session.exec(_open(whose).with_for_update()).one_or_none()
    content = {link: list(words) for link, words in sorted(typed.items()) if any(words)}
    if row is None:
        return _begin(session, keys, whose, content, day, seen=seen, by=by, now=now)
    before = _draft(keys, row)
    if (before.typed, before.day) == (content, day):
        return before
    if row.saved_number != seen:
        raise Conflict(
            "Somebody else has changed this review since you opened it.",
            "Nothing of theirs was written over. Compare both, then save yours again.",
        )
    row.saved_number, row.saved, row.saved_by = row.saved_number + 1, now, by
    row.sealed = keys.seal(sealed_draft(content, day), bound_to(row.id))
    session.add(row)
    session.flush()
    return _draft(keys, row)


def _begin(  # noqa: PLR0913 - a response is this much
    session: Session,
    keys: TenantKeys,
    whose: Whose,
    content: Mapping[str, Sequence[str]],
    day: date | None,
    *,
    seen: int,
    by: UUID,
    now: datetime,
) -> Draft:
    if seen:
        raise Conflict("This review was completed or removed since you opened it.", "Go back to the patient.")
    row = CareResponse(
        tenant_id=tenant_of(session), pack=whose.pack, template=whose.template, practice=whose.practice,
        patient_id=whose.patient_id, saved_number=1, sealed=b"", started=now, started_by=by, saved=now, saved_by=by,
    )  # fmt: skip
    row.sealed = keys.seal(sealed_draft(content, day), bound_to(row.id))
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:  # somebody else began at this very moment
        raise Conflict("Somebody else has begun this review.", "Open it again to go on with theirs.") from None
    return _draft(keys, row)


def discard_draft(session: Session, whose: Whose, *, seen: int) -> None:
    """Remove what was typed and never completed; of a response that was, go back to what it said.

    Raises `NotFound` and `Conflict`.
    """
    row = session.exec(_open(whose).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("Nothing is being filled in.", "Go back to the patient.")
    if row.saved_number != seen:
        raise Conflict("Somebody else has changed this review since you opened it.", "Look at it again first.")
    if row.version:
        row.open = False
        session.add(row)
    else:
        session.delete(row)
    session.flush()


def open_response(session: Session, response_id: UUID) -> CareResponse:
    """Give a response's row, locked. Raises `NotFound`."""
    statement = select(CareResponse).where(CareResponse.id == response_id).with_for_update()
    row = session.exec(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such review.", "Go back to the patient.")
    return row


def responses_of(session: Session, pack: str, patient_id: int) -> Sequence[ResponseHead]:
    """Give a patient's responses, the latest first."""
    rows = session.exec(
        select(CareResponse)
        .where(CareResponse.pack == pack, CareResponse.patient_id == patient_id)
        .order_by(col(CareResponse.saved).desc())
    ).all()
    latest = {
        (version.response_id, version.version): version.status
        for version in session.exec(
            select(ResponseVersion).where(col(ResponseVersion.response_id).in_([row.id for row in rows]))
        )
    }
    return [
        ResponseHead(
            id=row.id,
            template=row.template,
            status=ResponseStatus(latest.get((row.id, row.version), ResponseStatus.IN_PROGRESS)),
            is_open=row.open,
            version=row.version,
            saved=row.saved,
            saved_by=row.saved_by,
        )
        for row in rows
    ]


def _open(whose: Whose):  # type: ignore[no-untyped-def]  # noqa: ANN202 - SQLModel's own generic
    return select(CareResponse).where(
        CareResponse.pack == whose.pack,
        CareResponse.template == whose.template,
        CareResponse.patient_id == whose.patient_id,
        col(CareResponse.open).is_(True),
    )


def _draft(keys: TenantKeys, row: CareResponse) -> Draft:
    found = json.loads(keys.open(row.sealed, bound_to(row.id)))
    day = None if found["day"] is None else date.fromisoformat(found["day"])
    return Draft(found["typed"], day, row.saved_number, row.version, row.id, row.saved, row.saved_by)


def sealed_draft(typed: Mapping[str, Sequence[str]], day: date | None) -> bytes:
    """Give a draft as it is sealed."""
    return json.dumps({"typed": typed, "day": None if day is None else day.isoformat()}).encode()


def bound_to(response_id: UUID) -> bytes:
    """Give the context that a draft is sealed under."""
    return b"care response" + response_id.bytes
