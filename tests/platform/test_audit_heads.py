"""Checkpoints of a real log: each follows from the last, or none is signed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select

from cohortium_platform.audit import Entry, record_alone, record_many
from cohortium_platform.audit.canonical import entry_bytes
from cohortium_platform.audit.heads import last_head, prove_consistency, prove_place, take_head
from cohortium_platform.audit.keeping import LogKeeper
from cohortium_platform.audit.models import AuditEntry, AuditHead, AuditLeaf
from cohortium_platform.audit.notes import LogSigner, open_note
from cohortium_platform.audit.stored import LogBroken
from cohortium_platform.audit.tree import Frontier, consistent, leaf_hash
from cohortium_platform.database import Database
from cohortium_platform.errors import BadInput
from cohortium_platform.keys import KeyEncryption
from cohortium_tenants.tenants import Tenant
from cohortium_tenants.tenants.signing import log_signer, log_signers

VIEWED = Entry(action="view", resource="patient")


@pytest.fixture
def signer(database: Database, key_encryption: KeyEncryption, tenant: Tenant) -> LogSigner:
    return log_signer(database, key_encryption, tenant)


def write(database: Database, tenant: Tenant, number: int) -> None:
    with database.tenant(tenant.id) as session:
        record_many(session, [VIEWED] * number)


def execute(session: Session, statement: str, **values: object) -> None:
    session.connection().execute(text(statement), values)


def leaves(database: Database, tenant: Tenant) -> list[bytes]:
    with database.tenant(tenant.id) as session:
        return list(session.exec(select(AuditLeaf.hash).order_by(col(AuditLeaf.place))))


def test_a_head_signs_the_root_of_what_is_there(database: Database, tenant: Tenant, signer: LogSigner) -> None:
    sizes = []
    for number in (0, 4, 0, 300, 1):
        write(database, tenant, number)
        head = take_head(database, tenant.id, signer)
        assert head is not None
        sizes.append(head.size)
        frontier = Frontier()
        for leaf in leaves(database, tenant):
            frontier.append(leaf)
        point = open_note(head.note, signer.key)
        assert (point.size, point.root) == (frontier.size, frontier.root()) == (head.size, head.root)
    assert sizes == [1, 5, 5, 305, 306]
    with database.tenant(tenant.id) as session:
        assert sorted(session.exec(select(AuditHead.size))) == [1, 5, 305, 306]


def test_every_head_is_the_beginning_of_the_last_and_every_entry_is_proven(
    database: Database, tenant: Tenant, signer: LogSigner
) -> None:
    heads = []
    for number in (2, 255, 100):
        write(database, tenant, number)
        heads.append(take_head(database, tenant.id, signer))
    last = heads[-1]
    with database.tenant(tenant.id) as session:
        for old in heads:
            path = prove_consistency(session, old.size, last)
            assert consistent(old.size, last.size, old.root, last.root, path)
        rows = session.exec(select(AuditLeaf.place, AuditEntry).join(AuditEntry, AuditEntry.id == AuditLeaf.entry_id))
        for place, entry in list(rows)[::25]:
            proof = prove_place(session, place, last)
            assert proof.holds(leaf_hash(entry_bytes(entry)), signer.key)
            assert not proof.holds(leaf_hash(b"another"), signer.key)
        with pytest.raises(BadInput, match="not under the checkpoint"):
            prove_place(session, last.size, last)
        with pytest.raises(BadInput, match="No proof leads"):
            prove_consistency(session, last.size + 1, last)


@pytest.mark.parametrize(
    ("tampering", "says"),
    [
        ("UPDATE audit_leaves SET hash = sha256('x') WHERE place = 4", "no longer leads on"),
        ("DELETE FROM audit_leaves WHERE place = 7", "no leaf at place 7"),
        ("UPDATE audit_heads SET note = replace(note, '5', '6')", "not as it was signed"),
        ("UPDATE audit_heads SET root = sha256('x')", "not as it was signed"),
        ("UPDATE audit_heads SET frontier[1] = sha256('x')", "not as it was signed"),
        ("DELETE FROM audit_leaves; UPDATE audit_sequencers SET size = 0", "its end was cut off"),
    ],
)
def test_a_head_that_would_not_follow_from_the_last_is_not_signed(
    database: Database, owner_database: Database, tenant: Tenant, signer: LogSigner, tampering: str, says: str
) -> None:
    write(database, tenant, 4)
    take_head(database, tenant.id, signer)
    write(database, tenant, 4)
    from cohortium_platform.audit.sequencer import sequence  # noqa: PLC0415 - places them before the tampering

    sequence(database, tenant.id)
    with owner_database.tenant(tenant.id) as session:
        for statement in tampering.split("; "):
            execute(session, statement)
    with pytest.raises(LogBroken, match=says):
        take_head(database, tenant.id, signer)


def test_another_key_does_not_go_on_with_the_log(database: Database, tenant: Tenant, signer: LogSigner) -> None:
    take_head(database, tenant.id, signer)
    write(database, tenant, 1)
    with pytest.raises(LogBroken, match="not as it was signed"):
        take_head(database, tenant.id, LogSigner(signer.origin, bytes(32)))


def test_two_who_sign_at_once_sign_one_log(database: Database, tenant: Tenant, signer: LogSigner) -> None:
    failures: list[Exception] = []

    def work() -> None:
        for _ in range(8):
            try:
                write(database, tenant, 3)
                take_head(database, tenant.id, signer)
            except Exception as failure:  # noqa: BLE001 - shown by the assertion
                failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    frontier, roots = Frontier(), {}
    for leaf in leaves(database, tenant):
        frontier.append(leaf)
        roots[frontier.size] = frontier.root()
    with database.tenant(tenant.id) as session:
        heads = session.exec(select(AuditHead)).all()
    assert {head.size: head.root for head in heads}.items() <= roots.items()
    assert max(head.size for head in heads) == 1 + 3 * 8 * 3


# -- the worker's part ------------------------------------------------------------------------------------------------


def test_the_keeper_places_and_signs_once_an_hour(
    database: Database, owner_database: Database, key_encryption: KeyEncryption, make_tenant: Callable[..., Tenant]
) -> None:
    tenants = [make_tenant(), make_tenant()]
    ids = [tenant.id for tenant in tenants]

    def heads() -> list[int]:
        found = []
        for tenant in tenants:
            with database.tenant(tenant.id) as session:
                head = last_head(session)
                found.append(head.size if head else 0)
        return found

    def keep() -> None:
        LogKeeper(database, lambda: ids, log_signers(key_encryption)).keep_all()

    keep()
    assert heads() == [1, 1]
    record_alone(database, ids[0], VIEWED)
    keep()
    assert heads() == [1, 1], "an hour has not passed"
    assert len(leaves(database, tenants[0])) == 2
    old = datetime.now(UTC) - timedelta(minutes=51)
    for tenant in tenants:
        with owner_database.tenant(tenant.id) as session:
            execute(session, "UPDATE audit_heads SET at = :old", old=old)
    keep()
    assert heads() == [2, 1], "a log that did not grow keeps its checkpoint"


def test_a_broken_log_is_said_once_and_holds_up_no_other(
    database: Database,
    owner_database: Database,
    tenant: Tenant,
    other_tenant: Tenant,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keeper = LogKeeper(database, lambda: [tenant.id, other_tenant.id])
    write(database, tenant, 2)
    keeper.keep_all()
    with owner_database.tenant(tenant.id) as session:
        execute(session, "DELETE FROM audit_leaves WHERE place = 2")
    for _ in range(2):
        write(database, tenant, 1)
        write(database, other_tenant, 1)
        keeper.keep_all()
    assert len(leaves(database, other_tenant)) == 3
    assert [record.message for record in caplog.records if "leaves end at place 2" in record.message] == [
        (
            f"the audit log of tenant {tenant.id}: The audit log's leaves end at place 2 where 3 had been placed. "
            "Run `cohortium audit check`; compare with a checkpoint that was kept elsewhere."
        )
    ]
