"""Where a load goes, on whose behalf, and what comes of it.

Here: plain values. Not here: doing it (`pipeline`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cohortium_platform.audit import SERVICE
from cohortium_platform.database import Database
from cohortium_platform.directory import OrganisationDirectory
from cohortium_platform.ingest.quality import QualityReport
from cohortium_platform.keys import TenantKeys
from cohortium_platform.records.store import RecordStore

__all__ = ["LoadResult", "LoadTarget", "Requester"]


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """One tenant's database, store, keys and organisations."""

    database: Database
    tenant_id: UUID
    store: RecordStore
    keys: TenantKeys = field(repr=False)
    directory: OrganisationDirectory = field(repr=False)

    def __post_init__(self) -> None:
        if not self.tenant_id == self.store.tenant_id == self.keys.tenant_id:
            raise ValueError("A load's database, store and keys belong to one tenant.")


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asked for a load, as the audit log writes it."""

    actor: str = SERVICE
    role: str = SERVICE
    organisation: str = ""
    purpose: str = "platform operation"
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did. `snapshot` is None when no record changed; `unchanged` says that no identity did either."""

    load_id: UUID
    importer: str
    source: str
    practices: Sequence[str]
    snapshot: int | None
    identities: int
    unchanged: bool
    report: QualityReport
    seconds: float
