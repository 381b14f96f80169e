"""The table of tenants' wrapped keys. Not here: the key that wraps them, which never enters the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import DateTime
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["StoredKey"]


class StoredKey(TenantTable, table=True):
    """One wrapped key of a tenant: `sealed` opens only with the key-encryption key that `key_id` names."""

    __tablename__ = "tenant_keys"
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = Travels.left("A tenant gets new keys where it goes; these are destroyed at exit.")

    purpose: str = Field(primary_key=True)
    key_id: str
    sealed: bytes
    created: datetime = Field(default_factory=lambda: datetime.now(UTC), sa_type=DateTime(timezone=True))
    wrapped: datetime = Field(default_factory=lambda: datetime.now(UTC), sa_type=DateTime(timezone=True))
