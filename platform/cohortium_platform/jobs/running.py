"""Running one job: taking its row, doing its work, writing down how it ended.

Here: `run_job`. Not here: how a job's id gets here (`queue`, `worker`), and what its handler may use (`context`).
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from cohortium_platform.database import Database
from cohortium_platform.errors import Cancelled, CohortiumError, Unavailable
from cohortium_platform.jobs.context import Interrupted, JobContext, LeaseLost, end, now_of
from cohortium_platform.jobs.kinds import RunnableKind
from cohortium_platform.jobs.models import Job, JobState

__all__ = ["run_job"]

_RETRY_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt at a job, as it was taken."""

    context: JobContext
    kind: RunnableKind
    parameters: Mapping[str, object]


def run_job(
    database: Database,
    kinds: Mapping[str, RunnableKind],
    tenant_id: UUID,
    job_id: UUID,
    *,
    stopping: threading.Event | None = None,
) -> JobState | None:
    """Take a job and do it. Returns how it stands afterwards, or `None` when there was nothing to do: it has ended,
    another worker has it, its time has not come, or it is not this tenant's. What the work raises ends up in the row.
    """
    with database.tenant(tenant_id) as session:
        job = session.exec(select(Job).where(Job.id == job_id).with_for_update(skip_locked=True)).one_or_none()
        if job is None or not _may_be_taken(session, job):
            return None
        kind = kinds.get(job.kind)
        if kind is None or _is_over(job, kind):
            return _give_up(session, job, kind)
        context = JobContext(
            database, tenant_id, job_id, lease_seconds=kind.lease_seconds, stopping=stopping or threading.Event()
        )
        context.take(session, job)
        attempt = _Attempt(context, kind, dict(job.parameters))
    return _do(attempt)


def _may_be_taken(session: Session, job: Job) -> bool:
    """Tell whether a job waits and its time has come, or its worker fell silent."""
    now = now_of(session)
    if job.state == JobState.QUEUED:
        return job.not_before <= now
    return job.state == JobState.RUNNING and (job.lease_until is None or job.lease_until <= now)


def _is_over(job: Job, kind: RunnableKind) -> bool:
    """Tell whether a job whose worker fell silent is not to be begun again."""
    return job.state == JobState.RUNNING and (job.cancel_requested or job.attempts >= kind.attempts)


def _give_up(session: Session, job: Job, kind: RunnableKind | None) -> JobState:
    """End a job that cannot be begun (again)."""
    if kind is None:
        state, error = JobState.FAILED, f"This build knows no job of the kind {job.kind}."
    elif job.cancel_requested:
        state, error = JobState.CANCELLED, None
    else:
        state, error = JobState.FAILED, f"Its worker stopped without a word {job.attempts} times. Was memory short?"
    end(session, job, state, error=error)
    return state


def _do(attempt: _Attempt) -> JobState | None:
    context = attempt.context
    try:
        with context.keeping_lease():
            result = attempt.kind.run(context, attempt.parameters)
        if not context.succeeded:
            with context.transaction() as session:
                context.succeed(session, result)
    except LeaseLost:
        _log.warning("job %s is no longer this worker's", context.job_id)
        return None
    except Exception as failure:  # noqa: BLE001 - whatever a handler raises is how its job ended
        return _after(attempt, failure)
    return JobState.SUCCEEDED


def _after(attempt: _Attempt, failure: Exception) -> JobState | None:
    """Write down how an attempt failed. When even that fails the lease runs out, and the job is begun again."""
    context = attempt.context
    context.succeeded = False
    _log.warning("job %s: %s", context.job_id, _place(failure))
    try:
        with context.database.tenant(context.tenant_id) as session:
            return _settle(session, context.held(session), attempt.kind, failure)
    except LeaseLost:
        return None
    except (Unavailable, OperationalError):
        _log.warning("job %s: PostgreSQL does not answer; it is begun again when its lease runs out", context.job_id)
        return None


def _settle(session: Session, job: Job, kind: RunnableKind, failure: Exception) -> JobState:
    """Decide what becomes of a job after a failed attempt: it ends, or waits for another."""
    if isinstance(failure, Cancelled):
        end(session, job, JobState.CANCELLED)
    elif isinstance(failure, Interrupted):
        _requeue(session, job, seconds=0)
        job.attempts -= 1
    elif isinstance(failure, (Unavailable, OperationalError, ConnectionError)) and job.attempts < kind.attempts:
        _requeue(session, job, seconds=_RETRY_SECONDS * job.attempts)
    else:
        told = str(failure) if isinstance(failure, CohortiumError) else f"An unexpected error: {_place(failure)}."
        end(session, job, JobState.FAILED, error=told)
    return JobState(job.state)


def _requeue(session: Session, job: Job, *, seconds: float) -> None:
    job.state, job.worker, job.lease_until = JobState.QUEUED, None, None
    job.not_before = now_of(session) + timedelta(seconds=seconds)
    session.add(job)


def _place(failure: Exception) -> str:
    """Which error and where, without its message, which might quote a record."""
    frames = traceback.extract_tb(failure.__traceback__)
    where = f" at {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(failure).__name__}{where}"
