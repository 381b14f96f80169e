"""What commands stand on: settings, database, keys, one tenant.

Where no setting is given and a demonstration lies in `.demo`, commands work on that one, and start its servers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cohortium_platform.database import Database
from cohortium_platform.keys import KeyEncryption, TenantKeys, load_key_encryption
from cohortium_platform.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from cohortium_tenants.keys import open_keys
from cohortium_tenants.tenants import Tenant, find_tenant

__all__ = ["DEMO_FOLDER", "Place", "open_place"]

DEMO_FOLDER = Path(".demo")


@dataclass(frozen=True)
class Place:
    """A running installation, as commands see it."""

    settings: Settings
    database: Database
    key_encryption: KeyEncryption

    def tenant(self, slug: str) -> Tenant:
        """Find a tenant. Raises `NotFound`."""
        return find_tenant(self.database, slug)

    def keys(self, tenant: Tenant) -> TenantKeys:
        """Open a tenant's keys."""
        with self.database.tenant(tenant.id) as session:
            return open_keys(session, self.key_encryption)


@contextmanager
def open_place() -> Iterator[Place]:
    """Open the installation that the environment names, or the demonstration in the current folder."""
    if not any(name.startswith(ENVIRONMENT_PREFIX) for name in os.environ):
        from cohortium_web.demo import use_demo  # noqa: PLC0415 - needs the wheels of `cohortium[demo]`

        use_demo(DEMO_FOLDER)
    settings = load_settings()
    database = Database(settings.database_url)
    try:
        database.verify_role()
        yield Place(settings, database, load_key_encryption(settings))
    finally:
        database.close()
