"""Making and finding tenants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from cohortium_platform.audit import Entry, open_log, record
from cohortium_platform.database import AllTenants, Database
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_platform.keys import KeyEncryption
from cohortium_tenants.keys.service import create_keys
from cohortium_tenants.tenants.models import Tenant

__all__ = ["create_tenant", "find_tenant", "list_tenants", "tenant_ids"]

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def create_tenant(database: Database, key_encryption: KeyEncryption, *, slug: str, name: str, ods_code: str) -> Tenant:
    """Make a tenant with keys of its own. Raises `BadInput` on a bad slug and `Conflict` on one that is taken.

    Its keys are made first, in a transaction of the tenant's: a crash between the two leaves wrapped keys of a tenant
    that nobody can name, and never a tenant without keys.
    """
    if not _SLUG.fullmatch(slug):
        raise BadInput(f"A tenant cannot be called {slug!r}.", "Use small letters, digits and single hyphens.")
    tenant = Tenant(slug=slug, name=name, ods_code=ods_code)
    with database.tenant(tenant.id) as session:
        create_keys(session, key_encryption)
        open_log(session)
        record(session, Entry(action="tenant.create", resource=f"tenant/{slug}", detail={"ods_code": ods_code}))
    try:
        with database.all_tenants(AllTenants(reason="a tenant is made")) as session:
            session.add(tenant)
    except IntegrityError as taken:
        raise Conflict(f"There is a tenant called {slug} already.", "Choose another slug.") from taken
    return tenant


def find_tenant(database: Database, slug: str) -> Tenant:
    """The tenant of a slug. Raises `NotFound`."""
    with database.all_tenants(AllTenants(reason="a tenant is found by its slug")) as session:
        tenant = session.exec(select(Tenant).where(Tenant.slug == slug)).one_or_none()
    if tenant is None:
        raise NotFound(f"There is no tenant called {slug!r}.", "`cohortium tenant list` shows those there are.")
    return tenant


def list_tenants(database: Database) -> Sequence[Tenant]:
    """Every tenant, by slug."""
    with database.all_tenants(AllTenants(reason="tenants are listed")) as session:
        return session.exec(select(Tenant).order_by(col(Tenant.slug))).all()


def tenant_ids(database: Database) -> Sequence[UUID]:
    """Every tenant's id, for work that the service does for each in turn."""
    return [tenant.id for tenant in list_tenants(database)]
