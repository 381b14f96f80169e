"""The one way to load a delivery for a tenant, for commands, jobs and the demonstration alike.

Not here: reading and checking a delivery (`cohortium_platform.ingest`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

from sqlmodel import Session

from cohortium_platform.database import Database
from cohortium_platform.engine.tasks import ask_to_keep
from cohortium_platform.ingest.service import LoadOptions, load
from cohortium_platform.ingest.target import LoadResult, LoadTarget
from cohortium_platform.keys import KeyEncryption
from cohortium_platform.records import RecordStore
from cohortium_platform.records.tasks import ask_to_publish
from cohortium_platform.settings import Settings
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.keys import open_keys
from cohortium_tenants.organisations import load_graph
from cohortium_tenants.packs import ask_to_refresh

__all__ = ["LoadOptions", "load_delivery"]


def load_delivery(  # noqa: PLR0913, PLR0917 - a load names all that it stands on
    database: Database,
    settings: Settings,
    key_encryption: KeyEncryption,
    tenant_id: UUID,
    delivery: Path,
    options: ImportOptions,
    how: LoadOptions,
) -> LoadResult:
    """Load a delivery whole or not at all; with a new snapshot come the jobs that bring the tenant's published tables,
    the results of its registries, and the records kept for patients' pages up to it.

    Raises what `ingest.service.load` raises.
    """
    with database.tenant(tenant_id) as session:
        keys = open_keys(session, key_encryption)
        directory = load_graph(session)
    store = RecordStore(settings.store_root, tenant_id)

    def on_commit(session: Session, result: LoadResult) -> None:
        if result.snapshot is not None:
            ask_to_publish(session, how.requester.actor)
            ask_to_refresh(session, how.requester.actor)
            ask_to_keep(session, how.requester.actor)
        if how.on_commit is not None:
            how.on_commit(session, result)

    target = LoadTarget(database, tenant_id, store, keys, directory)
    return load(target, delivery, options, replace(how, on_commit=on_commit))
