"""The table of saved audit searches. None names a patient: a search for one lasts no longer than its session."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKeyConstraint, Index
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["SavedSearch"]


class SavedSearch(TenantTable, table=True):
    """What an IG officer looks for again and again: a name, and the filters as an address writes them."""

    __tablename__ = "saved_audit_searches"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
        Index(None, "tenant_id", "person_id"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    person_id: UUID
    name: str
    filters: str
    made: datetime = Field(sa_type=DateTime(timezone=True))
