"""The table of onboarding steps done. Not here: which steps an organisation needs, and in what order (`service`)."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import DateTime, ForeignKeyConstraint
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["OnboardingStep", "Step"]


class Step(enum.StrEnum):
    """What must be done before an organisation's data shows, or its people see anybody's. In this order on screen."""

    SHARING_SIGNED = "sharing agreement signed"
    DPIA_AGREED = "DPIA agreed"
    FEED_CONNECTED = "feed connected"
    FIRST_LOAD_ACCEPTED = "first load accepted"
    PEOPLE_TRAINED = "people trained"
    GO_LIVE = "go-live"


class OnboardingStep(TenantTable, table=True):
    """A step that an organisation has done: on which day, recorded by whom (a person's id, or a word of the service),
    and where its evidence lies. The day of the go-live is the first on which data shows, and may lie ahead.
    """

    __tablename__ = "onboarding_steps"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "organisation"], ["organisations.tenant_id", "organisations.ods_code"]),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    organisation: str = Field(primary_key=True)
    step: str = Field(primary_key=True)
    on_date: date
    document: str
    by: str
    recorded: datetime = Field(sa_type=DateTime(timezone=True))
