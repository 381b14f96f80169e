"""Keeping practices' records in patient order, as a job after each load, so that a patient's page opens at once.

Until it has run, and where no worker runs, records are read from the files themselves. Not here: what is kept
(`duckdb_kept_records`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session

from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.control import Cancellation, EngineSettings
from cohortium_platform.engine.duckdb_kept_records import KeptRecords
from cohortium_platform.engine.duckdb_running import Running, lend
from cohortium_platform.errors import Unavailable
from cohortium_platform.jobs import JobContext, JobKind, enqueue
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.records import RecordStore, snapshot_current
from cohortium_platform.settings import load_settings

__all__ = ["KEEP", "KINDS", "KeepRecords", "ask_to_keep", "keep_records"]


@dataclass(frozen=True, slots=True)
class KeepRecords:
    """Nothing to say: the newest snapshot at the time the job runs."""


def keep_records(
    source: CatalogueSource, store: RecordStore, settings: EngineSettings, progress: Callable[[float, str], None]
) -> tuple[int, Sequence[str]]:
    """Keep the records of every practice of a snapshot that are not kept yet; gives how many were, and the practices
    that cannot be read.
    """
    wanted = [(name, KeptRecords(store.extracts, source, name)) for name in source.practices]
    wanted = [(name, kept) for name, kept in wanted if not kept.is_made]
    damaged: list[str] = []
    lent = lend(settings)
    try:
        running = Running(lent.connection, Cancellation())
        for done, (practice, kept) in enumerate(wanted):
            progress(done / len(wanted), f"Putting records in patient order: practice {done + 1} of {len(wanted)}")
            try:
                kept.make(running)
            except Unavailable:
                damaged.append(practice)
    finally:
        lent.close()
    return len(wanted) - len(damaged), damaged


def _keep(context: JobContext, _: KeepRecords) -> JobResult | None:
    """Keep until nothing newer is there: a load that commits meanwhile adds no job beside this one."""
    settings, made = load_settings(), 0
    damaged: Sequence[str] = ()
    store = RecordStore(settings.store_root, context.tenant_id)
    snapshot = -1
    while True:
        with context.database.tenant(context.tenant_id) as session:
            newest = snapshot_current(session)
            if newest == snapshot:
                break
            source, snapshot = CatalogueSource(session, store, newest), newest
        how = EngineSettings(1, settings.memory_limit)
        more, damaged = keep_records(source, store, how, context.progress)
        made += more
    outcome: JobResult = {"practices": made, "snapshot": snapshot}
    return {**outcome, "damaged": list(damaged)} if damaged else outcome


KEEP = JobKind("keep-records", KeepRecords, _keep, unique=lambda _: "newest")
KINDS = [KEEP]


def ask_to_keep(session: Session, actor: str) -> UUID:
    """Have a worker keep the newest snapshot's records once the caller's transaction has committed; gives its id."""
    return enqueue(session, None, KEEP, KeepRecords(), requested_by=actor)
