"""Signing in through a provider: sent there, back from there, the role chosen, and the provider's word of a logout.

Not here: what is verified (cohortium_auth.login.oidc).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cohortium_auth.login.limits import BEGINNINGS, PROGRAM
from cohortium_auth.login.oidc import (
    Begun,
    OpenedProvider,
    Recognised,
    begin,
    end_by_logout_token,
    finish,
    hold,
    open_provider,
    recognise,
    release,
)
from cohortium_auth.login.oidc.logout import verify
from cohortium_auth.login.refusals import SignInRefused, TooManyTries
from cohortium_platform.audit import Entry, record
from cohortium_platform.errors import Unavailable
from cohortium_tenants.keys import open_keys
from cohortium_tenants.organisations import load_graph
from cohortium_web.middleware import request_id_of
from cohortium_web.pages.sign_in.entering import Entrance, address_of, enter, local_path
from cohortium_web.templating import render_plain

__all__ = ["router"]

router = APIRouter()


@router.get("/sign-in/to/{tenant}/with/{provider}")
def to_provider(request: Request, tenant: str, provider: str, next: str = "/") -> Response:  # noqa: A002 - the address' own word
    """Send the browser to the provider."""
    entrance = Entrance.of(request, tenant)
    with entrance.recorded(provider):
        entrance.site.limits.count(BEGINNINGS, address_of(request))
        opened = _open(entrance, provider)
        entrance.site.providers.metadata(opened)  # asked before anything is kept: a provider may be down
    with entrance.site.database.tenant(entrance.tenant.id) as session:
        url = begin(
            session,
            open_keys(session, entrance.site.key_encryption),
            entrance.site.providers,
            opened,
            visit=entrance.visit(),
            redirect=_redirect(entrance, provider),
            wanted=local_path(next),
        )
    return RedirectResponse(url, HTTPStatus.SEE_OTHER)


@router.get("/sign-in/to/{tenant}/with/{provider}/back")
def from_provider(request: Request, tenant: str, provider: str) -> Response:
    """Take what the browser brings back: one session, a choice of roles, or a refusal."""
    entrance = Entrance.of(request, tenant)
    site, answer = entrance.site, dict(request.query_params)
    with entrance.recorded(provider):
        site.limits.count(BEGINNINGS, address_of(request))
        opened = _open(entrance, provider)
        with site.database.tenant(entrance.tenant.id) as session:
            keys = open_keys(session, site.key_encryption)
            begun = Begun.taken(session, keys, opened, entrance.browser.visit, answer.get("state", ""))
        finished = finish(site.providers, opened, begun, answer, redirect=_redirect(entrance, provider))
        with site.database.tenant(entrance.tenant.id) as session:
            recognised = recognise(session, finished)
    if recognised.chosen is not None:
        identified = recognised.identified(entrance.tenant.id, recognised.chosen)
        return enter(request, identified, recognised.method, recognised.wanted)
    return choice_page(entrance, recognised)


def choice_page(entrance: Entrance, recognised: Recognised) -> Response:
    """Ask in which of several roles somebody will act. No session is open yet."""
    with entrance.site.database.tenant(entrance.tenant.id) as session:
        keys = open_keys(session, entrance.site.key_encryption)
        token = hold(session, keys, recognised, entrance.visit())
        nodes = load_graph(session).nodes
    names = {code: node.name for code, node in nodes.items()}
    return render_plain(
        entrance.request,
        "sign_in/choose.html",
        tenant=entrance.tenant,
        token=token,
        roles=[(each, names.get(each.organisation, each.organisation)) for each in recognised.holdings],
    )


@router.post("/sign-in/to/{tenant}/role")
def in_role(
    request: Request, tenant: str, token: Annotated[str, Form()], membership: Annotated[UUID, Form()]
) -> Response:
    """Open the session in the role that was chosen."""
    entrance = Entrance.of(request, tenant)
    with entrance.recorded("role"), entrance.site.database.tenant(entrance.tenant.id) as session:
        keys = open_keys(session, entrance.site.key_encryption)
        released = release(
            session,
            keys,
            tenant_id=entrance.tenant.id,
            visit=entrance.browser.visit,
            token=token,
            membership=membership,
        )
    return enter(request, released.identified, released.method, released.wanted)


@router.get("/sign-in/to/{tenant}/with/{provider}/signed-out")
def signed_out(request: Request, tenant: str, provider: str) -> Response:
    """Say that the session here is over and the provider's own is not: on a shared computer that matters."""
    entrance = Entrance.of(request, tenant)
    opened = _open(entrance, provider)
    back = f"{entrance.site.address(request)}/sign-in"
    try:
        there = entrance.site.providers.sign_out_url(opened, back)
    except Unavailable:
        there = ""
    return render_plain(request, "sign_in/signed_out.html", title=opened.title, there=there, tenant=entrance.tenant)


@router.post("/sign-in/to/{tenant}/with/{provider}/logout")
def logged_out(request: Request, tenant: str, provider: str, logout_token: Annotated[str, Form()] = "") -> Response:
    """End the sessions that the provider says are over. Answers programs: 200, or 400 with a word."""
    entrance = Entrance.of(request, tenant)
    site = entrance.site
    try:
        with entrance.recorded(provider, "back-channel-logout"), site.limits.failures((PROGRAM, address_of(request))):
            opened = _open(entrance, provider)
            claims = verify(site.providers, opened, logout_token)
            with site.database.tenant(entrance.tenant.id) as session:
                ended = end_by_logout_token(session, opened, claims)
                entry = Entry(
                    action="back-channel-logout",
                    resource="session",
                    actor="unknown" if ended.person_id is None else str(ended.person_id),
                    role="",
                    purpose="",
                    request_id=request_id_of(request.scope),
                    detail={"method": provider, "sessions": ended.sessions},
                )
                record(session, entry)
    except (SignInRefused, TooManyTries, Unavailable):
        return JSONResponse({"error": "invalid_request"}, HTTPStatus.BAD_REQUEST)
    return Response(status_code=HTTPStatus.OK)


def _open(entrance: Entrance, provider: str) -> OpenedProvider:
    with entrance.site.database.tenant(entrance.tenant.id) as session:
        return open_provider(session, open_keys(session, entrance.site.key_encryption), provider)


def _redirect(entrance: Entrance, provider: str) -> str:
    """The address that is registered at the provider. Each provider has its own, so that one's answer cannot be brought
    to another's.
    """
    return f"{entrance.site.address(entrance.request)}{entrance.path}/with/{provider}/back"
