"""One request by someone signed in: who asks, what they may reach, in which transaction, and what the audit says of it.

Here: `Asking`, which every route that is not public is given, and its audit entries. Not here: signing in, deciding and
committing around a route (`requiring`), the policies (cohortium_auth.policy), how a refusal looks (`problems`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import NoReturn

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cohortium_auth.breakglass import open_until, unreviewed
from cohortium_auth.login import Purpose, Role, SignedIn, roles_of
from cohortium_auth.policy import (
    CHANGING,
    OF_PRACTICES,
    Action,
    Decision,
    PracticeRecords,
    Principal,
    Reach,
    allowed_actions,
    allowed_practices,
    decide,
)
from cohortium_platform.audit import Entry, Outcome, record
from cohortium_platform.errors import CohortiumError, NotFound
from cohortium_platform.keys import TenantKeys
from cohortium_platform.portability.read_only import read_only_period
from cohortium_tenants.keys import open_keys
from cohortium_tenants.organisations import OrganisationGraph
from cohortium_tenants.tenants import Tenant
from cohortium_web.browser import browser_of
from cohortium_web.definitions import Registered
from cohortium_web.middleware import request_id_of, timings_of
from cohortium_web.site import Site
from cohortium_web.tables import Table, as_csv, as_json
from cohortium_web.templating import Frame, NavigationItem, render

__all__ = ["Asking", "Refused", "entry_of", "patient_hash", "timed"]

_ID_BYTES = 8


_AREAS = (
    (
        "Information governance",
        "/ig/",
        frozenset({Action.VIEW_ACCESS_MATRIX, Action.SEARCH_AUDIT, Action.DECIDE_APPROVAL, Action.REVIEW_BREAK_GLASS}),
    ),
    ("Onboarding", "/onboarding/", frozenset({Action.VIEW_ONBOARDING, Action.VIEW_OWN_ONBOARDING})),
    ("Approvals", "/approvals/", frozenset({Action.REQUEST_APPROVAL})),
    ("Usage", "/usage/", frozenset({Action.VIEW_USAGE})),
    ("Packs", "/packs/", frozenset({Action.VIEW_CATALOGUE})),
)
"""Parts of the site that are about no record: title, address, and the actions of which any opens it."""

_SAFE = frozenset({"GET", "HEAD"})
_COUNT = frozenset({Role.ICB_ANALYST, Role.PROGRAMME_LEAD})
"""Roles whose pages lead to suppressed counts, where policy allows them."""


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
    reaches: dict[tuple[Action, str], Reach] = field(default_factory=dict)

    @cached_property
    def keys(self) -> TenantKeys:
        """The tenant's keys, opened for this request when first needed."""
        return open_keys(self.session, self.site.key_encryption)

    @property
    def principal(self) -> Principal:
        """Who asks, as policies see them."""
        return Principal.of(self.who, self.organisations.nodes[self.who.organisation].type)

    def reach_of(self, pack: str, action: Action = Action.VIEW_REGISTRY) -> Reach:
        """What this person may reach of one registry, whatever this request is about. Direct care is the same for all
        registries; any other purpose is approved registry by registry.
        """
        if self.action is action and pack == self.request.path_params.get("pack"):
            return Reach(self.practices, self.decision)
        key = (action, "" if self.who.purpose is Purpose.DIRECT_CARE else pack)
        if key not in self.reaches:
            self.reaches[key] = allowed_practices(
                self.session, self.principal, action, self.who.purpose, on=self.on, registry=key[1]
            )
        return self.reaches[key]

    @cached_property
    def registries(self) -> Mapping[str, Registered]:
        """The registries of which this person may see people, by pack; none for a role that sees no registry."""
        of_people = self.action in OF_PRACTICES and self.action is not Action.VIEW_AGGREGATES
        return self._reached(self.action if of_people else Action.VIEW_REGISTRY)

    @cached_property
    def counted(self) -> Mapping[str, Registered]:
        """The registries of which this person may see suppressed counts, by pack."""
        return self._reached(Action.VIEW_AGGREGATES)

    @cached_property
    def pseudonymised(self) -> Mapping[str, Registered]:
        """The registries of which this person may take rows under pseudonyms, by pack."""
        return self._reached(Action.EXPORT_PSEUDONYMISED)

    def _reached(self, action: Action) -> Mapping[str, Registered]:
        everything = self.site.definitions.of_tenant(self.session)
        return {pack: found for pack, found in everything.items() if self.reach_of(pack, action).practices}

    def registry(self, pack: str) -> Registered:
        """One of them. Raises `NotFound`."""
        found = self.registries.get(pack)
        if found is None:
            raise NotFound("There is no such registry.", "Choose one from the home page.")
        return found

    def name_of(self, code: str) -> str:
        """An organisation's name; its code when the tenant does not know it."""
        node = self.organisations.nodes.get(code)
        return code if node is None else node.name

    def check_practice(self, practice: str, *, resource: str, patients: Sequence[int] = ()) -> None:
        """See that the action is allowed on one practice's records. A refusal is recorded, and looks as if there were
        nothing.
        """
        opened = any(open_until(self.session, self.who, patient_hash(self.keys, patient)) for patient in patients)
        decision = decide(
            self.session, self.principal, self.action, PracticeRecords(practice), self.who.purpose,
            on=self.on, registry=self.request.path_params.get("pack", ""), broken_glass=opened,
        )  # fmt: skip
        if not decision.allowed:
            self.refuse(resource, practices=[practice], patients=patients)
        self.decision = decision

    def refuse(self, resource: str, *, practices: Sequence[str] = (), patients: Sequence[int] = ()) -> NoReturn:
        """End the request as if there were nothing, and record that it was refused."""
        hashes = [patient_hash(self.keys, patient) for patient in patients]
        raise Refused(entry_of(self, resource, practices=practices, patients=hashes, outcome=Outcome.DENIED))

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
            record(self.session, entry_of(self, resource, practices=sorted(practices), patients=hashes, detail=detail))
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
            can_change_role=len(self.who.role.purposes) > 1
            or len(roles_of(self.session, self.who.person_id, self.on)) > 1,
            can_break_glass=Action.BREAK_GLASS in self.actions,
            broken_glass=unreviewed(self.session) if Action.REVIEW_BREAK_GLASS in self.actions else (0, 0),
            read_only=read_only_period(self.session),
            navigation=self._navigation(),
        )

    @cached_property
    def actions(self) -> frozenset[Action]:
        """What this person may do that is about no record."""
        return allowed_actions(self.session, self.principal, self.tenant.id, self.who.purpose, on=self.on)

    def answer(self, table: Table, template: str, **view: object) -> Response:
        """A page around a table, or the table alone as CSV or JSON when the address asks for it."""
        asked = table.asked(self.request)
        if self.request.query_params.get("format") == "csv" and not asked.csv_at:
            return as_csv(asked)
        if asked.has_json and self.request.query_params.get("format") == "json":
            return as_json(asked)
        return self.page(template, table=asked, **view)

    def _navigation(self) -> tuple[NavigationItem, ...]:
        path = self.request.url.path
        items = [NavigationItem("Home", "/", path == "/")]
        for pack, registered in self.registries.items():
            href = f"/registries/{pack}/"
            items.append(NavigationItem(registered.pack.title, href, path.startswith(href)))
        if self.who.role in _COUNT:
            for pack, registered in self.counted.items():
                href = f"/aggregates/{pack}/"
                items.append(NavigationItem(f"{registered.pack.title}: counts", href, path.startswith(href)))
        for title, href, needed in _AREAS:
            if needed & self.actions:
                items.append(NavigationItem(title, href, path.startswith(href)))
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


