"""One request by someone signed in: who asks, what they may reach, in which transaction, and what the audit says of it.

Here: `requires(action)`, which every route that is not public declares, and `Asking`, which it gives the route. Not
here: the policies (cohortium_auth.policy) and how a refusal looks (`problems`).

A route is one transaction of the tenant, and its audit entry is written in it: it commits after the page is made and
before the first byte is sent, so what cannot be recorded is not shown. A refusal or failure rolls back and is recorded
in a transaction of its own. A route that records nothing fails, so that none can forget.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any, NoReturn

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cohortium_auth.login import SignedIn, resume, roles_of
from cohortium_auth.policy import (
    Action,
    Decision,
    Obligation,
    PracticeRecords,
    Principal,
    Reach,
    TenantItself,
    allowed_practices,
    decide,
)
from cohortium_platform.audit import Entry, Outcome, record, record_alone
from cohortium_platform.errors import CohortiumError, Forbidden, NotFound
from cohortium_platform.keys import TenantKeys
from cohortium_tenants.keys import open_keys
from cohortium_tenants.organisations import OrganisationGraph, load_graph
from cohortium_tenants.tenants import Tenant
from cohortium_web.browser import browser_of, site_of
from cohortium_web.definitions import Registered
from cohortium_web.middleware import request_id_of, timings_of
from cohortium_web.site import Site
from cohortium_web.templating import Frame, NavigationItem, render

__all__ = ["Asking", "Requires", "patient_hash", "requires"]

_OF_PRACTICES = frozenset({Action.VIEW_REGISTRY, Action.VIEW_PATIENT, Action.EXPORT_LIST})
"""Actions whose resource is a practice's records; the others are asked of the tenant itself."""
_HONOURED = frozenset({Obligation.RECORD_PATIENTS})
_ID_BYTES = 8


@contextmanager
def timed(request: Request, part: str) -> Iterator[None]:
    """Add the time of a block to a named part of the Server-Timing header."""
    began = time.perf_counter()
    try:
        yield
    finally:
        timings = timings_of(request.scope)
        timings[part] = timings.get(part, 0.0) + (time.perf_counter() - began) * 1000


def patient_hash(keys: TenantKeys, patient_id: int) -> bytes:
    """How the audit names a patient: keyed, so that "who saw me" has an answer and the log names nobody."""
    return keys.audit_hash(patient_id.to_bytes(_ID_BYTES, "big"))


