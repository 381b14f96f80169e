"""Asking for a job, looking at jobs, cancelling one. Not here: running (`running`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID, uuid4

from sqlalchemy import and_, event, func, or_
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import NotFound
from cohortium_platform.jobs.kinds import JobKind
from cohortium_platform.jobs.models import Job, JobState
from cohortium_platform.jobs.queue import JobQueue

__all__ = ["cancel", "deliverable", "enqueue", "find_job", "list_jobs"]

P = TypeVar("P")
_ACTIVE = (JobState.QUEUED, JobState.RUNNING)


def enqueue(
    session: Session,
    queue: JobQueue | None,
    kind: JobKind[P],
    parameters: P,
    *,
    requested_by: str,
) -> UUID:
    """Ask for a job in the caller's transaction; it is carried to a worker once that has committed.

    `requested_by` is the actor that audit entries name. While a job of the same unique key waits or runs, that job's id
    is returned and none is added. Without a queue the sweep finds it, or the caller runs it with `run_job`.
    """
    tenant = tenant_of(session)
    unique_key = f"{kind.name}:{kind.unique(parameters)}" if kind.unique else None
    now = session.exec(select(func.now())).one()
    job = Job(
        tenant_id=tenant,
        id=uuid4(),
        kind=kind.name,
        parameters=kind.as_json(parameters),
        requested_by=requested_by,
        unique_key=unique_key,
        created=now,
        not_before=now,
    )
    try:
        with session.begin_nested():
            session.add(job)
    except IntegrityError:  # the unique index of active jobs, also against one asked for at this moment
        return session.exec(select(Job.id).where(Job.unique_key == unique_key, col(Job.state).in_(_ACTIVE))).one()
    job_id = job.id
    if queue is not None:
        event.listen(session, "after_commit", lambda ended: _deliver(ended, queue, tenant, job_id))
    return job_id


def _deliver(session: Session, queue: JobQueue, tenant: UUID, job_id: UUID) -> None:
    if not session.in_nested_transaction():  # the end of a savepoint makes nothing visible
        queue.deliver(tenant, job_id)


def find_job(session: Session, job_id: UUID) -> Job:
    """One job. Raises `NotFound`."""
    job = session.get(Job, (tenant_of(session), job_id))
    if job is None:
        raise NotFound("There is no such job.", "It may belong to another tenant.")
    return job


def list_jobs(session: Session, *, limit: int = 50) -> Sequence[Job]:
    """The latest jobs, newest first."""
    return session.exec(select(Job).order_by(col(Job.created).desc(), col(Job.id)).limit(limit)).all()


def cancel(session: Session, job_id: UUID) -> JobState:
    """Cancel a job that waits, or ask one that runs to stop at its next safe place. Returns where it stands now."""
    job = session.exec(select(Job).where(Job.id == job_id).with_for_update()).one_or_none()
    if job is None:
        raise NotFound("There is no such job.", "It may belong to another tenant.")
    if job.state == JobState.QUEUED:
        job.state = JobState.CANCELLED
        job.finished = session.exec(select(func.now())).one()
    elif job.state == JobState.RUNNING:
        job.cancel_requested = True
    session.add(job)
    return JobState(job.state)


def deliverable(session: Session) -> Sequence[tuple[UUID, int]]:
    """Ids and attempts of a tenant's jobs that a worker should take up: those that wait, and those whose worker fell
    silent. What the sweep carries to Redis again.
    """
    waits = and_(col(Job.state) == JobState.QUEUED, col(Job.not_before) <= func.now())
    silent = and_(col(Job.state) == JobState.RUNNING, col(Job.lease_until) <= func.now())
    return session.exec(select(Job.id, Job.attempts).where(or_(waits, silent)).order_by(col(Job.created))).all()
