"""Loading as a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cohortium_platform.ingest.limits import LoadLimits
from cohortium_platform.ingest.target import Requester
from cohortium_platform.jobs import JobContext, JobKind
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.keys import load_key_encryption
from cohortium_platform.settings import load_settings
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.loading.service import LoadOptions, load_delivery

__all__ = ["IMPORT", "KINDS", "ImportDelivery"]


@dataclass(frozen=True, slots=True)
class ImportDelivery:
    """What to load: a file or folder that the worker can read, and what is said of it."""

    delivery: Path
    source: str = "gp"
    practice: str | None = None
    records_to: date | None = None
    importer: str | None = None
    actor: str = "service"


def _import(context: JobContext, asked: ImportDelivery) -> JobResult | None:
    """Load; the job's success is written in the load's own transaction."""
    settings = load_settings()
    result = load_delivery(
        context.database,
        settings,
        load_key_encryption(settings),
        context.tenant_id,
        asked.delivery,
        ImportOptions(source=asked.source, practice=asked.practice, records_to=asked.records_to),
        LoadOptions(
            importer=asked.importer,
            limits=LoadLimits.of(settings),
            requester=Requester(actor=asked.actor),
            progress=context.progress,
            transaction=context.transaction,
        ),
    )
    return {"load": str(result.load_id), "snapshot": result.snapshot, "practices": len(result.practices)}


IMPORT = JobKind("import", ImportDelivery, _import, unique=lambda asked: f"{asked.delivery}")
KINDS = [IMPORT]
