"""What a route declares, and what happens around it: signing in, deciding, committing, recording a refusal.

Here: `requires(action)`, which every route that is not public declares. Not here: what the route is given (`asking`).

A route is one transaction of the tenant, and its audit entry is written in it: it commits after the page is made and
before the first byte is sent, so what cannot be recorded is not shown. A refusal or failure rolls back and is recorded
in a transaction of its own. A route that records nothing fails, so that none can forget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request

from cohortium_auth.breakglass import has_open
from cohortium_auth.login import SignedIn, resume
from cohortium_auth.policy import (
    OF_PRACTICES,
    Action,
    Obligation,
    Principal,
    Reach,
    TenantItself,
    allowed_practices,
    decide,
)
from cohortium_platform.audit import Outcome, record_alone
from cohortium_platform.errors import CohortiumError, Forbidden, NotFound, Unauthenticated
from cohortium_tenants.organisations import load_graph
from cohortium_tenants.tenants import Tenant
from cohortium_web.asking import Asking, Refused, entry_of, timed
from cohortium_web.browser import browser_of, site_of
from cohortium_web.site import Site

__all__ = ["Requires", "requires"]

_LONGEST_PART = 100
_OF_PATIENTS = frozenset({Obligation.RECORD_PATIENTS, Obligation.ACTIVE_RELATIONSHIP, Obligation.APPLY_OPT_OUTS})
_HONOURED: Mapping[Action, frozenset[Obligation]] = {
    Action.VIEW_REGISTRY: _OF_PATIENTS,
    Action.VIEW_PATIENT: _OF_PATIENTS,
    Action.EXPORT_LIST: _OF_PATIENTS,
    Action.FILL_IN_TEMPLATE: _OF_PATIENTS,
    Action.VIEW_AGGREGATES: frozenset({Obligation.SUPPRESS, Obligation.APPLY_OPT_OUTS}),
    Action.EXPORT_PSEUDONYMISED: frozenset({Obligation.PSEUDONYMISE, Obligation.APPLY_OPT_OUTS}),
    Action.EXPORT_IDENTIFIABLE: _OF_PATIENTS,
    Action.PREVIEW_PACK: frozenset({Obligation.SUPPRESS, Obligation.APPLY_OPT_OUTS}),
    Action.VIEW_PREVIEW: frozenset({Obligation.SUPPRESS, Obligation.APPLY_OPT_OUTS}),
}
"""What the routes of an action do when a policy obliges to it; a policy that obliges to more lets nobody in."""


class Requires:
    """The declaration of a route's action, as a FastAPI dependency that gives its `Asking`."""

    def __init__(self, action: Action) -> None:
        self.action = action

    def __call__(self, request: Request) -> Iterator[Asking]:
        """Open the transaction, decide, let the route work, see that it was recorded, and commit."""
        site = site_of(request)
        tenant_id, token = site.signer.read(browser_of(request.scope).session_cookie)
        if any(len(str(value)) > _LONGEST_PART for value in request.path_params.values()):
            raise NotFound("There is no such page.", "Check the address.")
        asking: Asking | None = None
        try:
            with site.database.tenant(tenant_id) as session:
                with timed(request, "session"):
                    who = resume(session, token)
                asking = self._ask(request, site, session, who)
                yield asking
                asking.see_recorded()
        except Refused as refused:
            record_alone(site.database, tenant_id, refused.entry)
            raise
        except (Forbidden, Unauthenticated):
            if asking is not None:
                record_alone(site.database, tenant_id, entry_of(asking, _route(request), outcome=Outcome.DENIED))
            raise
        except Exception as failure:
            if asking is not None and _is_failure(failure):
                record_alone(site.database, tenant_id, entry_of(asking, _route(request), outcome=Outcome.FAILED))
            raise

    def _ask(self, request: Request, site: Site, session: Session, who: SignedIn) -> Asking:
        """Put together what the route needs, and decide. Raises `Refused`."""
        with timed(request, "organisations"):
            tenant = session.get_one(Tenant, who.tenant_id)
            organisations, today = load_graph(session), datetime.now(UTC).date()
        if who.organisation not in organisations.nodes:
            raise Forbidden("Your organisation is not known here.", "Ask your ICB's administrator to add it.")
        principal = Principal.of(who, organisations.nodes[who.organisation].type)
        with timed(request, "policy"):
            if self.action in OF_PRACTICES:
                registry = request.path_params.get("pack", "")
                reach = allowed_practices(session, principal, self.action, who.purpose, on=today, registry=registry)
            else:
                resource = TenantItself(tenant.id)
                reach = Reach(frozenset(), decide(session, principal, self.action, resource, who.purpose, on=today))
        decision, practices = reach.decision, reach.practices
        asking = Asking(
            request, site, session, who, tenant, organisations, today, self.action, decision, practices
        )  # fmt: skip
        by_breaking_glass = self.action is Action.VIEW_PATIENT and has_open(session, who)
        if not decision.allowed and not by_breaking_glass:
            raise Refused(entry_of(asking, _route(request), outcome=Outcome.DENIED))
        if unknown := decision.obligations - _HONOURED.get(self.action, frozenset()):
            raise CohortiumError(f"Pages cannot honour {', '.join(sorted(unknown))}.", "The policy asks for too much.")
        return asking


def _is_failure(error: Exception) -> bool:
    """Whether something went wrong here, and not in what was sent."""
    if isinstance(error, RequestValidationError | HTTPException):
        return False
    return not isinstance(error, CohortiumError) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _route(request: Request) -> str:
    """The route's pattern, which holds no value of anybody's."""
    path: str = request.scope["route"].path
    return path


def requires(action: Action) -> Any:  # noqa: ANN401 - what FastAPI's Depends is
    """Declare what a route does; the parameter it stands on receives the `Asking`."""
    return Depends(Requires(action), scope="function")
