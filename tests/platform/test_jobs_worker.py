"""The worker process itself, with a real Redis, and what happens when either is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import text

from cohortium_platform.database import Database
from cohortium_platform.jobs import JobKind, JobQueue, JobState, enqueue, find_job
from cohortium_platform.services import Services
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import Tenant

pytestmark = pytest.mark.xdist_group("jobs-worker")

WORKER = """
import os, sys, time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID
from cohortium_platform.jobs import JobKind, run_worker
from cohortium_platform.settings import load_settings

@dataclass(frozen=True)
class Sleeping:
    seconds: float
    log: str

def sleep(context, parameters):
    with open(parameters.log, "a") as log:
        log.write(f"begun {os.getpid()}\\n")
    end = time.monotonic() + parameters.seconds
    while time.monotonic() < end:
        time.sleep(0.05)
        context.progress(0.5, "asleep")
    with context.transaction() as session:
        context.succeed(session, {"pid": os.getpid()})
    with open(parameters.log, "a") as log:
        log.write("done\\n")

KIND = JobKind("test-sleeping", Sleeping, sleep, lease_seconds=1.0)

if __name__ == "__main__":
    tenant = UUID(sys.argv[1])
    Path(sys.argv[2]).touch()
    run_worker(load_settings(), {KIND.name: KIND}, lambda database: [tenant], sweep_seconds=0.3)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "sleeping_worker.py"
    path.write_text(WORKER)
    return path


@pytest.fixture
def start_worker(
    settings: Settings, services: Services, tenant: Tenant, program: Path, tmp_path: Path
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COHORTIUM_")},
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        ready = tmp_path / f"ready-{len(started)}"
        process = subprocess.Popen([sys.executable, str(program), str(tenant.id), str(ready)], env=environment)
        started.append(process)
        wait_until(ready.exists)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def ask(database: Database, tenant: Tenant, queue: JobQueue | None, log: Path, seconds: float) -> UUID:
    from dataclasses import make_dataclass  # noqa: PLC0415 - the worker's own class lives in its process

    sleeping = make_dataclass("Sleeping", [("seconds", float), ("log", str)], frozen=True)
    kind = JobKind("test-sleeping", sleeping, lambda _context, _parameters: None)
    with database.tenant(tenant.id) as session:
        return enqueue(session, queue, kind, sleeping(seconds, str(log)), requested_by="person-1")


def state(database: Database, tenant: Tenant, job_id: UUID) -> str:
    with database.tenant(tenant.id) as session:
        return find_job(session, job_id).state


def test_a_job_asked_for_is_carried_and_done(
    database: Database,
    settings: Settings,
    tenant: Tenant,
    start_worker: Callable[[], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    start_worker()
    job_id = ask(database, tenant, JobQueue(settings.redis_url), tmp_path / "log", 0.1)
    wait_until(lambda: state(database, tenant, job_id) == JobState.SUCCEEDED)
    assert (tmp_path / "log").read_text().splitlines()[1:] == ["done"]


def test_a_killed_workers_job_is_taken_up_by_another_and_done_once(
    database: Database,
    settings: Settings,
    tenant: Tenant,
    start_worker: Callable[[], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    first = start_worker()
    job_id = ask(database, tenant, JobQueue(settings.redis_url), log, 1.5)
    wait_until(log.exists)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert state(database, tenant, job_id) == JobState.RUNNING
    second = start_worker()
    wait_until(lambda: state(database, tenant, job_id) == JobState.SUCCEEDED)
    wait_until(lambda: "done" in log.read_text())
    assert log.read_text().splitlines() == [f"begun {first.pid}", f"begun {second.pid}", "done"]


def test_a_worker_told_to_stop_gives_its_job_back_and_ends(
    database: Database,
    settings: Settings,
    tenant: Tenant,
    start_worker: Callable[[], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    worker = start_worker()
    job_id = ask(database, tenant, JobQueue(settings.redis_url), log, 60)
    wait_until(log.exists)
    worker.terminate()
    assert worker.wait(timeout=20) == 0
    assert state(database, tenant, job_id) == JobState.QUEUED


def test_ids_that_redis_lost_are_found_by_the_sweep(
    database: Database,
    settings: Settings,
    tenant: Tenant,
    start_worker: Callable[[], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    job_id = ask(database, tenant, JobQueue(settings.redis_url), tmp_path / "log", 0.0)
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushall()
    start_worker()
    wait_until(lambda: state(database, tenant, job_id) == JobState.SUCCEEDED)


def test_a_redis_that_is_gone_fails_no_request(database: Database, tenant: Tenant, tmp_path: Path) -> None:
    queue = JobQueue(SecretStr(f"unix://{tmp_path}/nothing.sock"))
    job_id = ask(database, tenant, queue, tmp_path / "log", 0.0)
    assert state(database, tenant, job_id) == JobState.QUEUED
    assert not queue.deliver(tenant.id, job_id)


def test_nothing_is_carried_for_a_transaction_that_rolled_back(
    database: Database, settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushall()

        def roll_back() -> None:
            with database.tenant(tenant.id) as session:
                kind = JobKind("test-rolled-back", Path, lambda _context, _parameters: None)
                enqueue(session, JobQueue(settings.redis_url), kind, tmp_path, requested_by="person-1")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            roll_back()
        assert client.keys() == []
    with database.tenant(tenant.id) as session:
        assert session.connection().execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0
