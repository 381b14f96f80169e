"""Routes of signing in.

`/sign-in` is the door, whatever the way in; each way (`SignInMethod`) has a page of its own below it. A new way adds
routes as `demo.py` does and ends in `enter`, the only place that opens a session for a browser.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cohortium_auth.login import Identified, end_session, open_session, roles_of
from cohortium_auth.login.models import SignInSession
from cohortium_auth.policy import Action
from cohortium_platform.audit import Entry, Outcome, record, record_alone
from cohortium_platform.errors import Unauthenticated
from cohortium_web.asking import Asking
from cohortium_web.browser import browser_of, forget_session, keep_session, site_of
from cohortium_web.middleware import request_id_of
from cohortium_web.requiring import requires
from cohortium_web.templating import render_plain

__all__ = ["enter", "local_path", "router"]

router = APIRouter()


def local_path(wanted: str) -> str:
    """Where to go after signing in: a page of this site, or the home page in place of anything else."""
    is_local = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and "\n" not in wanted
    return wanted if is_local else "/"


def enter(request: Request, identified: Identified, method: str, wanted: str) -> Response:
    """Open a session for somebody who has proved who they are, and send the browser on. Refusals are recorded."""
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
            opened = open_session(session, identified.person_id, identified.membership_id, method)
            who = opened.who
            record(session, replace(entry, role=who.role, organisation=who.organisation, purpose=who.purpose))
    except Unauthenticated:
        record_alone(site.database, identified.tenant_id, replace(entry, outcome=Outcome.DENIED))
        raise
    response = RedirectResponse(local_path(wanted), HTTPStatus.SEE_OTHER)
    keep_session(browser, response, site.signer.sign(identified.tenant_id, opened.token))
    return response


@router.get("/sign-in")
def door(request: Request, next: str = "/") -> Response:  # noqa: A002 - the address' own word
    """The ways to sign in; where there is one only, straight to it."""
    if site_of(request).settings.demo:
        query = "" if local_path(next) == "/" else "?" + urlencode({"next": local_path(next)})
        return RedirectResponse(f"/sign-in/demo{query}", HTTPStatus.SEE_OTHER)
    return render_plain(request, "sign_in/door.html")


@router.get("/roles")
def show_roles(asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)]) -> Response:
    """The roles that somebody holds, one of which they act in."""
    holdings = roles_of(asking.session, asking.who.person_id, asking.on)
    asking.record("session/roles")
    return asking.page(
        "sign_in/roles.html",
        roles=[
            (holding, asking.name_of(holding.organisation), holding.membership_id == asking.who.membership_id)
            for holding in holdings
        ],
    )


@router.post("/roles")
def change_role(
    asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)], membership: Annotated[UUID, Form()]
) -> Response:
    """Act in another role: this session ends and one in that role begins. Raises `Unauthenticated` when not held."""
    method = asking.session.get_one(SignInSession, (asking.who.tenant_id, asking.who.session)).method
    end_session(asking.session, asking.who)
    opened = open_session(asking.session, asking.who.person_id, membership, method)
    asking.record("session/roles", detail={"role": opened.who.role, "organisation": opened.who.organisation})
    response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    cookie = asking.site.signer.sign(asking.who.tenant_id, opened.token)
    keep_session(browser_of(asking.request.scope), response, cookie)
    return response


@router.post("/sign-out")
def sign_out(asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)]) -> Response:
    """End the session, here and for whoever else might hold its cookie."""
    end_session(asking.session, asking.who)
    asking.record("session", detail={"ended": True})
    response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    forget_session(browser_of(asking.request.scope), response)
    return response
