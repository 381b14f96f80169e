"""What a job's handler may use, and the lease that keeps its job its own.

Here: `JobContext`. Not here: taking a job and writing down how it ended (`running`).

A worker holds a job by its own id and a lease in the row. A thread renews the lease; when the process dies the lease
runs out and another worker takes the job up. Every transaction of the handler ends by locking the row and seeing that
the job is still this worker's, so a worker that slept through its lease can change nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from cohortium_platform.audit import Entry, Outcome, record
from cohortium_platform.database import Database
from cohortium_platform.errors import Cancelled, Conflict, Unavailable
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.jobs.models import Job, JobState

__all__ = ["Interrupted", "JobContext", "LeaseLost", "end", "now_of"]

_PROGRESS_SECONDS = 0.5
_ENDED = "the job ends in this session"

_log = logging.getLogger(__name__)


class LeaseLost(Conflict):
    """This worker holds the job no longer: another has it, or it has ended."""


class Interrupted(Exception):  # noqa: N818 - the worker was told to stop, which is no error
    """The worker is stopping: the job goes back to the queue, and the attempt does not count."""


class JobContext:
    """What a handler may use. One belongs to one attempt at one job."""

    def __init__(
        self, database: Database, tenant_id: UUID, job_id: UUID, *, lease_seconds: float, stopping: threading.Event
    ) -> None:
        self.database, self.tenant_id, self.job_id = database, tenant_id, job_id
        self.worker = uuid4()
        self.succeeded = False
        self._lease_seconds, self._stopping = lease_seconds, stopping
        self._lost, self._cancelled = threading.Event(), threading.Event()
        self._told = 0.0

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction of the tenant that commits only while this worker holds the job. Raises `LeaseLost`."""
        with self.database.tenant(self.tenant_id) as session:
            yield session
            session.flush()
            if not session.info.get(_ENDED):
                self.held(session)

    def succeed(self, session: Session, result: JobResult | None = None) -> None:
        """Write the job's success into a transaction of `transaction()`, so that work and success are one commit. Do it
        last: the row stays locked until then. Raises `LeaseLost`.
        """
        end(session, self.held(session), JobState.SUCCEEDED, result=result)
        session.info[_ENDED] = self.succeeded = True

    def progress(self, fraction: float, step: str = "") -> None:
        """Say how far it has come (0 to 1) and what is being done. Call it often, and at safe places only: it is here
        that a cancelled job stops. Raises `Cancelled` and `LeaseLost`.
        """
        self._check()
        now = time.monotonic()
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            self._renew(progress=min(max(fraction, 0.0), 1.0), step=step)
            self._check()

    def _check(self) -> None:
        if self._lost.is_set():
            raise LeaseLost("This worker fell silent for too long.", "Another takes the job up.")
        if self._cancelled.is_set():
            raise Cancelled("The job was cancelled.")
        if self._stopping.is_set():
            raise Interrupted

    @contextmanager
    def keeping_lease(self) -> Iterator[None]:
        """Renew the lease from a thread while the block runs."""
        done = threading.Event()
        thread = threading.Thread(target=self._keep_renewing, args=(done,), name="job-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _keep_renewing(self, done: threading.Event) -> None:
        while not done.wait(self._lease_seconds / 3):
            try:
                self._renew()
            except LeaseLost:
                if not done.is_set():
                    self._lost.set()
                return
            except (Unavailable, OperationalError):
                _log.warning("job %s: PostgreSQL does not answer, so its lease was not renewed", self.job_id)

    def take(self, session: Session, job: Job) -> None:
        """Begin this attempt, in a row that the caller has locked."""
        now = now_of(session)
        job.state, job.worker, job.attempts = JobState.RUNNING, self.worker, job.attempts + 1
        job.lease_until, job.progress, job.step = now + timedelta(seconds=self._lease_seconds), 0.0, ""
        job.started = job.started or now
        session.add(job)

    def _renew(self, *, progress: float | None = None, step: str = "") -> None:
        with self.database.tenant(self.tenant_id) as session:
            job = self.held(session)
            job.lease_until = now_of(session) + timedelta(seconds=self._lease_seconds)
            if progress is not None:
                job.progress, job.step = progress, step
            session.add(job)
            if job.cancel_requested:
                self._cancelled.set()

    def held(self, session: Session) -> Job:
        """The row, locked, as long as it is this worker's. Raises `LeaseLost`."""
        statement = select(Job).where(Job.id == self.job_id).with_for_update()
        job = session.exec(statement.execution_options(populate_existing=True)).one_or_none()
        if job is None or job.state != JobState.RUNNING or job.worker != self.worker:
            raise LeaseLost("This worker no longer holds the job.", "Another takes it up, or it has ended.")
        return job


def end(
    session: Session, job: Job, state: JobState, *, result: JobResult | None = None, error: str | None = None
) -> None:
    """Write how a job ended into its row, which the caller has locked, and into the audit log."""
    job.state, job.worker, job.lease_until = state, None, None
    job.finished, job.error = now_of(session), error
    job.result = None if result is None else dict(result)
    job.progress = 1.0 if state == JobState.SUCCEEDED else job.progress
    session.add(job)
    outcome = Outcome.FAILED if state == JobState.FAILED else Outcome.DONE
    record(
        session,
        Entry(
            action=f"job.{job.kind}.{state}",
            resource=f"job/{job.id}",
            actor=job.requested_by,
            outcome=outcome,
            detail={"parameters": job.parameters, "attempts": job.attempts},
        ),
    )


def now_of(session: Session) -> datetime:
    """The time by PostgreSQL's clock, the one clock that all workers share."""
    now: datetime = session.exec(select(func.clock_timestamp())).one()
    return now
