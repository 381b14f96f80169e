"""Places in the tree: entries that commit out of order, roll back, vanish; sequencers that are killed or meet."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlmodel import Session, col, select

from cohortium_platform.audit import AuditEntry, Entry, record, record_alone, record_many
from cohortium_platform.audit.canonical import entry_bytes
from cohortium_platform.audit.models import AuditLeaf, AuditNode, AuditPatient, AuditVoid, OpenTicket
from cohortium_platform.audit.sequencer import MISSING, sequence
from cohortium_platform.audit.stored import LogBroken, StoredTree, add_nodes, leaf_hashes
from cohortium_platform.audit.tickets import tickets_drawn
from cohortium_platform.audit.tree import Frontier, leaf_hash, root_of
from cohortium_platform.database import Database
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import Tenant

VIEWED = Entry(action="view", resource="patient", actor="person-1", detail={"n": 1})
PROOFS = ["audit_entries", "audit_voids", "audit_leaves", "audit_nodes", "audit_patients", "audit_heads"]


def placed(database: Database, tenant: Tenant) -> list[AuditEntry]:
    """The entries in the order of their places, after seeing that the places have no gap and the hashes fit."""
    with database.tenant(tenant.id) as session:
        leaves = session.exec(select(AuditLeaf).order_by(col(AuditLeaf.place))).all()
        entries = {entry.id: entry for entry in session.exec(select(AuditEntry))}
    assert [leaf.place for leaf in leaves] == list(range(len(leaves)))
    assert [leaf.hash for leaf in leaves] == [leaf_hash(entry_bytes(entries[leaf.entry_id])) for leaf in leaves]
    assert [leaf.ticket for leaf in leaves] == [entries[leaf.entry_id].ticket for leaf in leaves]
    return [entries[leaf.entry_id] for leaf in leaves]


def execute(session: Session, statement: str, **values: object) -> None:
    session.connection().execute(text(statement), values)


def a_minute_later(database: Database, tenant: Tenant) -> None:
    """Make open tickets look a minute older. These notes prove nothing, so the application may change them."""
    with database.tenant(tenant.id) as session:
        execute(session, "UPDATE audit_open_tickets SET seen = seen - interval '61 seconds'")


def open_tickets(database: Database, tenant: Tenant) -> list[int]:
    with database.tenant(tenant.id) as session:
        return sorted(session.exec(select(OpenTicket.ticket)))


def voided(database: Database, tenant: Tenant) -> list[int]:
    with database.tenant(tenant.id) as session:
        return sorted(session.exec(select(AuditVoid.ticket)))


def test_visible_entries_get_the_next_places(database: Database, tenant: Tenant, other_tenant: Tenant) -> None:
    assert sequence(database, tenant.id).placed == 1  # the making of the tenant
    for _ in range(3):
        record_alone(database, tenant.id, VIEWED)
    assert sequence(database, tenant.id).placed == 3
    assert sequence(database, tenant.id).placed == 0
    assert [entry.action for entry in placed(database, tenant)] == ["tenant.create", "view", "view", "view"]
    assert placed(database, other_tenant) == []


def test_an_entry_that_commits_late_comes_later(database: Database, tenant: Tenant) -> None:
    with database.tenant(tenant.id) as session:
        record(session, Entry(action="slow", resource="load"))
        record_alone(database, tenant.id, VIEWED)
        sequence(database, tenant.id)
        assert [entry.action for entry in placed(database, tenant)] == ["tenant.create", "view"]
        assert open_tickets(database, tenant) == [2]
        sequence(database, tenant.id)
        a_minute_later(database, tenant)
        assert sequence(database, tenant.id).missing == 0, "its transaction still runs"
    sequence(database, tenant.id)
    assert [entry.action for entry in placed(database, tenant)] == ["tenant.create", "view", "slow"]
    assert open_tickets(database, tenant) == []


def test_what_is_rolled_back_is_voided_and_never_missing(database: Database, tenant: Tenant) -> None:
    with pytest.raises(RuntimeError), database.tenant(tenant.id) as session:  # noqa: PT012 - a block is what fails
        record_many(session, [VIEWED, VIEWED])
        raise RuntimeError
    assert voided(database, tenant) == [2, 3]
    for _ in range(3):
        assert sequence(database, tenant.id).missing == 0
        a_minute_later(database, tenant)
    assert open_tickets(database, tenant) == []
    assert len(placed(database, tenant)) == 1


def test_a_savepoint_that_is_rolled_back_voids_its_own_tickets_only(database: Database, tenant: Tenant) -> None:
    with database.tenant(tenant.id) as session:
        record(session, Entry(action="before", resource="x"))
        with pytest.raises(RuntimeError), session.begin_nested():  # noqa: PT012 - a block is what fails
            record(session, Entry(action="outer", resource="x"))
            with session.begin_nested():
                record(session, Entry(action="inner", resource="x"))
            raise RuntimeError
        record(session, Entry(action="after", resource="x"))
        with session.begin_nested():
            record(session, Entry(action="kept", resource="x"))
    assert voided(database, tenant) == [3, 4]
    sequence(database, tenant.id)
    assert [entry.action for entry in placed(database, tenant)] == ["tenant.create", "before", "after", "kept"]


def test_tickets_of_a_killed_process_are_reported_missing_after_a_minute(database: Database, tenant: Tenant) -> None:
    with pytest.raises(RuntimeError), database.tenant(tenant.id) as session:  # noqa: PT012 - a block is what fails
        for _ in range(2):  # not by `record`: as a process that has no time left to say so
            execute(session, RAW, tenant=tenant.id)
        raise RuntimeError
    sequence(database, tenant.id)
    sequence(database, tenant.id)
    assert sequence(database, tenant.id).missing == 0, "a minute has not passed"
    a_minute_later(database, tenant)
    assert sequence(database, tenant.id).missing == 2
    (last,) = placed(database, tenant)[1:]
    assert (last.action, last.actor, last.outcome) == (MISSING, "service", "failed")
    assert last.detail == {"first_ticket": 2, "last_ticket": 3, "database_was_restarted": False}
    assert sequence(database, tenant.id).missing == 0, "it is reported once"


def test_an_entry_removed_before_it_had_a_place_is_reported(
    database: Database, owner_database: Database, tenant: Tenant
) -> None:
    record_alone(database, tenant.id, VIEWED)
    with owner_database.tenant(tenant.id) as session:
        execute(session, "DELETE FROM audit_entries WHERE action = 'view'")
    sequence(database, tenant.id)
    sequence(database, tenant.id)
    a_minute_later(database, tenant)
    assert sequence(database, tenant.id).missing == 1
    assert placed(database, tenant)[-1].detail["first_ticket"] == 2


def test_a_log_whose_end_was_cut_off_is_not_continued(
    database: Database, owner_database: Database, tenant: Tenant
) -> None:
    record_many_alone(database, tenant, 3)
    sequence(database, tenant.id)
    with owner_database.tenant(tenant.id) as session:
        execute(session, "DELETE FROM audit_leaves WHERE place = 3")
    record_alone(database, tenant.id, VIEWED)
    with pytest.raises(LogBroken, match="end at place 3 where 4"):
        sequence(database, tenant.id)


def record_many_alone(database: Database, tenant: Tenant, number: int) -> None:
    with database.tenant(tenant.id) as session:
        record_many(session, [VIEWED] * number)


# -- many at once -----------------------------------------------------------------------------------------------------


def write(database: Database, tenant: Tenant, writer: int) -> None:
    """Write 60 entries, and roll every third back."""
    for number in range(60):
        with suppress(RuntimeError), database.tenant(tenant.id) as session:
            record(session, Entry(action=f"{writer}.{number}", resource="x", patients=[bytes([writer])]))
            fail_if(number % 3 == 0)


def fail_if(condition: bool) -> None:  # noqa: FBT001 - reads as it is called
    if condition:
        raise RuntimeError


def place(database: Database, tenant: Tenant, done: threading.Event, failures: list[Exception], *, wait: bool) -> None:
    while not done.is_set():
        try:
            sequence(database, tenant.id, wait=wait, batch=7)
        except Exception as failure:  # noqa: BLE001 - shown by the assertion
            failures.append(failure)


def test_writers_that_roll_back_and_two_sequencers_at_once(database: Database, tenant: Tenant) -> None:
    done = threading.Event()
    failures: list[Exception] = []
    writers = [threading.Thread(target=write, args=(database, tenant, each)) for each in range(4)]
    sequencers = [
        threading.Thread(target=place, args=(database, tenant, done, failures), kwargs={"wait": wait})
        for wait in (True, False)
    ]
    for thread in (*writers, *sequencers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in sequencers:
        thread.join()
    for _ in range(3):
        sequence(database, tenant.id)
    assert failures == []
    entries = placed(database, tenant)
    assert len(entries) == 1 + 4 * 40
    assert len(voided(database, tenant)) == 4 * 20
    assert open_tickets(database, tenant) == []
    accounted = {entry.ticket for entry in entries} | set(voided(database, tenant))
    assert accounted == set(range(1, 1 + 4 * 60 + 1))
    with database.tenant(tenant.id) as session:
        assert len(session.exec(select(AuditPatient)).all()) == 4 * 40


KILLED = """
import sys
from uuid import UUID
from cohortium_platform.audit.sequencer import sequence
from cohortium_platform.database import Database
database = Database(sys.stdin.readline().strip())
print("ready", flush=True)
sequence(database, UUID(sys.argv[1]), batch=20)
"""


def test_a_sequencer_that_is_killed_leaves_nothing_half_done(
    database: Database, settings: Settings, tenant: Tenant
) -> None:
    record_many_alone(database, tenant, 3_000)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tenant.id)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(settings.database_url.get_secret_value() + "\n")
    process.stdin.flush()
    process.stdout.readline()
    while not (before := count_leaves(database, tenant)):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert before % 20 == 0
    halfway = count_leaves(database, tenant)
    assert halfway % 20 == 0
    assert halfway < 3_001, "it was killed too late to be a test"
    sequence(database, tenant.id)
    assert len(placed(database, tenant)) == 3_001
    with database.tenant(tenant.id) as session:
        assert len(session.exec(select(AuditNode)).all()) == 3_001 // 256


def count_leaves(database: Database, tenant: Tenant) -> int:
    with database.tenant(tenant.id) as session:
        return len(session.exec(select(AuditLeaf.place)).all())


# -- the stored tree --------------------------------------------------------------------------------------------------


def test_the_stored_tree_is_the_tree(database: Database, tenant: Tenant) -> None:
    size, steps = 66_000, [0, 100, 700, 65_000, 65_535, 65_536, 66_000]
    with database.tenant(tenant.id) as session:
        execute(
            session,
            "INSERT INTO audit_leaves (tenant_id, place, ticket, entry_id, hash, placed)"
            " SELECT :tenant, n, n, :tenant, sha256(n::text::bytea), now() FROM generate_series(0, :last) n",
            tenant=tenant.id,
            last=size - 1,
        )
        for start, end in pairwise(steps):
            add_nodes(session, start, end)
        tree, frontier = StoredTree(session), Frontier()
        for place, leaf in enumerate(leaf_hashes(session, 0, size)):
            assert leaf == hashlib.sha256(str(place).encode()).digest()
            frontier.append(leaf)
            if place + 1 in {1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, size}:
                assert root_of(place + 1, tree) == frontier.root()
        assert len(session.exec(select(AuditNode)).all()) == 257 + 1
        with pytest.raises(LogBroken, match="no leaf at place 66000"):
            list(leaf_hashes(session, 65_990, 66_001))
        with pytest.raises(LogBroken, match="lacks hashes"):
            tree(0, size)


# -- what the application role may not do -----------------------------------------------------------------------------

RAW = (
    "INSERT INTO audit_entries (tenant_id, id, ticket, at, actor, role, organisation, purpose, action, resource,"
    " practices, patients, policy, outcome, request_id, detail) VALUES (:tenant, gen_random_uuid(), 7000, now(),"
    " '', '', '', '', 'raw', '', '{}', '{}', '', 'done', '', '{}')"
)


@pytest.mark.parametrize("table", PROOFS)
@pytest.mark.parametrize("attempt", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_what_proves_something_is_never_changed(database: Database, tenant: Tenant, table: str, attempt: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), database.tenant(tenant.id) as session:
        execute(session, attempt.format(table))


def test_nobody_chooses_a_ticket(database: Database, tenant: Tenant) -> None:
    with database.tenant(tenant.id) as session:
        execute(session, RAW, tenant=tenant.id)
        assert session.exec(select(AuditEntry.ticket).where(AuditEntry.action == "raw")).one() == 2


def test_a_row_for_another_tenant_draws_none_of_its_tickets(
    database: Database, tenant: Tenant, other_tenant: Tenant
) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), database.tenant(tenant.id) as session:
        execute(session, RAW, tenant=other_tenant.id)
    with database.tenant(other_tenant.id) as session:
        assert tickets_drawn(session) == 1


@pytest.mark.parametrize(
    "attempt", ["SELECT last_value FROM {}", "SELECT nextval('{}')", "SELECT setval('{}', 1)", "DROP SEQUENCE {}"]
)
def test_the_application_role_cannot_touch_the_tickets(database: Database, tenant: Tenant, attempt: str) -> None:
    with pytest.raises(DBAPIError, match=r"denied|must be owner"), database.tenant(tenant.id) as session:
        execute(session, attempt.format(f"audit_tickets_{tenant.id.hex}"))


@pytest.mark.parametrize(
    ("column", "value"),
    [("at", "'infinity'"), ("patients", "ARRAY[NULL]::bytea[]"), ("patients", "ARRAY[ARRAY[''::bytea]]")],
)
def test_an_entry_that_could_not_be_hashed_is_refused(
    database: Database, tenant: Tenant, column: str, value: str
) -> None:
    given = RAW.replace("now()", value) if column == "at" else RAW.replace("'{}', '', 'done'", f"{value}, '', 'done'")
    with pytest.raises(DBAPIError, match="an audit entry has a moment"), database.tenant(tenant.id) as session:
        execute(session, given, tenant=tenant.id)


def test_whatever_json_an_entry_holds_it_gets_a_place(database: Database, tenant: Tenant) -> None:
    odd = ['{"a": 1e400}', '{"a": 0.1, "b": [null, true]}', "[1]", '"text"', "null", '{"code": 999000000000000123}']
    with database.tenant(tenant.id) as session:
        for each in odd:
            execute(session, RAW.removesuffix("'{}')") + "CAST(:detail AS jsonb))", tenant=tenant.id, detail=each)
    assert sequence(database, tenant.id).placed == 1 + len(odd)
    with database.tenant(tenant.id) as session:
        rows = session.connection().execute(text("SELECT * FROM audit_entries ORDER BY ticket")).all()
    assert [json.loads(entry_bytes(row))["detail"] for row in rows[1:]] == [
        {"a": "1" + "0" * 400}, {"a": "0.1", "b": [None, True]}, [1], "text", None, {"code": "999000000000000123"},
    ]  # fmt: skip


def test_a_tenant_without_a_log_says_so(database: Database) -> None:
    with pytest.raises(DBAPIError, match="audit_tickets_"):
        record_alone(database, uuid4(), VIEWED)


def test_ids_come_back_in_the_order_given(database: Database, make_tenant: Callable[..., Tenant]) -> None:
    tenant = make_tenant()
    with database.tenant(tenant.id) as session:
        ids: list[UUID] = record_many(session, [Entry(action=str(n), resource="x") for n in range(20)])
        found = {entry.id: entry.action for entry in session.exec(select(AuditEntry))}
        assert [found[each] for each in ids] == [str(n) for n in range(20)]
        assert record_many(session, []) == []
