"""Tenant isolation, tried with raw SQL as the application role."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlmodel import Session

from cohortium_platform.database import (
    APP_ROLE,
    AllTenants,
    Database,
    Travels,
    metadata,
    service_tables,
    tenant_of,
    tenant_tables,
)
from cohortium_platform.errors import BadSettings, CohortiumError, Unavailable
from cohortium_platform.migrations import differences, migrate, protection_of
from cohortium_platform.services import Services
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import Tenant, tenant_ids

INSERT_JOB = text(
    "INSERT INTO jobs (tenant_id, id, kind, parameters, requested_by, state, progress, step, attempts,"
    " cancel_requested, not_before, created)"
    " VALUES (:tenant, :id, 'k', '{}', 'p', 'queued', 0, '', 0, false, now(), now())"
)


def add_job(session: Session, tenant: UUID) -> UUID:
    job_id = uuid4()
    session.connection().execute(INSERT_JOB, {"tenant": tenant, "id": job_id})
    return job_id


def count(session: Session | Connection, table: str = "jobs") -> int:
    connection = session.connection() if isinstance(session, Session) else session
    return int(connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one())


# -- what each tenant sees --------------------------------------------------------------------------------------------


def test_a_tenant_sees_and_changes_its_own_rows_only(database: Database, tenant: Tenant, other_tenant: Tenant) -> None:
    with database.tenant(tenant.id) as session:
        job_id = add_job(session, tenant.id)
    with database.tenant(other_tenant.id) as session:
        connection = session.connection()
        assert count(session) == 0
        assert connection.execute(text("UPDATE jobs SET kind = 'theirs'")).rowcount == 0
        assert connection.execute(text("DELETE FROM jobs")).rowcount == 0
        assert connection.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": job_id}).all() == []
    with database.tenant(tenant.id) as session:
        assert count(session) == 1


def test_a_row_of_another_tenant_cannot_be_written(database: Database, tenant: Tenant, other_tenant: Tenant) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), database.tenant(tenant.id) as session:
        add_job(session, other_tenant.id)
    with database.tenant(tenant.id) as session:
        add_job(session, tenant.id)
    with pytest.raises(ProgrammingError, match="row-level security"), database.tenant(tenant.id) as session:
        session.connection().execute(text("UPDATE jobs SET tenant_id = :other"), {"other": other_tenant.id})


@pytest.mark.parametrize("set_to", [None, "", "not-a-uuid"])
def test_without_a_tenant_there_are_no_rows(database: Database, tenant: Tenant, set_to: str | None) -> None:
    with database.tenant(tenant.id) as session:
        add_job(session, tenant.id)
    with database.engine.connect() as connection:
        if set_to is not None:
            connection.execute(text("SELECT set_config('app.tenant', :tenant, true)"), {"tenant": set_to})
        if set_to == "not-a-uuid":
            with pytest.raises(DBAPIError, match="invalid input syntax"):
                count(connection)
        else:
            assert [count(connection, table) for table in tenant_tables()] == [0] * len(tenant_tables())


def test_the_service_itself_sees_no_tenants_rows(database: Database, tenant: Tenant) -> None:
    with database.all_tenants(AllTenants(reason="a test")) as session:
        assert [count(session, table) for table in tenant_tables()] == [0] * len(tenant_tables())
        with pytest.raises(CohortiumError, match="no tenant"):
            tenant_of(session)
    assert tenant.id in tenant_ids(database)


def test_neither_a_tenant_nor_all_of_them_can_be_left_out(database: Database) -> None:
    for wrong in (None, "", str(uuid4())):
        with pytest.raises(TypeError), database.tenant(wrong):
            pass
        with pytest.raises(TypeError), database.all_tenants(wrong):
            pass
    with pytest.raises(ValueError, match="why"):
        AllTenants(reason=" ")


# -- transactions -----------------------------------------------------------------------------------------------------


def test_a_pooled_connection_carries_no_tenant_over(settings: Settings, tenant: Tenant) -> None:
    one = Database(settings.database_url, connections=1)
    with one.tenant(tenant.id) as session:
        add_job(session, tenant.id)
        backend = session.connection().execute(text("SELECT pg_backend_pid()")).scalar_one()
    with pytest.raises(RuntimeError), one.tenant(tenant.id) as session:  # noqa: PT012 - a block is what fails
        add_job(session, tenant.id)
        raise RuntimeError
    with pytest.raises(DBAPIError), one.tenant(tenant.id) as session:
        session.connection().execute(text("SELECT 1/0"))
    with one.engine.connect() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() == backend
        assert connection.execute(text("SELECT current_setting('app.tenant', true)")).scalar_one() == ""
        assert count(connection) == 0
    with one.tenant(tenant.id) as session:
        assert count(session) == 1, "what was raised took its rows with it"
    one.close()


def test_only_the_block_commits(database: Database, tenant: Tenant) -> None:
    with pytest.raises(CohortiumError, match="tried to commit"), database.tenant(tenant.id) as session:  # noqa: PT012
        add_job(session, tenant.id)
        session.commit()
    with database.tenant(tenant.id) as session:
        assert count(session) == 0


def test_a_session_rolled_back_inside_does_not_go_on_without_its_tenant(database: Database, tenant: Tenant) -> None:
    with pytest.raises(Exception, match="closed transaction"), database.tenant(tenant.id) as session:  # noqa: PT012
        session.rollback()
        count(session)


def test_a_savepoint_keeps_the_tenant(database: Database, tenant: Tenant) -> None:
    with database.tenant(tenant.id) as session:
        job_id = add_job(session, tenant.id)
        with pytest.raises(IntegrityError), session.begin_nested():
            session.connection().execute(INSERT_JOB, {"tenant": tenant.id, "id": job_id})
        assert count(session) == 1


def test_a_server_that_does_not_answer_is_unavailable(tenant: Tenant) -> None:
    nowhere = Database("postgresql://cohortium_app:secret@/cohortium?host=/nowhere")
    with pytest.raises(Unavailable) as raised, nowhere.tenant(tenant.id):
        pass
    assert "secret" not in str(raised.value)


# -- the application role ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        "SET ROLE cohortium_owner",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER TABLE jobs DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE jobs NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON jobs",
        "CREATE POLICY all_of_it ON jobs USING (true)",
        "TRUNCATE jobs",
        "CREATE TABLE public.mine (a int)",
        f"ALTER ROLE {APP_ROLE} BYPASSRLS",
        f"ALTER ROLE {APP_ROLE} SUPERUSER",
        f"GRANT cohortium_owner TO {APP_ROLE}",
        "UPDATE audit_entries SET actor = 'nobody'",
        "DELETE FROM audit_entries",
        "DELETE FROM tenants",
        "COPY jobs TO PROGRAM 'true'",
        "UPDATE alembic_version SET version_num = '0'",
    ],
)
def test_the_application_role_cannot_free_itself(database: Database, attempt: str) -> None:
    with (
        database.engine.connect() as connection,
        pytest.raises(ProgrammingError, match=r"denied|must be owner|only role"),
    ):
        connection.execute(text(attempt))


def test_nobody_enters_without_a_password(services: Services) -> None:
    for role in ("postgres", "cohortium_owner", APP_ROLE):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host=str(services.places.sockets), user=role, dbname="cohortium", connect_timeout=5)


def test_a_role_that_sees_past_row_level_security_stops_the_start(
    database: Database, owner_database: Database, services: Services
) -> None:
    database.verify_role()
    superuser = Database(services.database_url("postgres"))
    for strong in (owner_database, superuser):
        with pytest.raises(BadSettings, match="row-level security"):
            strong.verify_role()
    superuser.close()


# -- the tables -------------------------------------------------------------------------------------------------------


def test_row_level_security_is_forced_on_every_table_but_the_services_own(owner_database: Database) -> None:
    with owner_database.engine.connect() as connection:
        unforced = connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
                " AND NOT (relrowsecurity AND relforcerowsecurity)"
            )
        ).scalars()
        assert set(unforced) == {"alembic_version", *service_tables()}


def test_every_table_is_a_tenants_or_says_why_not() -> None:
    assert set(metadata.tables) == {*tenant_tables(), *service_tables()}
    assert [name for name, model in service_tables().items() if not getattr(model, "reason", "")] == []


def test_every_tenant_table_says_how_it_travels() -> None:
    undeclared = [
        name for name, model in tenant_tables().items() if not isinstance(getattr(model, "travels", None), Travels)
    ]
    assert undeclared == []
    left = [model.travels for model in tenant_tables().values() if model.travels.how == "left"]
    assert left
    assert all(travels.reason for travels in left)


def test_every_key_of_a_tenant_table_begins_with_the_tenant(owner_database: Database) -> None:
    with owner_database.engine.connect() as connection:
        indexes = connection.execute(
            text(
                "SELECT c.relname AS table_name, i.indexrelid::regclass::text AS index_name, a.attname AS first_column"
                " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
                " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]"
                " WHERE i.indisunique AND c.relname = ANY(:tables)"
            ),
            {"tables": list(tenant_tables())},
        ).all()
    assert {row.table_name for row in indexes} == set(tenant_tables())
    assert [row.index_name for row in indexes if row.first_column != "tenant_id"] == []


def test_every_reference_between_tenant_tables_names_the_tenant() -> None:
    for name in tenant_tables():
        for constraint in metadata.tables[name].foreign_key_constraints:
            if constraint.referred_table.name in tenant_tables():
                assert "tenant_id" in constraint.column_keys, f"{name}: {constraint.name}"


def test_a_migrated_database_equals_the_models(owner_database: Database, settings: Settings) -> None:
    migrate(settings)  # again: nothing happens
    with owner_database.engine.connect() as connection:
        assert differences(connection) == []


def test_the_policy_of_every_tenant_table_is_the_one_and_only(owner_database: Database) -> None:
    with owner_database.engine.connect() as connection:
        policies = connection.execute(
            text("SELECT tablename, policyname, permissive, cmd, roles::text, qual, with_check FROM pg_policies")
        ).all()
    assert sorted(row.tablename for row in policies) == sorted(tenant_tables())
    assert len({tuple(row)[1:] for row in policies}) == 1
    assert "NULLIF" in policies[0].qual
    assert policies[0].qual == policies[0].with_check


def test_privileges_are_those_that_the_models_state(owner_database: Database) -> None:
    with owner_database.engine.connect() as connection:
        granted = connection.execute(
            text(
                "SELECT table_name, array_agg(privilege_type::text) AS privileges"
                " FROM information_schema.table_privileges"
                " WHERE grantee = :role AND table_schema = 'public' GROUP BY table_name"
            ),
            {"role": APP_ROLE},
        ).all()
    models = {**tenant_tables(), **service_tables()}
    assert {row.table_name: set(row.privileges) for row in granted} == {
        name: set(model.privileges) for name, model in models.items()
    }


def test_protection_is_refused_for_a_table_nobody_declared() -> None:
    with pytest.raises(KeyError):
        protection_of("undeclared")


def test_nothing_in_the_database_sees_more_than_whoever_uses_it(owner_database: Database) -> None:
    """Views and functions with their owner's rights would be ways round row-level security."""
    with owner_database.engine.connect() as connection:
        views = connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND (relkind = 'm' OR"
                " (relkind = 'v' AND NOT coalesce(reloptions::text, '') ~ 'security_invoker=(true|on|1)'))"
            )
        ).scalars()
        assert list(views) == []
        functions = connection.execute(
            text(
                "SELECT proname AS name, coalesce(proconfig::text, '') AS settings,"
                " EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)"
                " AS open"
                " FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
            )
        ).all()
    assert {row.name for row in functions} == {"audit_open_log", "audit_give_ticket", "audit_tickets_drawn"}
    assert [row.name for row in functions if "search_path=pg_catalog, pg_temp" not in row.settings or row.open] == []


def test_a_database_of_another_build_is_refused(
    settings: Settings, owner_database: Database, make_tenant: Callable[..., Tenant]
) -> None:
    make_tenant()
    with owner_database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN surplus int"))
    try:
        with pytest.raises(CohortiumError, match="surplus"):
            migrate(settings)
    finally:
        with owner_database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE jobs DROP COLUMN surplus"))
