"""Signing in by choosing a name, for a demonstration with fictitious people. Exists only where the settings say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from cohortium_auth.login.people import Holding, holdings_on
from cohortium_auth.login.signed_in import HIGHEST_ASSURANCE, Identified, Standing
from cohortium_platform.database import Database
from cohortium_platform.errors import BadSettings, Unauthenticated
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import Tenant, list_tenants

__all__ = ["DemoSignIn", "TenantPeople"]


@dataclass(frozen=True, slots=True)
class TenantPeople:
    """A tenant and those who can sign in to it, one holding for each role."""

    tenant: Tenant
    holdings: Sequence[Holding]


class DemoSignIn:
    """A `SignInMethod` that believes what it is told. Raises `BadSettings` when made outside demonstration mode."""

    name = "demo"

    def __init__(self, settings: Settings, database: Database) -> None:
        if not settings.demo:
            raise BadSettings("Demo sign-in exists only with COHORTIUM_DEMO=true.")
        self._database = database

    def choices(self) -> Sequence[TenantPeople]:
        """Whom one can sign in as, by tenant."""
        today = datetime.now(UTC).date()
        found = []
        for tenant in list_tenants(self._database):
            with self._database.tenant(tenant.id) as session:
                found.append(TenantPeople(tenant, holdings_on(session, today)))
        return found

    def identify(self, answer: Mapping[str, str]) -> Identified:
        """Take the tenant, person and membership that the page's button names."""
        try:
            tenant, person, membership = (UUID(answer[name]) for name in ("tenant", "person", "membership"))
        except (KeyError, ValueError) as wrong:
            raise Unauthenticated("That is not one of the demo people.", "Choose one from the page.") from wrong
        return Identified(tenant, person, membership, Standing(assurance=HIGHEST_ASSURANCE))
