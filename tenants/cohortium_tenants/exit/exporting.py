"""Exporting a tenant's bundle: planned in one frozen transaction, then copied, then signed.

Whatever stands in PostgreSQL is written in that transaction, with the list of files that are to be copied; files of
records and results never change, so that copying them later gives the same. A run that ends early is taken up where it
stopped. Not here: the bundle's format (cohortium_platform.portability) and its words (`describing`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import duckdb

from cohortium_platform.audit import Entry
from cohortium_platform.audit.exporting import ExportRequest, export_log
from cohortium_platform.audit.notes import LogSigner
from cohortium_platform.database import Database
from cohortium_platform.errors import Unavailable
from cohortium_platform.portability.manifest import Manifest, PackInBundle
from cohortium_platform.portability.tables import left_behind
from cohortium_platform.portability.writing import BundleFolder
from cohortium_platform.records import RecordStore
from cohortium_platform.results import ResultStore
from cohortium_platform.settings import Settings
from cohortium_tenants.exit.planning import Copied, write_tables
from cohortium_tenants.tenants import Tenant

__all__ = ["ExportedBundle", "export_bundle"]

Progress = Callable[[float, str], None]
"""Told how far it has come; may raise to stop, and the next run goes on from there."""

_LOG = "audit"


@dataclass(frozen=True, slots=True)
class ExportedBundle:
    """What was written."""

    folder: Path
    snapshot: int
    files: int
    bytes: int
    taken_up: int
    """Files that an earlier run had finished."""


def export_bundle(  # noqa: PLR0913 - of whom, from where to where, signed by whom
    database: Database,
    settings: Settings,
    tenant: Tenant,
    signer: LogSigner,
    folder: Path,
    *,
    asked: Entry,
    progress: Progress | None = None,
) -> ExportedBundle:
    """Write the bundle to a folder that is not there yet; `asked` records the export, and is in the bundle's log.

    Raises `Conflict` when results of a registry do not stand on the newest records, or the bundle is being written, and
    `Unavailable` when a file is not what was written.
    """
    tell = progress or (lambda _fraction, _step: None)
    bundle, store = BundleFolder(folder), RecordStore(settings.store_root, tenant.id)
    results = ResultStore(settings.store_root, tenant.id)
    with bundle.begun():
        plan = bundle.plan
        if plan is not None and (plan["tenant"] != str(tenant.id) or not bundle.done.keys() >= set(_listed(plan))):
            bundle.start_anew()
            plan = None
        taken_up = len(bundle.done)
        if plan is None:
            tell(0.0, "tables")
            with database.tenant(tenant.id, frozen=True) as session:
                plan = write_tables(session, store, results, bundle, tenant.id)
            bundle.keep_plan(plan)
        _add_log(database, tenant, signer, bundle, asked)
        copies = [Copied(**copy) for copy in cast("list[dict[str, Any]]", plan["copies"])]
        whole, done = sum(copy.bytes for copy in copies) or 1, 0
        for copy in copies:
            tell(done / whole, copy.path)
            if copy.path not in bundle.done:
                _copy(bundle, store, results, copy)
            done += copy.bytes
        listed = sorted(bundle.done.values(), key=lambda file: file.path)
        packs = [PackInBundle(**pack) for pack in cast("list[dict[str, Any]]", plan["packs"])]
        manifest = Manifest(
            tenant={"id": str(tenant.id), "slug": tenant.slug, "name": tenant.name, "ods_code": tenant.ods_code},
            snapshot=cast("int", plan["snapshot"]),
            written=datetime.now(UTC).isoformat(timespec="seconds"),
            log=signer.origin,
            duckdb=duckdb.__version__,
            identities=False,
            packs=packs,
            left_behind=left_behind(),
            files=listed,
        )
        bundle.close(manifest, signer)
    return ExportedBundle(bundle.place, manifest.snapshot, len(listed), sum(file.bytes for file in listed), taken_up)


def _listed(plan: Mapping[str, object]) -> list[str]:
    return cast("list[str]", plan["written"])


def _add_log(database: Database, tenant: Tenant, signer: LogSigner, bundle: BundleFolder, asked: Entry) -> None:
    """Add the log as it is exported by itself; one that an earlier run did not finish is written anew."""
    if f"{_LOG}/manifest.json" in bundle.done:
        return
    shutil.rmtree(bundle.files / _LOG, ignore_errors=True)
    export_log(database, tenant.id, signer, ExportRequest(bundle.files / _LOG, asked))
    names = sorted(path.name for path in (bundle.files / _LOG).iterdir())
    for name in [*(name for name in names if name != "manifest.json"), "manifest.json"]:
        bundle.finish(f"{_LOG}/{name}")


def _copy(bundle: BundleFolder, store: RecordStore, results: ResultStore, copied: Copied) -> None:
    """Copy a file whole; of a file of results that holds rows which no longer count, only those that do."""
    if copied.path.startswith("records/"):
        bundle.copy(copied.path, store.path(copied.path), copied.sha256, copied.rows)
    elif not copied.of:
        bundle.copy(copied.path, results.path(copied.path), copied.sha256, copied.rows)
    else:
        bundle.make(copied.path, lambda place: _filtered(results.path(copied.path), place, copied))


_FILTER = """
    COPY (FROM read_parquet($source, hive_partitioning = false) WHERE list_contains($practices, practice))
    TO '{place}' (FORMAT parquet, COMPRESSION zstd)
"""


def _filtered(source: Path, place: Path, copied: Copied) -> int:
    """Write the rows of some practices, in their order. Raises `Unavailable` when there are not as many as said."""
    asked = {"source": str(source), "practices": list(copied.of)}
    with duckdb.connect() as connection:
        found = connection.execute(_FILTER.format(place=str(place).replace("'", "''")), asked).fetchall()
    if found != [(copied.rows,)]:
        raise Unavailable(f"{copied.path} does not hold what was written.", "Restore it from a backup.")
    return copied.rows
