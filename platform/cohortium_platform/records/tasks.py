"""Bringing a tenant's published tables up to its newest snapshot, as a job, in a process of its own.

Not here: the tables (`published`).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlmodel import Session

from cohortium_platform.database import Database
from cohortium_platform.errors import Unavailable
from cohortium_platform.jobs import JobContext, JobKind, JobState, enqueue, find_job, run_job
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.records.catalogue import RecordFile, files, lock, snapshot_current
from cohortium_platform.records.published import PublishedSnapshot, bring_up, published_snapshot
from cohortium_platform.settings import load_settings

__all__ = ["KINDS", "PUBLISH", "PublishRecords", "ask_to_publish", "publish_now"]

_LONGEST_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class PublishRecords:
    """Nothing to say: the newest snapshot at the time the job runs."""


def _publish(context: JobContext, _: PublishRecords) -> JobResult | None:
    """Publish until nothing newer is there: a load that commits meanwhile adds no job beside this one."""
    while True:
        context.progress(0.0, "Publishing tables")
        done = _publish_newest(context)
        with context.transaction() as session:
            lock(session)
            if snapshot_current(session) <= done.snapshot:
                result = {"snapshot": done.snapshot, "tables": dict(done.tables)}
                context.succeed(session, result)
                return result


def _publish_newest(context: JobContext) -> PublishedSnapshot:
    """Publish the newest snapshot. What came of it is read from the tables, never from how the process ended."""
    with context.database.tenant(context.tenant_id) as session:
        snapshot = snapshot_current(session)
        wanted = files(session, snapshot)
    folder = load_settings().store_root / str(context.tenant_id)
    _apart(folder, snapshot, wanted)
    done = published_snapshot(folder)
    if done is None or done.snapshot < snapshot:
        raise Unavailable("The published tables could not be brought up to date.", "They stand at their last snapshot.")
    return done


def _apart(folder: Path, snapshot: int, wanted: Sequence[RecordFile]) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=bring_up, args=(folder, snapshot, wanted), name="publish-records", daemon=True
    )
    process.start()
    process.join(_LONGEST_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


PUBLISH = JobKind("publish-records", PublishRecords, _publish, unique=lambda _: "newest")
KINDS = [PUBLISH]


def ask_to_publish(session: Session, actor: str) -> UUID:
    """Have a worker publish the newest snapshot once the caller's transaction has committed; gives the job's id."""
    return enqueue(session, None, PUBLISH, PublishRecords(), requested_by=actor)


def publish_now(database: Database, tenant_id: UUID, actor: str) -> JobState:
    """Publish without waiting for a worker, unless one has begun to; gives how the job stands afterwards."""
    with database.tenant(tenant_id) as session:
        job_id = ask_to_publish(session, actor)
    run_job(database, {PUBLISH.name: PUBLISH}, tenant_id, job_id)
    with database.tenant(tenant_id) as session:
        return JobState(find_job(session, job_id).state)
