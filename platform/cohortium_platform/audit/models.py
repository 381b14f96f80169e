"""The table of audit entries. The application may insert and read, never change or remove: the privileges say so."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import DateTime, Index, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from cohortium_platform.database import Privilege, TenantTable, Travels

__all__ = ["AuditEntry", "Outcome"]


class Outcome(enum.StrEnum):
    """How it ended: it was done, it was refused, or it was permitted and failed."""

    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


class AuditEntry(TenantTable, table=True):
    """One entry; `audit.service.Entry` says what each column means."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index(None, "tenant_id", "at"),
        Index(None, "tenant_id", "actor", "at"),
        Index(None, "tenant_id", "request_id"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT})

    id: UUID = Field(primary_key=True)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    actor: str
    role: str
    organisation: str
    purpose: str
    action: str
    resource: str
    practices: list[str] = Field(sa_type=ARRAY(Text))
    patients: list[bytes] = Field(sa_type=ARRAY(LargeBinary))
    policy: str
    outcome: str
    request_id: str
    detail: dict[str, object] = Field(sa_type=JSONB)
