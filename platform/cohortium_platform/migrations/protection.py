"""Row-level security as statements: what makes a tenant's rows invisible to any other.

Here: the statements for one table, what the application may do with it, and importing the models that say so. Not here:
when they run.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection

from cohortium_platform.database import (
    APP_ROLE,
    READ_ONLY_STATE,
    Privilege,
    ServiceTable,
    TenantTable,
    service_tables,
    tenant_tables,
)
from cohortium_platform.layers import modules_named

__all__ = ["CURRENT_TENANT", "READ_ONLY_FUNCTION", "import_models", "protection_of", "protection_statements"]

CURRENT_TENANT = "nullif(current_setting('app.tenant', true), '')::uuid"
"""The transaction's tenant, or NULL. After a transaction that named one, PostgreSQL gives '' where it gave NULL before:
both mean that there is none."""

_OWN = f"tenant_id = {CURRENT_TENANT}"

READ_ONLY_FUNCTION = f"""
    CREATE FUNCTION refuse_while_read_only() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        since timestamptz;
        why text;
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('writing ' || {CURRENT_TENANT}, 0));
        SELECT began, reason INTO since, why FROM public.read_only_periods WHERE {_OWN} AND ended IS NULL;
        IF FOUND THEN
            RAISE EXCEPTION 'since % (%)',
                to_char(since AT TIME ZONE 'Europe/London', 'FMDD FMMonth YYYY, HH24:MI'), why
                USING ERRCODE = '{READ_ONLY_STATE}';
        END IF;
        RETURN NULL;
    END $$
"""  # noqa: S608 - no value of anyone's is in it
"""What refuses a change of a tenant in a read-only period. The shared lock keeps a period from beginning while a
transaction that has changed something is not at its end."""


def import_models() -> None:
    """Import every module that holds tables, so that `database.metadata` is whole."""
    for module in modules_named("models"):
        importlib.import_module(module)


def protection_of(table: str) -> list[str]:
    """The statements that belong to a table of the metadata, right after it is made."""
    models: dict[str, type[TenantTable | ServiceTable]] = {**tenant_tables(), **service_tables()}
    model = models[table]
    statements = protection_statements(table, model.privileges, of_tenants=issubclass(model, TenantTable))
    if issubclass(model, TenantTable) and not model.changes_while_read_only:
        statements.append(
            f'CREATE TRIGGER read_only BEFORE INSERT OR UPDATE OR DELETE ON "{table}"'
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_while_read_only()"
        )
    return statements


def protection_statements(table: str, privileges: Collection[Privilege], *, of_tenants: bool) -> list[str]:
    """Statements that give the application its privileges, and on a tenant table force row-level security.

    FORCE binds the owner too: without it, a migration or a view of the owner's would see every tenant.
    """
    granted = ", ".join(privilege for privilege in Privilege if privilege in privileges)
    statements = [f'REVOKE ALL ON "{table}" FROM PUBLIC', f'GRANT {granted} ON "{table}" TO {APP_ROLE}']
    if of_tenants:
        statements += [
            f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
            f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
            f'CREATE POLICY tenant ON "{table}" USING ({_OWN}) WITH CHECK ({_OWN})',
        ]
    return statements
