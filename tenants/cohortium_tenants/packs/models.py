"""Tables: the packs a tenant has enabled, now and before, the codes of its own that extend their codelists, previews of
versions, and reports after a wrong one. Not here: the catalogue that all tenants share (`catalogue`).
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, DateTime, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["EnabledPack", "Enablement", "IncidentReport", "LocalCode", "Preview"]


class EnabledPack(TenantTable, table=True):
    """A pack that makes a registry in this tenant: the version and parameters that its results are made with. It is
    exchanged in the transaction that exchanges the results.
    """

    __tablename__ = "enabled_packs"
    travels: ClassVar[Travels] = Travels.EXPORTED

    pack: str = Field(primary_key=True)
    version: str
    content_hash: str
    definition_hash: str
    parameters: dict[str, object] = Field(default_factory=dict, sa_type=JSONB)
    enabled: dt.datetime = Field(default_factory=lambda: dt.datetime.now(dt.UTC), sa_type=DateTime(timezone=True))
    enabled_by: str
    enablement: UUID


class Enablement(TenantTable, table=True):
    """What was enabled from a moment on, and by whom: version, parameters and the tenant's own codes, all pinned.

    `how` is a word of `switching.How`; `former` is what it took the place of. `ended` is the moment at which it was
    itself replaced, to the microsecond that its result files say, so that they can be found again.
    """

    __tablename__ = "pack_enablements"
    __table_args__ = (Index(None, "tenant_id", "pack", "enabled"),)
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    pack: str
    version: str
    content_hash: str
    definition_hash: str
    parameters: dict[str, object] = Field(default_factory=dict, sa_type=JSONB)
    local_codes: list[dict[str, object]] = Field(default_factory=list, sa_type=JSONB)
    sensitive_version: int
    how: str
    reason: str
    enabled: dt.datetime = Field(sa_type=DateTime(timezone=True))
    by: str
    former: UUID | None = None
    ended: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class LocalCode(TenantTable, table=True):
    """A code of the tenant's own system that extends a codelist of a pack, for a reason; `added` when, by whom."""

    __tablename__ = "local_codes"
    travels: ClassVar[Travels] = Travels.EXPORTED

    pack: str = Field(primary_key=True)
    codelist: str = Field(primary_key=True)
    code: int = Field(primary_key=True, sa_type=BigInteger)
    term: str
    category: str | None = None
    reason: str
    added: dt.datetime = Field(default_factory=lambda: dt.datetime.now(dt.UTC), sa_type=DateTime(timezone=True))
    added_by: str


class Preview(TenantTable, table=True):
    """What a version would change, worked out over a snapshot. Who changes is in a file of the tenant's own, `path`;
    here are counts of members by practice (`people`: cohort, practice, before, after) and no patient. `agreed`: since
    when the publisher's developers may see its suppressed counts.
    """

    __tablename__ = "pack_previews"
    __table_args__ = (Index(None, "tenant_id", "pack", "asked"),)
    travels: ClassVar[Travels] = Travels.left("A preview is of this installation's catalogue, and is soon out of date.")

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    pack: str
    version: str
    content_hash: str
    parameters: dict[str, object] = Field(default_factory=dict, sa_type=JSONB)
    local_codes: list[dict[str, object]] = Field(default_factory=list, sa_type=JSONB)
    compared_with: str = ""
    job_id: UUID
    asked: dt.datetime = Field(sa_type=DateTime(timezone=True))
    asked_by: str
    finished: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    snapshot: int | None = Field(default=None, sa_type=BigInteger)
    index_date: dt.date | None = None
    sensitive_version: int = 0
    alike: int = 0
    cohorts: list[str] = Field(default_factory=list, sa_type=JSONB)
    indicators: list[str] = Field(default_factory=list, sa_type=JSONB)
    people: dict[str, dict[str, list[int]]] = Field(default_factory=dict, sa_type=JSONB)
    concerned: list[str] = Field(default_factory=list, sa_type=JSONB)
    path: str = ""
    agreed: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    agreed_by: str = ""


class IncidentReport(TenantTable, table=True):
    """Who was shown a wrong status by a version, as worked out against another. The list is in a file of the tenant's
    own, `path`; here are how many people saw how much.
    """

    __tablename__ = "incident_reports"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (Index(None, "tenant_id", "pack", "asked"),)
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    pack: str
    version: str
    right_version: str
    job_id: UUID
    asked: dt.datetime = Field(sa_type=DateTime(timezone=True))
    asked_by: str
    finished: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    shown_from: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    shown_to: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    viewers: int = 0
    views: int = 0
    patients: int = 0
    unchecked: list[str] = Field(default_factory=list, sa_type=JSONB)
    path: str = ""