class Refused(NotFound):
    """A refusal by policy on its way to the edge: to the asker it is that there is nothing."""

    def __init__(self, entry: Entry) -> None:
        super().__init__("There is no such page.", "Check the address.")
        self.entry = entry


def entry_of(  # noqa: PLR0913 - an entry is this much
    asking: Asking,
    resource: str,
    *,
    practices: Sequence[str] = (),
    patients: Sequence[bytes] = (),
    outcome: Outcome = Outcome.DONE,
    detail: Mapping[str, object] | None = None,
) -> Entry:
    """The audit entry of a request, ended as it did."""
    return Entry(
        action=asking.action,
        resource=resource,
        actor=str(asking.who.person_id),
        role=asking.who.role,
        organisation=asking.who.organisation,
        purpose=asking.who.purpose,
        practices=practices,
        patients=patients,
        policy=asking.decision.policy_ids if outcome is not Outcome.DENIED or not asking.decision.allowed else "",
        outcome=outcome,
        request_id=request_id_of(asking.request.scope),
        detail={**(detail or {}), **_only_looked(asking), **_relied_on(asking.decision)},
    )


def _only_looked(asking: Asking) -> Mapping[str, bool]:
    """Whether a page that can change something was looked at and nothing changed: the action alone would say it was."""
    return {"looked": True} if asking.request.method in _SAFE and asking.action in CHANGING else {}


def _relied_on(decision: Decision) -> Mapping[str, str]:
    """The approval that a use other than direct care relied on, so that its use can be counted."""
    return {} if decision.approval is None else {"approval": str(decision.approval)}
