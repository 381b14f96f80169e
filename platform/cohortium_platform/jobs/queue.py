"""Carrying a job's id to a worker, by Redis and arq. Not here: the job, which is a row."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from uuid import UUID

from arq import create_pool
from arq.connections import RedisSettings
from pydantic import SecretStr
from redis.exceptions import RedisError

__all__ = ["QUEUE_NAME", "TASK_NAME", "JobQueue", "decode", "encode", "redis_settings"]

QUEUE_NAME = "cohortium:jobs"
TASK_NAME = "run_job"
_AGAIN_SECONDS = 300
"""A job that waits is carried again at most this often, in case the first delivery was lost."""

_log = logging.getLogger(__name__)


def encode(value: object) -> bytes:
    """What travels through Redis is JSON: arq's own choice, pickle, would let Redis run code in a worker."""
    return json.dumps(value, default=str).encode()


def decode(value: bytes) -> dict[str, object]:
    """Undo `encode`."""
    decoded: dict[str, object] = json.loads(value)
    return decoded


def redis_settings(url: SecretStr) -> RedisSettings:
    """Arq's form of a Redis address. It gives up soon, since rows are swept again anyway."""
    settings = RedisSettings.from_dsn(url.get_secret_value())
    settings.conn_retries = 1
    settings.conn_retry_delay = 0
    settings.conn_timeout = 2
    return settings


class JobQueue:
    """Carries ids to workers. Losing one, or all, is no loss: the sweep carries again what waits."""

    def __init__(self, redis_url: SecretStr) -> None:
        self._settings = redis_settings(redis_url)

    def deliver(self, tenant_id: UUID, job_id: UUID, attempts: int = 0) -> bool:
        """Carry one id; tell whether Redis took it. May be called from any thread, and never raises on a lost Redis."""
        taken: list[bool] = []

        def run() -> None:
            taken.append(asyncio.run(self.deliver_async(tenant_id, job_id, attempts)))

        # A thread of its own: whoever calls may be running an event loop.
        thread = threading.Thread(target=run, name="deliver-job")
        thread.start()
        thread.join()
        return taken == [True]

    async def deliver_async(self, tenant_id: UUID, job_id: UUID, attempts: int = 0) -> bool:
        """`deliver`, within an event loop."""
        once = f"{job_id}:{attempts}:{int(time.time() // _AGAIN_SECONDS)}"
        try:
            pool = await create_pool(
                self._settings, job_serializer=encode, job_deserializer=decode, default_queue_name=QUEUE_NAME
            )
            try:
                await pool.enqueue_job(TASK_NAME, str(tenant_id), str(job_id), _job_id=once)
            finally:
                await pool.aclose()
        except (RedisError, OSError):
            _log.warning("Redis does not answer; job %s waits for the sweep", job_id)
            return False
        return True
