"""What the site does for the first request before it says that it is ready."""

from __future__ import annotations

from sqlalchemy import func, text
from sqlmodel import select

from cohortium_platform.audit import AuditEntry
from cohortium_web.rehearsal import rehearse


def entries(database, tenant) -> int:
    with database.tenant(tenant.id) as session:
        return session.exec(select(func.count()).select_from(AuditEntry)).one()


def test_nothing_is_recorded_since_nobody_looks(app, new_browser, registry_place, database):
    before = entries(database, registry_place)
    assert new_browser().get("/readyz").status_code == 200
    rehearse(app.state.site)
    assert entries(database, registry_place) == before


def test_a_tenant_whose_keys_are_gone_stops_nobody(app, new_browser, database, owner_database, tenant):
    with database.tenant(tenant.id) as session:
        assert session.connection().execute(text("SELECT count(*) FROM tenant_keys")).scalar_one()
    with owner_database.tenant(tenant.id) as session:
        session.connection().execute(text("DELETE FROM tenant_keys"))
    rehearse(app.state.site)
    assert new_browser().get("/readyz").status_code == 200
