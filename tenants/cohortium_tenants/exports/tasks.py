"""Asking for an export, and making its file as a job: the exporter runs in a process of the job's own."""

from __future__ import annotations

import array
from collections.abc import Mapping, Sequence
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from sqlmodel import Session

from cohortium_platform.audit import Entry, record
from cohortium_platform.errors import BadInput
from cohortium_platform.exporting import EXPORTING, write_apart
from cohortium_platform.jobs import JobContext, JobKind, JobQueue, LeaseLost, enqueue
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.keys import load_key_encryption
from cohortium_platform.records import RecordStore
from cohortium_platform.settings import load_settings
from cohortium_plugins.exporting import Export, ExportLevel
from cohortium_plugins.installed import installed_exporters
from cohortium_tenants.exports.files import ExportFiles, Part
from cohortium_tenants.exports.service import KIND, ExportRegistry
from cohortium_tenants.keys import open_keys

__all__ = ["EXPORT", "KINDS", "ask_for_export"]


def ask_for_export(  # noqa: PLR0913 - what, of whom, where it is kept
    session: Session,
    queue: JobQueue | None,
    files: ExportFiles,
    wanted: ExportRegistry,
    *,
    rows: Mapping[str, Sequence[str]],
    patients: Sequence[int],
) -> UUID:
    """Keep the rows for the exporter and ask for the job. What a transaction that fails leaves is removed in a day."""
    files.sweep()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: pa.array(cells, pa.string()) for name, cells in rows.items()}), sink)
    files.keep(wanted.export, Part.ROWS, sink.getvalue().to_pybytes())
    files.keep(wanted.export, Part.PATIENTS, array.array("q", patients).tobytes())
    return enqueue(session, queue, EXPORT, wanted, requested_by=wanted.actor)


def _export(context: JobContext, asked: ExportRegistry) -> JobResult | None:
    """Make the file, keep it sealed, and say so with the audit entry in one transaction. Without it nothing is kept."""
    settings = load_settings()
    with context.database.tenant(context.tenant_id) as session:
        files = ExportFiles(settings.store_root, open_keys(session, load_key_encryption(settings)))
    try:
        made = _made(context, RecordStore(settings.store_root, context.tenant_id), files, asked)
        files.keep(asked.export, Part.MADE, made)
        outcome: JobResult = {"bytes": len(made)}
        with context.transaction() as session:
            record(
                session,
                Entry(
                    action="make-export",
                    resource=f"registry/{asked.registry}/export/{asked.export}",
                    actor=asked.actor,
                    practices=sorted(asked.practices),
                    detail={"exporter": asked.exporter, "level": asked.level, "approval": str(asked.approval)},
                ),
            )
            context.succeed(session, outcome)
    except LeaseLost:  # another worker makes it: what lies there is theirs
        raise
    except BaseException:
        files.discard(asked.export, Part.MADE)
        raise
    files.discard(asked.export, Part.ROWS)
    return outcome


def _made(context: JobContext, store: RecordStore, files: ExportFiles, asked: ExportRegistry) -> bytes:
    exporter = installed_exporters().get(asked.exporter)
    if exporter is None:
        raise BadInput(f"There is no exporter {asked.exporter} any more.", "Choose one from the page.")
    with store.working() as folder:
        rows, file = folder / "rows.parquet", folder / f"made{exporter.suffix}"
        rows.write_bytes(files.open(asked.export, Part.ROWS))
        export = Export(
            registry=asked.registry,
            title=asked.title,
            version=asked.version,
            definition_hash=asked.definition_hash,
            index_date=asked.index_date,
            level=ExportLevel(asked.level),
            rows=rows,
            columns=asked.columns,
            titles=asked.titles,
        )
        write_apart(exporter, export, file, EXPORTING, waiting=lambda: context.progress(0.5, "Making the file"))
        return file.read_bytes()


EXPORT = JobKind(KIND, ExportRegistry, _export)
KINDS = [EXPORT]
