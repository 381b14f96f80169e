"""How fast the audit log is written, placed, exported, checked and verified, on a PostgreSQL that flushes to disk.

Prints; asserts only that nothing was lost. Run with `make bench`; BENCH_AUDIT_SECONDS and BENCH_AUDIT_ENTRIES say for
how long it writes, and how many entries it verifies.
"""
# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import hashlib
import multiprocessing
import os
import platform
import resource
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from cohortium_platform.audit import Entry, record, record_alone, record_many
from cohortium_platform.audit.canonical import canonical_json, entry_bytes
from cohortium_platform.audit.checking import check_log
from cohortium_platform.audit.exporting import ExportRequest, export_log
from cohortium_platform.audit.notes import LogSigner
from cohortium_platform.audit.search import AuditQuery, search
from cohortium_platform.audit.sequencer import sequence
from cohortium_platform.audit.state import log_state
from cohortium_platform.audit.tree import Frontier, leaf_hash
from cohortium_platform.audit.verifying import verify_export
from cohortium_platform.database import Database
from cohortium_platform.keys import FileKeyEncryption
from cohortium_platform.migrations import migrate
from cohortium_platform.services import embedded_services
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import create_tenant
from cohortium_tenants.tenants.signing import log_signer

SECONDS = float(os.environ.get("BENCH_AUDIT_SECONDS", "10"))
ENTRIES = int(os.environ.get("BENCH_AUDIT_ENTRIES", "1000000"))
WRITERS = min(2, os.cpu_count() or 1)
LISTED = Entry(
    action="list", resource="registry/cancer-care", actor="person-1", role="clinician", organisation="U99101",
    purpose="direct care", practices=["Z10001", "Z10002"], patients=[secrets.token_bytes(32) for _ in range(3)],
    policy="direct-care-in-reach", request_id="r-1", detail={"rows": 50, "page": 1},
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    url: str
    database: Database
    tenant_id: UUID
    signer: LogSigner


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="cohortium-bench-"))
    folder.chmod(0o755)
    with embedded_services(folder / "services", durable=True) as services:
        key_encryption = FileKeyEncryption.create_file(folder / "keys" / "key")
        settings = Settings(
            database_url=SecretStr(services.database_url()),
            owner_database_url=SecretStr(services.database_url("cohortium_owner")),
            redis_url=SecretStr(services.redis_url),
            store_url=str(folder / "store"),
            key_file=folder / "keys" / "key",
            demo=True,
        )
        migrate(settings)
        database = Database(settings.database_url)
        tenant = create_tenant(database, key_encryption, slug="bench", name="Bench ICB", ods_code="QB1")
        signer = log_signer(database, key_encryption, tenant)
        print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} processors")
        yield Place(settings.database_url.get_secret_value(), database, tenant.id, signer)
        database.close()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def timed(what: str, number: int) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(
        f"{what}: {number / wall:,.0f} a second ({wall / number * 1000:.3f} ms each, of it"
        f" {processor / number * 1000:.3f} ms of this process's processor time), {wall:.1f} s for {number:,}"
    )


def test_one_entry(place: Place) -> None:
    number = 1000
    for _ in range(2):  # the first time warms up
        with timed("a transaction that does nothing", number):
            for _ in range(number):
                with place.database.tenant(place.tenant_id):
                    pass
        with timed("an entry in a transaction of its own", number):
            for _ in range(number):
                record_alone(place.database, place.tenant_id, LISTED)
        with timed("an entry in a transaction that goes on", number), place.database.tenant(place.tenant_id) as session:
            for _ in range(number):
                record(session, LISTED)
        with timed("entries given together", number), place.database.tenant(place.tenant_id) as session:
            record_many(session, [LISTED] * number)


def write(url: str, tenant_id: UUID, ready: Barrier, each: int) -> None:
    """One writer's process: so many entries a transaction."""
    database = Database(url)
    ready.wait()
    until = time.time() + SECONDS
    while time.time() < until:
        with database.tenant(tenant_id) as session:
            record_many(session, [LISTED] * each)
    database.close()


