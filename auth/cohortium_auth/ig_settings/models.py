"""The table of a tenant's rules for access: one row, or none while all are as they come."""

from __future__ import annotations

from typing import ClassVar

from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["IgSettings"]


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
