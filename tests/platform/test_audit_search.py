"""Searching the log, by an index each time, and never another tenant's."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from cohortium_platform.audit import AuditEntry, Entry, Outcome, record_alone, record_many
from cohortium_platform.audit.search import AuditQuery, _conditions, count_entries, search
from cohortium_platform.audit.sequencer import sequence
from cohortium_platform.database import Database
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import Tenant

PATIENT, OTHER = bytes(32), bytes([1]) * 32


@pytest.fixture
def filled(database: Database, tenant: Tenant, other_tenant: Tenant) -> Tenant:
    """A log with 200 entries: of two people, three registries, some denied, some about a patient."""
    for each in (tenant, other_tenant):
        with database.tenant(each.id) as session:
            record_many(
                session,
                [
                    Entry(
                        action="list" if n % 2 else "view",
                        resource=f"registry/{('cancer-care', 'cancer-care-2', 'frailty')[n % 3]}",
                        actor=f"person-{n % 5}",
                        organisation=f"U{n % 4}",
                        outcome=Outcome.DENIED if n % 10 == 0 else Outcome.DONE,
                        patients=[PATIENT, OTHER] if n % 20 == 0 else [OTHER] * (n % 7 == 0),
                        detail={"n": n},
                    )
                    for n in range(200)
                ],
            )
        sequence(database, each.id)
    return tenant


def numbers(database: Database, tenant: Tenant, query: AuditQuery) -> set[object]:
    with database.tenant(tenant.id) as session:
        page = search(session, query)
        assert not page.more
        assert count_entries(session, query) == len(page.found)
        assert all(found.place is not None for found in page.found)
        return {found.entry.detail.get("n") for found in page.found}


def test_each_condition_finds_its_own(database: Database, filled: Tenant) -> None:
    every = range(200)
    expected = {
        AuditQuery(actor="person-3", limit=500): {n for n in every if n % 5 == 3},
        AuditQuery(organisation="U2", limit=500): {n for n in every if n % 4 == 2},
        AuditQuery(action="list", limit=500): {n for n in every if n % 2},
        AuditQuery(outcome=Outcome.DENIED, limit=500): {n for n in every if n % 10 == 0},
        AuditQuery(patients=(PATIENT,), limit=500): {n for n in every if n % 20 == 0},
        AuditQuery(patients=(b"nobody",)): set(),
        AuditQuery(resource_prefix="registry/cancer-care", limit=500): {n for n in every if n % 3 < 2},
        AuditQuery(resource_prefix="registry/cancer-care-2", limit=500): {n for n in every if n % 3 == 1},
        AuditQuery(resource_prefix="registry/%", limit=500): set(),
        AuditQuery(actor="person-0", action="view", patients=(PATIENT,), limit=500): {n for n in every if n % 20 == 0},
    }
    for query, found in expected.items():
        assert numbers(database, filled, query) == found, query


def test_times_are_from_one_to_before_another(database: Database, tenant: Tenant) -> None:
    record_alone(database, tenant.id, Entry(action="view", resource="x"))
    sequence(database, tenant.id)
    with database.tenant(tenant.id) as session:
        (newest, oldest) = search(session, AuditQuery()).found
        assert (newest.entry.action, oldest.entry.action) == ("view", "tenant.create"), "the newest comes first"
        at = newest.entry.at
        assert search(session, AuditQuery(since=at)).found == [newest]
        assert search(session, AuditQuery(until=at)).found == [oldest]
        assert search(session, AuditQuery(since=datetime.now(UTC) + timedelta(hours=1))).found == []


def test_pages_follow_each_other(database: Database, filled: Tenant) -> None:
    with database.tenant(filled.id) as session:
        pages = [search(session, AuditQuery(action="view", offset=offset, limit=40)) for offset in (0, 40, 80)]
        assert [(len(page.found), page.more) for page in pages] == [(40, True), (40, True), (20, False)]
        ids = [found.entry.id for page in pages for found in page.found]
        assert len(set(ids)) == 100
        assert count_entries(session, AuditQuery(action="view"), most=30) == 30


def test_an_entry_without_a_place_yet_is_found_without_one(database: Database, tenant: Tenant) -> None:
    record_alone(database, tenant.id, Entry(action="view", resource="x"))
    with database.tenant(tenant.id) as session:
        assert [found.place for found in search(session, AuditQuery(action="view")).found] == [None]


@pytest.mark.parametrize(
    ("query", "column"),
    [
        (AuditQuery(actor="person-3"), "actor"),
        (AuditQuery(action="list"), "action"),
        (AuditQuery(organisation="U2"), "organisation"),
        (AuditQuery(resource_prefix="registry/frailty"), "resource"),
        (AuditQuery(since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2026, 1, 2, tzinfo=UTC)), "at"),
        (AuditQuery(patients=(PATIENT,)), "patient"),
    ],
)
def test_row_level_security_leaves_each_condition_its_index(
    database: Database, settings: Settings, filled: Tenant, query: AuditQuery, column: str
) -> None:
    """PostgreSQL is told how the values are spread first: of a table it knows nothing of, all indexes cost the same."""
    assert settings.owner_database_url is not None
    owner = Database(settings.owner_database_url)
    with owner.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE audit_entries, audit_patients")
        connection.commit()
    owner.close()
    statement = select(AuditEntry.id).where(*_conditions(query))
    with database.tenant(filled.id) as session:
        connection = session.connection()
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        compiled = statement.compile(dialect=connection.dialect)
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {compiled}", compiled.params).scalars())
    used = [line for line in plan.splitlines() if "Index Cond" in line]
    assert any(re.search(rf"\(\(?{column}\)?(::text)? [=<>]", line) for line in used), plan
