"""Care activity: responses to templates, what each completed version said, and the entries it made.

Here: rows. Not here: saving, completing and amending (`drafts`, `completing`). What anybody wrote or answered about a
patient is sealed under the tenant's key; patients stand here by their pseudonyms.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, Index, text
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["CareEntry", "CareResponse", "ResponseStatus", "ResponseVersion"]


class ResponseStatus(enum.StrEnum):
    """Where a response stands, as FHIR says it."""

    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    AMENDED = "amended"


class CareResponse(TenantTable, table=True):
    """One response to a template, for one patient. `sealed` is what was typed so far; `saved_number` counts savings, so
    that two who type at once find each other out; `version` counts completions. While it is worked on, `open` is
    set: of one template only one response of a patient is.
    """

    __tablename__ = "care_responses"
    __table_args__ = (
        Index(None, "tenant_id", "patient_id"),
        Index("uq_care_responses_open", "tenant_id", "pack", "template", "patient_id", unique=True,
              postgresql_where=text("open")),
    )  # fmt: skip
    travels: ClassVar[Travels] = Travels.left(
        "What was typed is sealed under a key that stays; completed responses travel opened, when that was approved."
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    pack: str
    template: str
    practice: str
    patient_id: int = Field(sa_type=BigInteger)
    open: bool = True
    version: int = 0
    saved_number: int
    sealed: bytes
    started: datetime = Field(sa_type=DateTime(timezone=True))
    started_by: UUID
    saved: datetime = Field(sa_type=DateTime(timezone=True))
    saved_by: UUID


class ResponseVersion(TenantTable, table=True):
    """What a response said when it was completed, as a sealed FHIR QuestionnaireResponse, and what it recorded."""

    __tablename__ = "care_response_versions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "response_id"], ["care_responses.tenant_id", "care_responses.id"]),
    )
    travels: ClassVar[Travels] = Travels.left(
        "Sealed under a key that stays; travels opened, as FHIR QuestionnaireResponse, when that was approved."
    )

    response_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    status: str
    template_version: str
    sealed: bytes
    completed: datetime = Field(sa_type=DateTime(timezone=True))
    completed_by: UUID


class CareEntry(TenantTable, table=True):
    """One entry that a version made. `entry` is its number among the patient's, under which the record store has it;
    one that an amendment took back is `withdrawn`.
    """

    __tablename__ = "care_entries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "response_id", "version"],
            [
                "care_response_versions.tenant_id",
                "care_response_versions.response_id",
                "care_response_versions.version",
            ],
        ),
        Index(None, "tenant_id", "response_id"),
    )
    travels: ClassVar[Travels] = Travels.left(
        "Sealed under a key that stays; the entries travel with the record store, as rows of the source cohortium."
    )

    patient_id: int = Field(primary_key=True, sa_type=BigInteger)
    entry: int = Field(primary_key=True)
    practice: str
    response_id: UUID
    version: int
    sealed: bytes
    made: datetime = Field(sa_type=DateTime(timezone=True))
    withdrawn: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
