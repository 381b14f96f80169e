"""The table of read-only periods. Not here: what is refused in one (`migrations.protection`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import DateTime, Index, text
from sqlmodel import Field

from cohortium_platform.database import Privilege, TenantTable, Travels

__all__ = ["ReadOnlyPeriod"]


class ReadOnlyPeriod(TenantTable, table=True):
    """A time in which a tenant's content can be read and not changed; it goes on until it has an end. One at most."""

    __tablename__ = "read_only_periods"
    __table_args__ = (
        Index("uq_read_only_periods_open", "tenant_id", unique=True, postgresql_where=text("ended IS NULL")),
    )
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = Travels.EXPORTED
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT, Privilege.UPDATE})

    began: datetime = Field(
        default_factory=lambda: datetime.now(UTC), primary_key=True, sa_type=DateTime(timezone=True)
    )
    reason: str
    by: str
    ended: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    ended_by: str | None = None
