"""The log as real processes keep it: workers that are killed, and a database server that crashes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from cohortium_platform.audit import Entry, record_alone, record_many
from cohortium_platform.audit.checking import check_log
from cohortium_platform.audit.sequencer import MISSING, sequence
from cohortium_platform.audit.state import log_state
from cohortium_platform.audit.tickets import tickets_drawn
from cohortium_platform.database import Database
from cohortium_platform.keys import FileKeyEncryption, KeyEncryption
from cohortium_platform.migrations import migrate
from cohortium_platform.services import Services, ensure_started, remove
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import Tenant, create_tenant
from cohortium_tenants.tenants.signing import log_signer

VIEWED = Entry(action="view", resource="patient")


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def test_two_workers_keep_the_log_and_one_is_enough(
    database: Database, settings: Settings, services: Services, tenant: Tenant, key_encryption: KeyEncryption
) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COHORTIUM_")},
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
    }
    program = Path(sys.executable).with_name("cohortium")
    workers = [
        subprocess.Popen([program, "worker"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]

    def size() -> int:
        with database.tenant(tenant.id) as session:
            state = log_state(session)
        return state.size if state.head is not None else 0

    def write(number: int) -> None:
        for _ in range(number):
            record_alone(database, tenant.id, VIEWED)

    try:
        write(10)
        wait_until(lambda: size() == 11)
        workers[0].send_signal(signal.SIGKILL)
        workers[0].wait()
        write(10)
        wait_until(lambda: size() == 21, 10)
        workers[1].terminate()
        assert workers[1].wait(timeout=20) == 0
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert check_log(database, tenant.id, log_signer(database, key_encryption, tenant).key).problems == ()


@pytest.fixture
def place() -> Iterator[tuple[Path, Settings, Tenant]]:
    """A database server of this test's own, that flushes what it commits."""
    folder = Path(tempfile.mkdtemp())
    services = ensure_started(folder / "services")
    key_encryption = FileKeyEncryption.create_file(folder / "key")
    settings = Settings(
        database_url=SecretStr(services.database_url()),
        owner_database_url=SecretStr(services.database_url("cohortium_owner")),
        redis_url=SecretStr(services.redis_url),
        store_url=str(folder / "store"),
        key_file=folder / "key",
        demo=True,
    )
    migrate(settings)
    database = Database(settings.database_url)
    tenant = create_tenant(database, key_encryption, slug="crashed", name="Testshire ICB", ods_code="QT1")
    database.close()
    yield folder / "services", settings, tenant
    remove(folder / "services")
    shutil.rmtree(folder)


def test_tickets_that_a_crash_of_the_server_skipped_are_told_apart(place: tuple[Path, Settings, Tenant]) -> None:
    folder, settings, tenant = place
    database = Database(settings.database_url)
    with database.tenant(tenant.id) as session:
        record_many(session, [VIEWED] * 3)
    sequence(database, tenant.id)
    with pytest.raises(OperationalError), database.tenant(tenant.id) as session:  # noqa: PT012 - the server goes away
        record_many(session, [VIEWED] * 2)
        crash(folder)
        while True:  # the backend lives until it notices
            session.connection().execute(text("SELECT pg_sleep(0.01)"))
    database.close()
    ensure_started(folder)
    database = Database(settings.database_url)
    for _ in range(2):
        record_alone(database, tenant.id, VIEWED)
        sequence(database, tenant.id)
    with database.tenant(tenant.id) as session:
        drawn = tickets_drawn(session)
        assert drawn > 8, "the server skips ahead in its sequences when it crashes"
        session.connection().execute(text("UPDATE audit_open_tickets SET seen = seen - interval '2 minutes'"))
    sequence(database, tenant.id)
    with database.tenant(tenant.id) as session:
        state = log_state(session)
        (row,) = (
            session.connection()
            .execute(text("SELECT detail FROM audit_entries WHERE action = :missing"), {"missing": MISSING})
            .all()
        )
    assert row.detail == {"first_ticket": 5, "last_ticket": drawn - 2, "database_was_restarted": True}
    assert (state.size, state.waiting, state.missing) == (7, 0, drawn - 6)
    assert settings.key_file is not None
    signer = log_signer(database, FileKeyEncryption(settings.key_file), tenant)
    assert check_log(database, tenant.id, signer.key).problems == ()
    database.close()


def crash(folder: Path) -> None:
    """Kill the server as a power cut would."""
    pid_file = ensure_started(folder).places.cluster / "postmaster.pid"
    os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGKILL)
