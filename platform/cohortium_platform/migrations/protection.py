"""Row-level security as statements: what makes a tenant's rows invisible to any other.

Here: the statements for one table, what the application may do with it, and importing the models that say so. Not here:
when they run.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection

from cohortium_platform.database import APP_ROLE, Privilege, ServiceTable, TenantTable, service_tables, tenant_tables
from cohortium_platform.layers import modules_named

__all__ = ["CURRENT_TENANT", "import_models", "protection_of", "protection_statements"]

CURRENT_TENANT = "nullif(current_setting('app.tenant', true), '')::uuid"
"""The transaction's tenant, or NULL. After a transaction that named one, PostgreSQL gives '' where it gave NULL before:
both mean that there is none."""

_OWN = f"tenant_id = {CURRENT_TENANT}"


def import_models() -> None:
    """Import every module that holds tables, so that `database.metadata` is whole."""
    for module in modules_named("models"):
        importlib.import_module(module)


def protection_of(table: str) -> list[str]:
    """The statements that belong to a table of the metadata, right after it is made."""
    models: dict[str, type[TenantTable | ServiceTable]] = {**tenant_tables(), **service_tables()}
    model = models[table]
    return protection_statements(table, model.privileges, of_tenants=issubclass(model, TenantTable))


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
