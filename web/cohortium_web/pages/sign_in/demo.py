"""Signing in by choosing a fictitious person. These routes exist only in demonstration mode (`app.create_app`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from cohortium_auth.login import Holding, TenantPeople
from cohortium_tenants.organisations import OrganisationGraph, load_graph
from cohortium_tenants.tenants import Tenant
from cohortium_web.browser import site_of
from cohortium_web.pages.sign_in.entering import enter, local_path
from cohortium_web.templating import render_plain

__all__ = ["router"]

router = APIRouter()


@dataclass(frozen=True, slots=True)
class _Choice:
    holding: Holding
    organisation: str
    kind: str


@dataclass(frozen=True, slots=True)
class _TenantChoices:
    tenant: Tenant
    choices: Sequence[_Choice]


@router.get("/sign-in/demo")
def choose(request: Request, next: str = "/") -> Response:  # noqa: A002 - the address' own word
    """The demo people, by tenant."""
    site = site_of(request)
    tenants = []
    for people in site.demo_sign_in().choices():
        with site.database.tenant(people.tenant.id) as session:
            tenants.append(_with_names(people, load_graph(session)))
    return render_plain(request, "sign_in/demo.html", tenants=tenants, wanted=local_path(next))


@router.post("/sign-in/demo")
def sign_in(
    request: Request,
    tenant: Annotated[str, Form()],
    person: Annotated[str, Form()],
    membership: Annotated[str, Form()],
    wanted: Annotated[str, Form()] = "/",
) -> Response:
    """Sign in as one of them."""
    method = site_of(request).demo_sign_in()
    identified = method.identify({"tenant": tenant, "person": person, "membership": membership})
    return enter(request, identified, method.name, wanted)


def _with_names(people: TenantPeople, organisations: OrganisationGraph) -> _TenantChoices:
    choices = []
    for holding in people.holdings:
        node = organisations.nodes.get(holding.organisation)
        name, kind = (holding.organisation, "") if node is None else (node.name, node.type)
        choices.append(_Choice(holding, name, kind))
    return _TenantChoices(people.tenant, choices)
