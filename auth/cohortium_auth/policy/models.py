"""The table of sharing agreements. Not here: whether one has been signed for an organisation's onboarding."""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import Index
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["SharingAgreement"]


class SharingAgreement(TenantTable, table=True):
    """A practice lets an organisation (itself included) see its people, from a first to a last day, both included.

    `document` says where the signed paper is. Reach comes from these rows alone, never from who belongs to whom.
    """

    __tablename__ = "sharing_agreements"
    __table_args__ = (
        Index(None, "tenant_id", "organisation", "practice"),
        Index(None, "tenant_id", "practice"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    practice: str
    organisation: str
    start_date: date
    end_date: date | None = None
    document: str
