from __future__ import annotations

import pytest
from sqlmodel import select

from cohortium_platform.audit import AuditEntry, Entry, Outcome, record, record_alone
from cohortium_platform.database import Database
from cohortium_platform.keys import TenantKeys
from cohortium_tenants.tenants import Tenant

LISTED = Entry(
    action="list",
    resource="registry/cancer-care",
    actor="person-1",
    role="clinician",
    organisation="U99101",
    purpose="direct care",
    practices=["Z10001", "Z10002"],
    policy="direct-care-in-reach",
    request_id="r-1",
    detail={"rows": 50, "page": 1},
)


def test_an_entry_is_kept_as_it_was_given(database: Database, tenant: Tenant, tenant_keys: TenantKeys) -> None:
    hashed = tenant_keys.audit_hash(b"4577")
    with database.tenant(tenant.id) as session:
        entry_id = record(session, Entry(action="view", resource="patient", patients=[hashed], detail={"a": [1, None]}))
    with database.tenant(tenant.id) as session:
        row = session.exec(select(AuditEntry).where(AuditEntry.action == "view")).one()
        assert (row.id, row.patients, row.detail, row.actor) == (entry_id, [hashed], {"a": [1, None]}, "service")
        assert row.at.utcoffset() is not None


def test_an_entry_stands_or_falls_with_what_it_records(database: Database, tenant: Tenant) -> None:
    with pytest.raises(RuntimeError), database.tenant(tenant.id) as session:  # noqa: PT012 - a block is what fails
        record(session, LISTED)
        raise RuntimeError
    record_alone(database, tenant.id, Entry(action="open", resource="patient", outcome=Outcome.DENIED))
    with database.tenant(tenant.id) as session:
        assert sorted(session.exec(select(AuditEntry.action))) == ["open", "tenant.create"]


def test_another_tenant_reads_none_of_it(database: Database, tenant: Tenant, other_tenant: Tenant) -> None:
    record_alone(database, tenant.id, LISTED)
    with database.tenant(other_tenant.id) as session:
        assert session.exec(select(AuditEntry.action)).all() == ["tenant.create"]


def test_an_entry_that_cannot_be_written_stops_what_it_records(database: Database, tenant: Tenant) -> None:
    with pytest.raises(TypeError), database.tenant(tenant.id) as session:
        record(session, Entry(action="view", resource="patient", detail={"not": {"json"}}))