@dataclass
class Asking:
    """Everything a route needs to answer. `practices` is the reach of the action, empty for one about no records."""

    request: Request
    site: Site
    session: Session
    who: SignedIn
    tenant: Tenant
    organisations: OrganisationGraph
    on: date
    action: Action
    decision: Decision
    practices: frozenset[str]
    recorded: bool = field(default=False)

    @cached_property
    def keys(self) -> TenantKeys:
        """The tenant's keys, opened for this request when first needed."""
        return open_keys(self.session, self.site.key_encryption)

    @property
    def principal(self) -> Principal:
        """Who asks, as policies see them."""
        return Principal.of(self.who, self.organisations.nodes[self.who.organisation].type)

    @cached_property
    def registry_practices(self) -> frozenset[str]:
        """The practices whose registries this person may see, whatever this request is about."""
        if self.action in _OF_PRACTICES:
            return self.practices
        return allowed_practices(
            self.session, self.principal, Action.VIEW_REGISTRY, self.who.purpose, on=self.on
        ).practices

    @cached_property
    def registries(self) -> Mapping[str, Registered]:
        """The registries that this person may see, by pack; none for a role that sees no registry."""
        return self.site.definitions.of_tenant(self.session) if self.registry_practices else {}

    def name_of(self, code: str) -> str:
        """An organisation's name; its code when the tenant does not know it."""
        node = self.organisations.nodes.get(code)
        return code if node is None else node.name

    def check_practice(self, practice: str, *, resource: str, patients: Sequence[int] = ()) -> None:
        """See that the action is allowed on one practice's records. A refusal is recorded, and looks as if there were
        nothing.
        """
        decision = decide(
            self.session, self.principal, self.action, PracticeRecords(practice), self.who.purpose, on=self.on
        )
        if not decision.allowed:
            self.refuse(resource, practices=[practice], patients=patients)
        self.decision = decision

    def refuse(self, resource: str, *, practices: Sequence[str] = (), patients: Sequence[int] = ()) -> NoReturn:
        """End the request as if there were nothing, and record that it was refused."""
        hashes = [patient_hash(self.keys, patient) for patient in patients]
        raise _Refused(_entry(self, resource, practices=practices, patients=hashes, outcome=Outcome.DENIED))

    def record(
        self,
        resource: str,
        *,
        practices: Collection[str] = (),
        patients: Sequence[int] = (),
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Write this request's audit entry. `patients` are those whose details the answer holds."""
        with self.timed("audit"):
            hashes = [patient_hash(self.keys, patient) for patient in patients]
            record(self.session, _entry(self, resource, practices=sorted(practices), patients=hashes, detail=detail))
        self.recorded = True

    def see_recorded(self) -> None:
        """Stop what would be shown without an audit entry."""
        if not self.recorded:
            raise CohortiumError("A page was made without an audit entry.", "Its route must call record.")

    def timed(self, part: str) -> AbstractContextManager[None]:
        """Add the time of a block to a named part of the Server-Timing header."""
        return timed(self.request, part)

    def frame(self) -> Frame:
        """What stands round this request's page."""
        browser = browser_of(self.request.scope)
        return Frame(
            form_token=browser.form_token(self.site),
            demo=self.site.settings.demo,
            display_name=self.who.display_name,
            role=self.who.role,
            organisation=self.name_of(self.who.organisation),
            tenant=self.tenant.name,
            purpose=self.who.purpose,
            can_change_role=len(roles_of(self.session, self.who.person_id, self.on)) > 1,
            navigation=self._navigation(),
        )

    def _navigation(self) -> tuple[NavigationItem, ...]:
        path = self.request.url.path
        items = [NavigationItem("Home", "/", path == "/")]
        for pack, registered in self.registries.items():
            href = f"/registries/{pack}/"
            items.append(NavigationItem(registered.pack.title, href, path.startswith(href)))
        return tuple(items) if len(items) > 1 else ()

    def part(self, template: str, address: str, **view: object) -> HTMLResponse:
        """Render a part for htmx, which shows the address that a whole page of it has."""
        response = self.page(template, **view)
        response.headers["hx-push-url"] = address
        return response

    def page(self, template: str, **view: object) -> HTMLResponse:
        """Render a whole page or a part."""
        with self.timed("frame"):
            frame = self.frame()
        with self.timed("render"):
            return render(frame, template, view)

    @property
    def wants_part(self) -> bool:
        """Whether htmx asks for a part of the page only."""
        return self.request.headers.get("hx-request-type") == "partial"


class _Refused(NotFound):
    """A refusal by policy on its way to the edge: to the asker it is that there is nothing."""

    def __init__(self, entry: Entry) -> None:
        super().__init__("There is no such page.", "Check the address.")
        self.entry = entry


class Requires:
    """The declaration of a route's action, as a FastAPI dependency that gives its `Asking`."""

    def __init__(self, action: Action) -> None:
        self.action = action

    def __call__(self, request: Request) -> Iterator[Asking]:
        """Open the transaction, decide, let the route work, see that it was recorded, and commit."""
        site = site_of(request)
        tenant_id, token = site.signer.read(browser_of(request.scope).session_cookie)
        asking: Asking | None = None
        try:
            with site.database.tenant(tenant_id) as session:
                with timed(request, "session"):
                    who = resume(session, token)
                asking = self._ask(request, site, session, who)
                yield asking
                asking.see_recorded()
        except _Refused as refused:
            record_alone(site.database, tenant_id, refused.entry)
            raise
        except Exception as failure:
            if asking is not None and _is_failure(failure):
                record_alone(site.database, tenant_id, _entry(asking, _route(request), outcome=Outcome.FAILED))
            raise

    def _ask(self, request: Request, site: Site, session: Session, who: SignedIn) -> Asking:
        """Put together what the route needs, and decide. Raises `_Refused`."""
        with timed(request, "organisations"):
            tenant = session.get_one(Tenant, who.tenant_id)
            organisations, today = load_graph(session), datetime.now(UTC).date()
        if who.organisation not in organisations.nodes:
            raise Forbidden("Your organisation is not known here.", "Ask your ICB's administrator to add it.")
        principal = Principal.of(who, organisations.nodes[who.organisation].type)
        with timed(request, "policy"):
            if self.action in _OF_PRACTICES:
                reach = allowed_practices(session, principal, self.action, who.purpose, on=today)
            else:
                resource = TenantItself(tenant.id)
                reach = Reach(frozenset(), decide(session, principal, self.action, resource, who.purpose, on=today))
        decision, practices = reach.decision, reach.practices
        asking = Asking(
            request, site, session, who, tenant, organisations, today, self.action, decision, practices
        )  # fmt: skip
        if not decision.allowed:
            raise _Refused(_entry(asking, _route(request), outcome=Outcome.DENIED))
        if unknown := decision.obligations - _HONOURED:
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


def _entry(  # noqa: PLR0913 - an entry is this much
    asking: Asking,
    resource: str,
    *,
    practices: Sequence[str] = (),
    patients: Sequence[bytes] = (),
    outcome: Outcome = Outcome.DONE,
    detail: Mapping[str, object] | None = None,
) -> Entry:
    return Entry(
        action=asking.action,
        resource=resource,
        actor=str(asking.who.person_id),
        role=asking.who.role,
        organisation=asking.who.organisation,
        purpose=asking.who.purpose,
        practices=practices,
        patients=patients,
        policy=asking.decision.policy_ids,
        outcome=outcome,
        request_id=request_id_of(asking.request.scope),
        detail=detail or {},
    )


def requires(action: Action) -> Any:  # noqa: ANN401 - what FastAPI's Depends is
    """Declare what a route does; the parameter it stands on receives the `Asking`."""
    return Depends(Requires(action), scope="function")
