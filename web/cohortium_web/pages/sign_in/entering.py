"""What every way to sign in has in common: the tenant, limits, refusals that are recorded, the session opened.

`enter` is the only place that opens a session for a browser. Not here: any way to find out who somebody is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cohortium_auth.login import Identified, end_session, open_session, resume
from cohortium_auth.login.refusals import SignInRefused, TooManyTries
from cohortium_platform.audit import Entry, Outcome, record, record_alone
from cohortium_platform.database import Database
from cohortium_platform.errors import CohortiumError, NotFound, Unauthenticated, Unavailable
from cohortium_tenants.tenants import Tenant, find_tenant
from cohortium_web.browser import Browser, browser_of, keep_session, site_of
from cohortium_web.middleware import request_id_of
from cohortium_web.site import Site

__all__ = ["Entrance", "address_of", "enter", "local_path"]

_UNKNOWN = "unknown"
"""The actor of a sign-in by which nobody was found."""
_NETWORK_BITS = 64


def local_path(wanted: str) -> str:
    """Where to go after signing in: a page of this site, or the home page in place of anything else."""
    is_local = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if is_local else "/"


def address_of(request: Request) -> str:
    """The network address to count tries of: of IPv6 the network that one household or site has to itself."""
    host = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False)) if address.version == 6 else host  # noqa: PLR2004 - the version's name


@dataclass(frozen=True, slots=True)
class Entrance:
    """One request on the way to being signed in at a tenant."""

    request: Request
    site: Site
    tenant: Tenant
    browser: Browser

    @classmethod
    def of(cls, request: Request, slug: str) -> Entrance:
        """The entrance of a tenant. Raises `NotFound`."""
        site = site_of(request)
        try:
            tenant = find_tenant(site.database, slug)
        except NotFound:
            raise NotFound("There is no such place to sign in.", "Begin at the sign-in page.") from None
        return cls(request, site, tenant, browser_of(request.scope))

    @property
    def path(self) -> str:
        """The address of the tenant's sign-in page."""
        return f"/sign-in/to/{self.tenant.slug}"

    def visit(self) -> str:
        """This browser's visit, kept by it from this answer on."""
        self.browser.form_token(self.site)
        return self.browser.visit

    @contextmanager
    def recorded(self, method: str, action: str = "sign-in", **detail: str) -> Iterator[None]:
        """Record a refusal, with the reason that the screen does not show, and a provider that does not answer."""
        try:
            yield
        except SignInRefused as refused:
            actor = _UNKNOWN if refused.person_id is None else str(refused.person_id)
            self._record(action, actor, {"method": method, "why": refused.why, **detail})
            raise
        except TooManyTries as flood:
            if flood.first:
                self._record(action, _UNKNOWN, {"method": method, "why": "too-many-tries", **detail})
            raise
        except Unavailable:
            self._record(action, _UNKNOWN, {"method": method, "why": "no-answer", **detail}, Outcome.FAILED)
            raise

    def _record(self, action: str, actor: str, detail: dict[str, str], outcome: Outcome = Outcome.DENIED) -> None:
        entry = Entry(
            action=action,
            resource="session",
            actor=actor,
            role="",
            purpose="",
            outcome=outcome,
            request_id=request_id_of(self.request.scope),
            detail=detail,
        )
        record_alone(self.site.database, self.tenant.id, entry)


def enter(request: Request, identified: Identified, method: str, wanted: str) -> Response:
    """Open a session for somebody who has proved who they are, and send the browser on. Refusals are recorded; a
    session that this browser had ends.
    """
    site, browser = site_of(request), browser_of(request.scope)
    entry = Entry(
        action="sign-in",
        resource="session",
        actor=str(identified.person_id),
        role="",
        purpose="",
        request_id=request_id_of(request.scope),
        detail={"method": method},
    )
    try:
        with site.database.tenant(identified.tenant_id) as session:
            opened = open_session(
                session, identified.person_id, identified.membership_id, method, standing=identified.standing
            )
            who = opened.who
            detail = {"method": method, "assurance": who.assurance}
            as_who = replace(entry, role=who.role, organisation=who.organisation, purpose=who.purpose, detail=detail)
            record(session, as_who)
    except Unauthenticated:
        record_alone(site.database, identified.tenant_id, replace(entry, outcome=Outcome.DENIED))
        raise
    _end_former(site, site.database, browser)
    response = RedirectResponse(local_path(wanted), HTTPStatus.SEE_OTHER)
    keep_session(browser, response, site.signer.sign(identified.tenant_id, opened.token))
    return response


def _end_former(site: Site, database: Database, browser: Browser) -> None:
    """End the session that this browser brought: it is replaced, and its cookie opens nothing any more."""
    if not browser.session_cookie:
        return
    try:
        tenant_id, token = site.signer.read(browser.session_cookie)
        with database.tenant(tenant_id) as session:
            end_session(session, resume(session, token))
    except CohortiumError:
        return
