"""Opening a patient, whether it is open, and reviewing it, in the caller's transaction. Not here: who may."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from cohortium_auth.breakglass.models import BreakGlass, BreakGlassReview, Reason, ReviewOutcome
from cohortium_auth.ig_settings import read_ig_settings
from cohortium_auth.login import SignedIn
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, Conflict, Forbidden, NotFound
from cohortium_platform.keys import TenantKeys

__all__ = [
    "MOST_AN_HOUR",
    "Opening",
    "break_glass",
    "has_open",
    "open_until",
    "opened_lately",
    "openings",
    "review",
    "see_words",
    "unreviewed",
]

_FEWEST_LETTERS = 10
MOST_AN_HOUR = 10
"""Patients whom one person may open within an hour: more looks like going through a list."""

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Opening:
    """An opening as an IG officer reviews it: the words of its reason, whose patient it was not, and its review."""

    row: BreakGlass
    words: str
    review: BreakGlassReview | None
    note: str

    def is_overdue(self, now: datetime) -> bool:
        """Whether it should have been reviewed by now."""
        return self.review is None and now > self.row.review_by


def see_words(words: str) -> None:
    """See that words say why. Raises `BadInput`."""
    if len(words.strip()) < _FEWEST_LETTERS:
        raise BadInput("Say in words why you must open this record.", "An IG officer will read it.")


def opened_lately(session: Session, who: SignedIn, *, clock: Clock = _now) -> int:
    """How many patients somebody has opened within an hour, in whichever role."""
    lately = col(BreakGlass.started) > clock() - timedelta(hours=1)
    statement = select(func.count()).select_from(BreakGlass).where(BreakGlass.person_id == who.person_id, lately)
    return session.exec(statement).one()


def break_glass(  # noqa: PLR0913 - an opening is this much
    session: Session, keys: TenantKeys, who: SignedIn, patient: bytes, patient_id: int, *,
    reason: Reason, words: str, clock: Clock = _now,
) -> UUID:  # fmt: skip
    """Open a patient for somebody until the tenant's time is over. `patient` is their hash for the audit.

    Raises `BadInput` without words that say why.
    """
    see_words(words)
    settings, now = read_ig_settings(session), clock()
    opening = BreakGlass(
        tenant_id=tenant_of(session),
        person_id=who.person_id,
        role=who.role,
        organisation=who.organisation,
        patient=patient,
        reason=reason,
        sealed=b"",
        started=now,
        expires=now + timedelta(minutes=settings.break_glass_minutes),
        review_by=now + timedelta(days=settings.review_days),
    )
    opening.sealed = keys.seal(json.dumps([patient_id, words.strip()]).encode(), _context(opening.id))
    session.add(opening)
    session.flush()
    return opening.id


def open_until(session: Session, who: SignedIn, patient: bytes, *, clock: Clock = _now) -> datetime | None:
    """Until when somebody, in the role they act in now, has a patient open; None when they have not."""
    statement = select(BreakGlass.expires).where(BreakGlass.patient == patient, *_open_to(who, clock()))
    return session.exec(statement.order_by(col(BreakGlass.expires).desc())).first()


def has_open(session: Session, who: SignedIn, *, clock: Clock = _now) -> bool:
    """Whether somebody, in the role they act in now, has any patient open."""
    return session.exec(select(BreakGlass.id).where(*_open_to(who, clock()))).first() is not None


def openings(session: Session, keys: TenantKeys) -> Sequence[Opening]:
    """Every opening, those not reviewed first, the oldest of them first; then the others, newest first."""
    reviews = {row.break_glass_id: row for row in session.exec(select(BreakGlassReview))}
    found = [_opening(keys, row, reviews.get(row.id)) for row in session.exec(select(BreakGlass))]
    waiting = sorted((each for each in found if each.review is None), key=lambda each: each.row.started)
    done = sorted((each for each in found if each.review is not None), key=lambda each: each.row.started, reverse=True)
    return [*waiting, *done]


def unreviewed(session: Session, *, clock: Clock = _now) -> tuple[int, int]:
    """How many openings wait for their review, and how many of them should have had it by now."""
    reviewed = select(BreakGlassReview.break_glass_id).where(BreakGlassReview.break_glass_id == BreakGlass.id)
    late = func.count().filter(col(BreakGlass.review_by) < clock())
    waiting, overdue = session.exec(select(func.count(), late).select_from(BreakGlass).where(~reviewed.exists())).one()
    return waiting, overdue


def review(  # noqa: PLR0913 - a review is this much
    session: Session, keys: TenantKeys, opening_id: UUID, *, by: UUID, outcome: ReviewOutcome, note: str
) -> None:
    """Record what an IG officer found; unless it was justified, the record closes at once.

    Raises `NotFound`, `BadInput` without a note, `Forbidden` on one's own opening, `Conflict` when it was reviewed.
    """
    opening = session.get(BreakGlass, (tenant_of(session), opening_id))
    if opening is None:
        raise NotFound("There is no such opening.")
    if not note.strip():
        raise BadInput("A review says what was found.", "Write a line or two.")
    if opening.person_id == by:
        raise Forbidden("Nobody reviews what they opened themselves.", "Another IG officer must review it.")
    if session.get(BreakGlassReview, (tenant_of(session), opening_id)) is not None:
        raise Conflict("This has been reviewed already.")
    if outcome is not ReviewOutcome.JUSTIFIED:
        opening.expires = min(opening.expires, _now())
        session.add(opening)
    session.add(
        BreakGlassReview(
            tenant_id=opening.tenant_id,
            break_glass_id=opening_id,
            person_id=by,
            outcome=outcome,
            note=keys.seal(note.strip().encode(), _context(opening_id)),
            reviewed=_now(),
        )
    )
    session.flush()


def _open_to(who: SignedIn, now: datetime) -> list[ColumnElement[bool]]:
    return [
        col(BreakGlass.person_id) == who.person_id,
        col(BreakGlass.role) == who.role,
        col(BreakGlass.organisation) == who.organisation,
        col(BreakGlass.started) <= now,
        col(BreakGlass.expires) > now,
    ]


def _opening(keys: TenantKeys, row: BreakGlass, found: BreakGlassReview | None) -> Opening:
    _, words = json.loads(keys.open(row.sealed, _context(row.id)))
    note = "" if found is None else keys.open(found.note, _context(row.id)).decode()
    return Opening(row, words, found, note)


def _context(opening_id: UUID) -> bytes:
    return b"break glass" + opening_id.bytes
