"""The table of jobs. Not here: who changes a row, and when (`service`, `running`)."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import DateTime, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["Job", "JobState"]

_ACTIVE = "state IN ('queued', 'running')"


class JobState(enum.StrEnum):
    """Where a job stands. The last three are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(TenantTable, table=True):
    """One job. `parameters` and `result` are JSON and hold nothing about a patient; `error` is safe to show.

    `progress` runs from 0 to 1 and `step` says in words what is being done. `worker` holds the job until `lease_until`,
    by PostgreSQL's clock. `not_before` delays another attempt. Of one `unique_key` only one job is queued or running.
    """

    __tablename__ = "jobs"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        Index(None, "tenant_id", "created"),
        Index("ix_jobs_active", "tenant_id", "state", postgresql_where=text(_ACTIVE)),
        Index("uq_jobs_unique_key", "tenant_id", "unique_key", unique=True, postgresql_where=text(_ACTIVE)),
    )
    travels: ClassVar[Travels] = Travels.left(
        "What this installation has done is told by the audit log, which travels."
    )

    id: UUID = Field(primary_key=True)
    kind: str
    parameters: dict[str, object] = Field(sa_type=JSONB)
    requested_by: str
    unique_key: str | None = None
    state: str = JobState.QUEUED
    progress: float = 0.0
    step: str = ""
    attempts: int = 0
    cancel_requested: bool = False
    worker: UUID | None = None
    lease_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    not_before: datetime = Field(sa_type=DateTime(timezone=True))
    created: datetime = Field(sa_type=DateTime(timezone=True))
    started: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    finished: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    result: dict[str, object] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    error: str | None = None
