"""Tables of data use approvals and of the decisions on them. Not here: when one is in force (`service`)."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKeyConstraint, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from cohortium_platform.database import Privilege, TenantTable, Travels

__all__ = ["Approval", "ApprovalDecision", "Level"]


class Level(enum.StrEnum):
    """How near to a person an approved use may come. One level does not include another."""

    AGGREGATE = "aggregate"
    PSEUDONYMISED = "pseudonymised"
    IDENTIFIABLE = "identifiable"


class Approval(TenantTable, table=True):
    """A use of data that somebody asked for: this purpose, this registry (its pack's id), this level; for everyone of
    an organisation or one person acting in it, from a first to a last day. `needed` is how many IG officers must
    agree, as the tenant's rules said when it was asked for. `documents` say where the papers are.
    """

    __tablename__ = "approvals"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "requested_by"], ["people.tenant_id", "people.id"]),
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
        Index(None, "tenant_id", "pack"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    title: str
    purpose: str
    pack: str
    level: str
    organisation: str
    person_id: UUID | None = None
    conditions: str
    documents: list[str] = Field(sa_type=JSONB)
    start_date: date
    end_date: date
    requested_by: UUID
    requested: datetime = Field(sa_type=DateTime(timezone=True))
    needed: int
    revoked: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    revoked_by: UUID | None = None
    revoked_why: str | None = None


class ApprovalDecision(TenantTable, table=True):
    """What one IG officer decided on an approval, and why. Decisions are only ever added."""

    __tablename__ = "approval_decisions"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "approval_id"], ["approvals.tenant_id", "approvals.id"]),
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT})

    approval_id: UUID = Field(primary_key=True)
    person_id: UUID = Field(primary_key=True)
    agreed: bool
    why: str
    decided: datetime = Field(sa_type=DateTime(timezone=True))
