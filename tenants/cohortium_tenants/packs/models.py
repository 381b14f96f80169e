"""Tables: the packs a tenant has enabled, and the codes of its own that extend their codelists."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from sqlalchemy import BigInteger, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["EnabledPack", "LocalCode"]


class EnabledPack(TenantTable, table=True):
    """A pack that makes a registry in this tenant: the version and parameters that its results are made with."""

    __tablename__ = "enabled_packs"
    travels: ClassVar[Travels] = Travels.EXPORTED

    pack: str = Field(primary_key=True)
    version: str
    definition_hash: str
    parameters: dict[str, object] = Field(default_factory=dict, sa_type=JSONB)
    enabled: dt.datetime = Field(default_factory=lambda: dt.datetime.now(dt.UTC), sa_type=DateTime(timezone=True))
    enabled_by: str


class LocalCode(TenantTable, table=True):
    """A code of the tenant's own system that extends a codelist of a pack, since a day, for a reason."""

    __tablename__ = "local_codes"
    travels: ClassVar[Travels] = Travels.EXPORTED

    pack: str = Field(primary_key=True)
    codelist: str = Field(primary_key=True)
    code: int = Field(primary_key=True, sa_type=BigInteger)
    term: str
    category: str | None = None
    since: dt.date
    reason: str
    added: dt.datetime = Field(default_factory=lambda: dt.datetime.now(dt.UTC), sa_type=DateTime(timezone=True))
    added_by: str
