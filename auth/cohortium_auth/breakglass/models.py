"""Tables of break-glass openings and their reviews. What is patient-linked in them is sealed under the tenant's key."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKeyConstraint, Index
from sqlmodel import Field

from cohortium_platform.database import Privilege, TenantTable, Travels

__all__ = ["BreakGlass", "BreakGlassReview", "Reason", "ReviewOutcome"]

_SEALED = "It is sealed under a key that stays; who opened which patient, when and why stands in the log."


class Reason(enum.StrEnum):
    """Why somebody opened a patient outside their reach."""

    EMERGENCY = "emergency care"
    TEMPORARY_PATIENT = "seen here as a temporary patient"
    URGENT_REFERRAL = "urgent referral or transfer"
    SAFEGUARDING = "safeguarding"
    PATIENT_ASKED = "the patient asked for it"


class ReviewOutcome(enum.StrEnum):
    """What an IG officer found."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not justified"
    ESCALATED = "escalated"


class BreakGlass(TenantTable, table=True):
    """One opening: who, in which role and organisation, why, from when until when. `patient` is the audit's keyed hash;
    `sealed` holds the patient's id and the words of the reason.
    """

    __tablename__ = "break_glass"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
        Index(None, "tenant_id", "person_id", "patient"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED
    stays: ClassVar[Mapping[str, str]] = {"sealed": _SEALED}

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    person_id: UUID
    role: str
    organisation: str
    patient: bytes
    reason: str
    sealed: bytes
    started: datetime = Field(sa_type=DateTime(timezone=True))
    expires: datetime = Field(sa_type=DateTime(timezone=True))
    review_by: datetime = Field(sa_type=DateTime(timezone=True))


class BreakGlassReview(TenantTable, table=True):
    """The review of an opening. `note` is sealed: an officer may name things in it. Reviews are only ever added."""

    __tablename__ = "break_glass_reviews"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "break_glass_id"], ["break_glass.tenant_id", "break_glass.id"]),
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED
    stays: ClassVar[Mapping[str, str]] = {"note": _SEALED}
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT})

    break_glass_id: UUID = Field(primary_key=True)
    person_id: UUID
    outcome: str
    note: bytes
    reviewed: datetime = Field(sa_type=DateTime(timezone=True))
