"""The worker process: takes ids from Redis, sweeps for jobs whose id was lost, and keeps the audit logs.

Here: `run_worker`. Not here: what running a job means (`running`).

The sweep reads each tenant's jobs in a session of that tenant, one after the other: tenants are few, and so no role and
no function is needed that sees the jobs of all.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from arq.worker import Worker, func
from redis.exceptions import RedisError

from cohortium_platform.audit.keeping import LogKeeper
from cohortium_platform.audit.notes import LogSigner
from cohortium_platform.database import Database
from cohortium_platform.errors import Unavailable
from cohortium_platform.jobs.kinds import RunnableKind
from cohortium_platform.jobs.queue import QUEUE_NAME, TASK_NAME, JobQueue, decode, encode, redis_settings
from cohortium_platform.jobs.running import run_job
from cohortium_platform.jobs.service import deliverable
from cohortium_platform.settings import Settings

__all__ = ["run_worker"]

_DAY_SECONDS = 24 * 3600
_REDIS_AGAIN_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Work:
    """What one worker process holds."""

    database: Database
    queue: JobQueue
    kinds: Mapping[str, RunnableKind]
    tenants: Callable[[], Sequence[UUID]]
    threads: ThreadPoolExecutor
    sweep_seconds: float
    stopping: threading.Event = field(default_factory=threading.Event)

    async def run_one(self, _context: Mapping[str, object], tenant_id: str, job_id: str) -> None:
        """Run the job of an id that Redis carried, in a thread."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.threads, self._run_in_thread, UUID(tenant_id), UUID(job_id))

    def _run_in_thread(self, tenant_id: UUID, job_id: UUID) -> None:
        try:
            run_job(self.database, self.kinds, tenant_id, job_id, stopping=self.stopping)
        except Unavailable:
            _log.warning("job %s waits: PostgreSQL does not answer", job_id)

    async def sweep(self) -> None:
        """Carry again, now and every so often, what waits in PostgreSQL."""
        loop = asyncio.get_running_loop()
        while not self.stopping.is_set():
            try:
                for tenant_id, job_id, attempts in await loop.run_in_executor(None, self._waiting):
                    await self.queue.deliver_async(tenant_id, job_id, attempts)
            except Unavailable:
                _log.warning("the sweep waits: PostgreSQL does not answer")
            await asyncio.sleep(self.sweep_seconds)

    def _waiting(self) -> list[tuple[UUID, UUID, int]]:
        found = []
        for tenant_id in self.tenants():
            with self.database.tenant(tenant_id) as session:
                found += [(tenant_id, job_id, attempts) for job_id, attempts in deliverable(session)]
        return found


def run_worker(  # noqa: PLR0913 - what one process is made of
    settings: Settings,
    kinds: Mapping[str, RunnableKind],
    tenants: Callable[[Database], Sequence[UUID]],
    *,
    at_once: int = 1,
    sweep_seconds: float = 10.0,
    signers: Callable[[Database, UUID], LogSigner] | None = None,
) -> None:
    """Work until told to stop (SIGTERM, SIGINT); a job that runs then goes back to the queue at its next safe place.

    `tenants` lists those whose jobs are swept for; `at_once` is how many jobs run side by side. A Redis that goes away
    is waited for. Beside them the worker keeps the audit logs, and signs their checkpoints when it is given `signers`.
    """
    database = Database(settings.database_url)
    keeper = LogKeeper(database, lambda: tenants(database), signers)
    with _kept(keeper), ThreadPoolExecutor(at_once, thread_name_prefix="job") as threads:
        work = _Work(database, JobQueue(settings.redis_url), kinds, lambda: tenants(database), threads, sweep_seconds)
        while not work.stopping.is_set():
            try:
                _serve(settings, work, at_once)
            except (RedisError, OSError):
                _log.warning("Redis does not answer; trying again")
                time.sleep(_REDIS_AGAIN_SECONDS)
    database.close()


@contextmanager
def _kept(keeper: LogKeeper) -> Iterator[None]:
    """Keep the audit logs in a thread while the block runs."""
    done = threading.Event()
    thread = threading.Thread(target=keeper.run, args=(done,), name="audit-logs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _serve(settings: Settings, work: _Work, at_once: int) -> None:
    """Take ids from Redis until told to stop. Raises `RedisError` or `OSError` when Redis goes away."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        worker = Worker(
            functions=[func(work.run_one, name=TASK_NAME, timeout=_DAY_SECONDS, max_tries=1)],  # type: ignore[arg-type]
            redis_settings=redis_settings(settings.redis_url),
            queue_name=QUEUE_NAME,
            max_jobs=at_once,
            keep_result=0,
            job_serializer=encode,
            job_deserializer=decode,
            log_results=False,
        )

        def stop(_signal: signal.Signals) -> None:
            work.stopping.set()

        worker.on_stop = stop
        sweep = loop.create_task(work.sweep())
        try:
            worker.run()
        finally:
            sweep.cancel()
            loop.run_until_complete(asyncio.gather(sweep, return_exceptions=True))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
