"""The table of searches. Not here: searching (`searches`)."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKeyConstraint
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["KeptSearch"]


class KeptSearch(TenantTable, table=True):
    """What somebody searched a list for, sealed under the tenant's key, for their session alone."""

    __tablename__ = "kept_searches"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "session"],
            ["sign_in_sessions.tenant_id", "sign_in_sessions.token_hash"],
            ondelete="CASCADE",
        ),
    )
    travels: ClassVar[Travels] = Travels.left("A search belongs to a session, and sessions stay behind.")

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    session: bytes
    sealed: bytes
    made: datetime = Field(sa_type=DateTime(timezone=True))
