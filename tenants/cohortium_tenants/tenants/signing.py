"""Who signs a tenant's audit log: its name and its key, put together. Not here: signing (cohortium_platform.audit)."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from cohortium_platform.audit.notes import LogSigner, origin_of
from cohortium_platform.database import AllTenants, Database
from cohortium_platform.errors import NotFound
from cohortium_platform.keys import KeyEncryption
from cohortium_tenants.keys.service import open_log_key
from cohortium_tenants.tenants.models import Tenant

__all__ = ["log_signer", "log_signers"]


def log_signer(database: Database, key_encryption: KeyEncryption, tenant: Tenant) -> LogSigner:
    """The signer of a tenant's log. Raises `NotFound` when its keys are destroyed."""
    with database.tenant(tenant.id) as session:
        return LogSigner(origin_of(tenant.slug, tenant.id), open_log_key(session, key_encryption))


def log_signers(key_encryption: KeyEncryption) -> Callable[[Database, UUID], LogSigner]:
    """How the worker, which knows tenants by their ids, finds signers."""

    def find(database: Database, tenant_id: UUID) -> LogSigner:
        with database.all_tenants(AllTenants(reason="a tenant's log is signed under its name")) as session:
            tenant = session.get(Tenant, tenant_id)
        if tenant is None:
            raise NotFound("There is no such tenant.")
        return log_signer(database, key_encryption, tenant)

    return find
