"""Tables of a tenant's rules for access: one row, or none while all are as they come; and how counts are suppressed."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKeyConstraint
from sqlmodel import Field

from cohortium_platform.database import Privilege, TenantTable, Travels

__all__ = ["IgSettings", "SuppressionChoice"]


class IgSettings(TenantTable, table=True):
    """How many IG officers must agree to an approval; for how many minutes a patient opened by break-glass stays open
    and in how many days that must be reviewed; for how many days after a trust's last entry a patient counts as under
    its care; how many days before its end an approval or a cleared list is announced.
    """

    __tablename__ = "ig_settings"
    travels: ClassVar[Travels] = Travels.EXPORTED

    officers_to_approve: int = Field(default=1)
    break_glass_minutes: int = Field(default=60)
    review_days: int = Field(default=5)
    trust_relationship_days: int = Field(default=365)
    notice_days: int = Field(default=30)


class SuppressionChoice(TenantTable, table=True):
    """That an IG officer chose how counts are suppressed: one of `statistics.POLICIES`, when, and why. The last one
    holds. Choices are only ever added.
    """

    __tablename__ = "suppression_choices"
    __table_args__ = (ForeignKeyConstraint(["tenant_id", "chosen_by"], ["people.tenant_id", "people.id"]),)
    travels: ClassVar[Travels] = Travels.EXPORTED
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT})

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    policy: str
    why: str
    chosen: datetime = Field(sa_type=DateTime(timezone=True))
    chosen_by: UUID
