"""What the first request would pay for, done before the service says that it is ready.

Here: asking once, for nobody, what every list asks: statements are compiled, policies asked, files' footers read. Not
here: templates (`templating.warm_up`), keys and definitions (`site`).

Nothing of an answer is kept but what libraries keep of themselves, and no identity is opened: the person who asks does
not exist, and of results one row under its pseudonym is read and dropped.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import duckdb
from sqlmodel import Session

from cohortium_auth.login import Purpose, Role, roles_of
from cohortium_auth.policy import Action, Principal, allowed_actions, allowed_practices
from cohortium_platform import identities
from cohortium_platform.errors import CohortiumError
from cohortium_platform.records import records_to
from cohortium_platform.results import ListQuery, RegistryResults, ResultStore
from cohortium_tenants.keys import open_keys
from cohortium_tenants.organisations import OrganisationGraph, load_graph
from cohortium_tenants.tenants import Tenant, tenant_ids
from cohortium_web.site import Site

__all__ = ["rehearse"]

_TIMES = 2
"""The first time fills caches of compiled statements, the second runs as requests will."""


def rehearse(site: Site) -> None:
    """Ask what a list asks of each tenant's registries. A registry without results or with a damaged file, or a tenant
    whose keys are gone, stops nobody's start: their own requests say what is wrong.
    """
    for tenant_id in tenant_ids(site.database):
        for _ in range(_TIMES):
            with suppress(CohortiumError, duckdb.Error), site.database.tenant(tenant_id) as session:
                _rehearse_tenant(site, session, tenant_id)


def _rehearse_tenant(site: Site, session: Session, tenant_id: UUID) -> None:
    session.get(Tenant, tenant_id)
    graph = load_graph(session)
    nobody = _ask_policies(session, tenant_id, graph)
    practices = graph.practices(datetime.now(UTC).date())
    roles_of(session, nobody, datetime.now(UTC).date())
    identities.open_many(session, open_keys(session, site.key_encryption), [], practices=practices)
    store = ResultStore(site.settings.store_root, tenant_id)
    for pack in site.definitions.of_tenant(session):
        with suppress(CohortiumError, duckdb.Error):
            results = RegistryResults(session, site.results, store, pack, practices)
            results.page(ListQuery(limit=1))
            results.page(ListQuery(limit=1, min_gaps=1))
            records_to(session, results.evaluation.snapshot, results.practices)


def _ask_policies(session: Session, tenant_id: UUID, graph: OrganisationGraph) -> UUID:
    """Ask as a clinician who does not exist; gives their id."""
    nobody, today = uuid4(), datetime.now(UTC).date()
    for code, node in list(graph.nodes.items())[:1]:
        principal = Principal(nobody, Role.CLINICIAN, code, node.type)
        allowed_actions(session, principal, tenant_id, Purpose.DIRECT_CARE, on=today)
        allowed_practices(session, principal, Action.VIEW_REGISTRY, Purpose.DIRECT_CARE, on=today)
    return nobody
