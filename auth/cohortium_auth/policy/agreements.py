"""Sharing agreements: made, ended, found. Not here: what they permit (`policies/*.cedar`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, or_, select

from cohortium_auth.policy.models import SharingAgreement
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, NotFound

__all__ = ["agreements_of", "end_agreement", "is_shared", "practices_sharing_with", "share"]


def share(  # noqa: PLR0913 - an agreement is this much
    session: Session, practice: str, organisation: str, *, start: date, document: str, end: date | None = None
) -> UUID:
    """Record that a practice shares with an organisation (ODS codes). A practice's own staff need one too: it says that
    the practice has put its records here. Raises `BadInput`.
    """
    if not document.strip():
        raise BadInput("A sharing agreement names no document.", "Say where the signed paper is.")
    if end is not None and end < start:
        raise BadInput("A sharing agreement ends before it begins.", "Give a last day on or after the first.")
    agreement = SharingAgreement(
        tenant_id=tenant_of(session),
        practice=practice,
        organisation=organisation,
        start_date=start,
        end_date=end,
        document=document,
    )
    session.add(agreement)
    session.flush()
    return agreement.id


def end_agreement(session: Session, agreement_id: UUID, last_day: date) -> None:
    """Let an agreement end on a day; from the next on, nobody sees by it. Raises `NotFound`, and `BadInput` when that
    is before its first day or after the last that it has: going on longer takes a new agreement, with its own paper.
    """
    agreement = session.get(SharingAgreement, (tenant_of(session), agreement_id))
    if agreement is None:
        raise NotFound("There is no such sharing agreement.")
    if last_day < agreement.start_date or (agreement.end_date is not None and last_day > agreement.end_date):
        raise BadInput("An agreement cannot end then.", "Give a day within it; to go on longer, record a new one.")
    agreement.end_date = last_day
    session.add(agreement)


def agreements_of(session: Session, organisation: str) -> Sequence[SharingAgreement]:
    """Every agreement that an organisation gives or is given by, those still in force first, the latest first."""
    either = or_(col(SharingAgreement.practice) == organisation, col(SharingAgreement.organisation) == organisation)
    order = (col(SharingAgreement.end_date).desc().nulls_first(), col(SharingAgreement.start_date).desc())
    return session.exec(select(SharingAgreement).where(either).order_by(*order)).all()


def practices_sharing_with(session: Session, organisation: str, on: date) -> frozenset[str]:
    """The practices that share with an organisation on a day."""
    rows = session.exec(
        select(SharingAgreement.practice).where(SharingAgreement.organisation == organisation, _in_force(on)).distinct()
    )
    return frozenset(rows)


def is_shared(session: Session, practice: str, organisation: str, on: date) -> bool:
    """Whether a practice shares with an organisation on a day."""
    statement = select(SharingAgreement.id).where(
        SharingAgreement.practice == practice, SharingAgreement.organisation == organisation, _in_force(on)
    )
    return session.exec(statement).first() is not None


def _in_force(on: date) -> ColumnElement[bool]:
    end = col(SharingAgreement.end_date)
    return and_(col(SharingAgreement.start_date) <= on, or_(end.is_(None), end >= on))
