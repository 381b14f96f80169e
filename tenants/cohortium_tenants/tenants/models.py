"""The table of tenants. Not here: anything a tenant owns, which lies in tenant tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime
from sqlmodel import Field

from cohortium_platform.database import Privilege, ServiceTable

__all__ = ["Tenant"]


class Tenant(ServiceTable, table=True):
    """One ICB. `slug` is its name in addresses and commands; `ods_code` names it to the NHS and may change with it."""

    __tablename__ = "tenants"
    reason: ClassVar[str] = "It says which tenants there are, before one is chosen; it holds nothing that one owns."
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT, Privilege.UPDATE})

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    slug: str = Field(unique=True)
    name: str
    ods_code: str
    created: datetime = Field(default_factory=lambda: datetime.now(UTC), sa_type=DateTime(timezone=True))