@pytest.mark.parametrize("each", [1, 20])
def test_sustained(place: Place, each: int) -> None:
    sequence(place.database, place.tenant_id)
    with place.database.tenant(place.tenant_id) as session:
        before = log_state(session).size
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(WRITERS + 1)
    writers = [spawn.Process(target=write, args=(place.url, place.tenant_id, ready, each)) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    ready.wait()
    began = time.time()
    longest, processor = 0.0, time.process_time()
    while any(writer.is_alive() for writer in writers):
        run = time.perf_counter()
        sequence(place.database, place.tenant_id)
        longest = max(longest, time.perf_counter() - run)
        time.sleep(0.5)
    sequence(place.database, place.tenant_id)
    taken = time.time() - began
    with place.database.tenant(place.tenant_id) as session:
        state = log_state(session)
    assert (state.waiting, state.missing) == (0, 0)
    print(
        f"{WRITERS} writers, {each} entries a transaction: {(state.size - before) / taken:,.0f} entries a second"
        f" written and placed; a run of the sequencer took at most {longest:.2f} s, and"
        f" {(time.process_time() - processor) / (state.size - before) * 1e6:.0f} µs of its processor time an entry"
    )


def test_the_log_in_use(place: Place, tmp_path: Path) -> None:
    with place.database.tenant(place.tenant_id) as session:
        number = log_state(session).size
    with timed("exporting", number):
        export_log(place.database, place.tenant_id, place.signer, ExportRequest(tmp_path / "log", LISTED))
    with timed("verifying that", number):
        assert verify_export(tmp_path / "log", key=place.signer.key).faults == ()
    with timed("checking in place", number):
        assert check_log(place.database, place.tenant_id, place.signer.key).problems == ()
    for query in (AuditQuery(patients=LISTED.patients[:1]), AuditQuery(resource_prefix="tenant/"), AuditQuery()):
        search_what = "a patient" if query.patient_hash else query.resource_prefix or "the newest"
        with (
            timed(f"searching {number:,} entries for {search_what}", 1),
            place.database.tenant(place.tenant_id) as session,
        ):
            search(session, query)


def test_verifying(tmp_path: Path) -> None:
    signer = LogSigner("cohortium/bench/0", secrets.token_bytes(32))
    frontier, began = Frontier(), datetime(2026, 1, 1, tzinfo=UTC)
    with (tmp_path / "log.ndjson").open("wb") as log, (tmp_path / "leaves.txt").open("w") as leaves:
        for number in range(ENTRIES):
            line = entry_bytes(made(number, began))
            log.write(line + b"\n")
            frontier.append(leaf_hash(line))
            leaves.write(leaf_hash(line).hex() + "\n")
    note = signer.sign(frontier.size, frontier.root())
    (tmp_path / "checkpoints.ndjson").write_bytes(canonical_json({"note": note}) + b"\n")
    manifest = {"first": 0, "entries": ENTRIES, "size": ENTRIES, "whole": True}
    (tmp_path / "manifest.json").write_bytes(canonical_json(manifest))
    began_hashing = time.perf_counter()
    with (tmp_path / "log.ndjson").open("rb") as log:
        for line in log:
            hashlib.sha256(line)
    alone = time.perf_counter() - began_hashing
    with timed("verifying", ENTRIES):
        taken = time.perf_counter()
        assert verify_export(tmp_path, key=signer.key).faults == ()
        taken = time.perf_counter() - taken
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {taken / alone:.1f} times hashing the same lines and nothing else; peak memory {peak:.0f} MiB")


def made(number: int, began: datetime) -> SimpleNamespace:
    """An entry as the table would hold it."""
    return SimpleNamespace(
        id=uuid4(), ticket=number + 1, at=began + timedelta(seconds=number), **{
            name: getattr(LISTED, name)
            for name in ("actor", "role", "organisation", "purpose", "action", "resource", "practices", "patients",
                         "policy", "outcome", "request_id", "detail")
        },
    )  # fmt: skip
