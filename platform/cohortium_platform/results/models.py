"""The catalogue of results in PostgreSQL: evaluations and the files that hold what they found.

An evaluation is one definition over one snapshot at some index dates. For each practice, pack and kind of file, the row
without `superseded` names the file that counts; a file holds many practices and counts for those rows only.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["Evaluation", "ResultFileRow"]


class Evaluation(TenantTable, table=True):
    """One evaluation. `indicators` and `stratifiers` give the order in which files list statuses and strata;
    `index_date` is the newest of `index_dates`, as ISO text.
    """

    __tablename__ = "evaluations"
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    pack: str
    version: str
    definition_hash: str
    parameters: dict[str, object] = Field(default_factory=dict, sa_type=JSONB)
    indicators: list[str] = Field(sa_type=JSONB)
    stratifiers: list[str] = Field(sa_type=JSONB)
    snapshot: int = Field(sa_type=BigInteger)
    index_date: dt.date
    index_dates: list[str] = Field(sa_type=JSONB)
    engine: str
    started: dt.datetime = Field(sa_type=DateTime(timezone=True))
    finished: dt.datetime = Field(sa_type=DateTime(timezone=True))


class ResultFileRow(TenantTable, table=True):
    """What one practice has in one file of an evaluation. `kind` is a word of `store.ResultKind`."""

    __tablename__ = "result_files"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "evaluation_id"], ["evaluations.tenant_id", "evaluations.id"]),
        Index(None, "tenant_id", "pack", "practice"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    evaluation_id: UUID = Field(primary_key=True)
    practice: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    pack: str
    path: str
    rows: int = Field(sa_type=BigInteger)
    sha256: str
    superseded: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
