"""The catalogue's tables in PostgreSQL: snapshots, files, sources, loads.

Here: rows and what their columns mean. Not here: reading and changing them (`catalogue`), and the files themselves.

A snapshot is a number, counted up from 1 within a tenant. A file or source belongs to every snapshot from
`from_snapshot` on, up to but without `to_snapshot`, when it has one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["Load", "RecordFileRow", "RecordSource", "Snapshot"]


def _now() -> datetime:
    return datetime.now(UTC)


class Snapshot(TenantTable, table=True):
    """One version of a tenant's record store. One that is no longer `kept` may lose files that no kept one names."""

    __tablename__ = "record_snapshots"
    travels: ClassVar[Travels] = Travels.EXPORTED

    number: int = Field(primary_key=True, sa_type=BigInteger)
    taken: datetime = Field(default_factory=_now, sa_type=DateTime(timezone=True))
    kept: bool = True


class Load(TenantTable, table=True):
    """One delivery that was loaded. `snapshot` is the one it made, or NULL when it changed no record.

    `quality` is the report as `ingest.quality` writes it; `delivery` is the name of the file or folder, without its
    place; `actor` is who asked for it, as in the audit log.
    """

    __tablename__ = "record_loads"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "snapshot"], ["record_snapshots.tenant_id", "record_snapshots.number"]),
        Index(None, "tenant_id", "finished"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    started: datetime = Field(sa_type=DateTime(timezone=True))
    finished: datetime = Field(default_factory=_now, sa_type=DateTime(timezone=True))
    importer: str
    source: str
    delivery: str
    actor: str
    snapshot: int | None = Field(default=None, sa_type=BigInteger)
    quality: dict[str, object] = Field(sa_type=JSONB)


class RecordSource(TenantTable, table=True):
    """What a practice has of one source, and the date those records run to."""

    __tablename__ = "record_sources"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "from_snapshot"], ["record_snapshots.tenant_id", "record_snapshots.number"]),
        ForeignKeyConstraint(["tenant_id", "load_id"], ["record_loads.tenant_id", "record_loads.id"]),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    practice: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    from_snapshot: int = Field(primary_key=True, sa_type=BigInteger)
    to_snapshot: int | None = Field(default=None, sa_type=BigInteger)
    records_to: date
    load_id: UUID


class RecordFileRow(TenantTable, table=True):
    """One file: `path` is relative to the tenant's folder, `sha256` is of its bytes, in hexadecimal."""

    __tablename__ = "record_files"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "from_snapshot"], ["record_snapshots.tenant_id", "record_snapshots.number"]),
        Index(None, "tenant_id", "practice", "source", "record_table"),
        Index(None, "tenant_id", "to_snapshot"),
    )
    travels: ClassVar[Travels] = Travels.DERIVED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    practice: str
    source: str
    record_table: str
    path: str
    sha256: str
    rows: int = Field(sa_type=BigInteger)
    bytes: int = Field(sa_type=BigInteger)
    from_snapshot: int = Field(sa_type=BigInteger)
    to_snapshot: int | None = Field(default=None, sa_type=BigInteger)
