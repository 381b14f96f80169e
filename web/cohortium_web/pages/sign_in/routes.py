"""Routes of signing in and of the session itself.

`/sign-in` is the door: the tenant is chosen there, then one of its ways in. Each way has a module beside this one and
ends in `entering.enter`. Here as well: changing role and purpose, and signing out.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cohortium_auth.login import (
    Purpose,
    change_session,
    end_other_sessions,
    end_session,
    offered_roles,
    open_sessions_of,
)
from cohortium_auth.login.local import account_name
from cohortium_auth.login.models import SignInSession
from cohortium_auth.login.oidc import enabled_providers, provider_of
from cohortium_auth.policy import Action
from cohortium_platform.errors import BadInput
from cohortium_tenants.tenants import list_tenants
from cohortium_web.asking import Asking
from cohortium_web.browser import browser_of, forget_session, keep_session, site_of
from cohortium_web.pages.sign_in.entering import Entrance, local_path
from cohortium_web.requiring import requires
from cohortium_web.templating import render_plain

__all__ = ["router"]

router = APIRouter()


@router.get("/sign-in")
def door(request: Request, next: str = "/") -> Response:  # noqa: A002 - the address' own word
    """The tenants; where there is one only, straight to its ways in."""
    site, wanted = site_of(request), local_path(next)
    query = "" if wanted == "/" else "?" + urlencode({"next": wanted})
    if site.settings.demo:
        return RedirectResponse(f"/sign-in/demo{query}", HTTPStatus.SEE_OTHER)
    tenants = list_tenants(site.database)
    if len(tenants) == 1:
        return RedirectResponse(f"/sign-in/to/{tenants[0].slug}{query}", HTTPStatus.SEE_OTHER)
    return render_plain(request, "sign_in/door.html", tenants=tenants, query=query)


@router.get("/sign-in/to/{tenant}")
def ways_in(request: Request, tenant: str, next: str = "/") -> Response:  # noqa: A002 - the address' own word
    """A tenant's ways in: its providers, or accounts of its own where it has none."""
    entrance, wanted = Entrance.of(request, tenant), local_path(next)
    with entrance.site.database.tenant(entrance.tenant.id) as session:
        providers = enabled_providers(session)
    query = "" if wanted == "/" else "?" + urlencode({"next": wanted})
    return render_plain(
        request,
        "sign_in/ways.html" if providers else "sign_in/account.html",
        tenant=entrance.tenant,
        providers=providers,
        query=query,
        wanted=wanted,
        name="",
        wrong="",
    )


@router.get("/roles")
def show_roles(asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)]) -> Response:
    """The roles that somebody may act in now, of which they act in one, and the purposes of each."""
    holdings = offered_roles(asking.session, asking.who, asking.on)
    asking.record("session/roles")
    return asking.page(
        "sign_in/roles.html",
        roles=[
            (holding, asking.name_of(holding.organisation), holding.membership_id == asking.who.membership_id)
            for holding in holdings
        ],
        purpose=asking.who.purpose,
        has_account=bool(account_name(asking.session, asking.who.person_id)),
    )


@router.post("/roles")
def change_role(
    asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)],
    membership: Annotated[UUID, Form()],
    purpose: Annotated[str, Form()] = "",
) -> Response:
    """Act in another role, or for another purpose: this session ends and one in that role begins, with decisions of its
    own. Raises `Unauthenticated` when the role is not held or was not offered, or has no such purpose.
    """
    if purpose and purpose not in set(Purpose):
        raise BadInput("That is no purpose.", "Choose one from the page.")
    opened = change_session(asking.session, asking.who, membership, Purpose(purpose) if purpose else None)
    who = opened.who
    asking.record("session/roles", detail={"role": who.role, "organisation": who.organisation, "purpose": who.purpose})
    response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    cookie = asking.site.signer.sign(asking.who.tenant_id, opened.token)
    keep_session(browser_of(asking.request.scope), response, cookie)
    return response


@router.get("/sessions")
def show_sessions(asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)]) -> Response:
    """Where else one is signed in."""
    asking.record("session/list")
    return asking.page(
        "sign_in/sessions.html",
        sessions=[(each, asking.name_of(each.organisation)) for each in open_sessions_of(asking.session, asking.who)],
    )


@router.post("/sessions")
def end_others(asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)]) -> Response:
    """Sign out everywhere else."""
    ended = end_other_sessions(asking.session, asking.who)
    asking.record("session/list", detail={"ended": ended})
    return RedirectResponse("/sessions", HTTPStatus.SEE_OTHER)


@router.post("/sign-out")
def sign_out(asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)]) -> Response:
    """End the session, here and for whoever else might hold its cookie. A provider's own session goes on there."""
    row = asking.session.get_one(SignInSession, (asking.who.tenant_id, asking.who.session))
    provider = None if row.provider_id is None else provider_of(asking.session, row.provider_id)
    end_session(asking.session, asking.who)
    asking.record("session", detail={"ended": True})
    known = provider is not None and provider.enabled
    target = f"/sign-in/to/{asking.tenant.slug}/with/{provider.name}/signed-out" if provider and known else "/sign-in"
    response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
    forget_session(browser_of(asking.request.scope), response)
    return response
