"""A running site over the real database, and people to sign in as."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from cohortium_auth.login import NewMembership, Role, add_person, roles_of
from cohortium_auth.policy import share
from cohortium_platform.database import Database
from cohortium_platform.settings import Settings
from cohortium_tenants.organisations import NewOrganisation, OrganisationType, create
from cohortium_tenants.tenants import Tenant
from cohortium_web.app import create_app

START = date(2020, 1, 1)
PRACTICES = ("Z90001", "Z90002", "Z90003")
"""Of these the PCN may see the first two: the third has no agreement with it, though it is a member."""
PCN, ICB = "U90001", "QT1"


@pytest.fixture(scope="session")
def form_token() -> Callable[[str], str]:
    """The token that a page's forms carry."""

    def read(page: str) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', page)
        assert found
        return found[1]

    return read


@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture(scope="session")
def _running(app: FastAPI) -> Iterator[TestClient]:
    """The site, started once."""
    with TestClient(app) as client:
        yield client


@pytest.fixture
def browser(app: FastAPI, _running: TestClient) -> TestClient:
    """A browser of its own, with no cookies; it does not follow redirections."""
    return TestClient(app, follow_redirects=False, headers={"accept": "text/html"})


@pytest.fixture
def place(database: Database, tenant: Tenant) -> Tenant:
    """A tenant with an ICB, a PCN and three practices, of which two share with the PCN."""
    with database.tenant(tenant.id) as session:
        create(session, NewOrganisation(ICB, "Testshire ICB", OrganisationType.ICB, START))
        create(session, NewOrganisation(PCN, "Elm and Oak PCN", OrganisationType.PCN, START))
        for code, name in zip(PRACTICES, ("Elm Surgery", "Oak Surgery", "Ash Surgery"), strict=True):
            create(session, NewOrganisation(code, name, OrganisationType.PRACTICE, START))
            share(session, code, code, start=START, document=f"DSA {code}")
        for code in PRACTICES[:2]:
            share(session, code, PCN, start=START, document=f"DSA {code} {PCN}")
    return tenant


@dataclass(frozen=True)
class Someone:
    """A person who can sign in."""

    tenant: UUID
    person: UUID
    memberships: tuple[UUID, ...]


@pytest.fixture
def someone(database: Database, place: Tenant) -> Callable[..., Someone]:
    """Add a person with roles."""

    def make(*roles: tuple[Role, str], name: str = "Dr Ada Okafor", tenant: Tenant = place) -> Someone:
        with database.tenant(tenant.id) as session:
            person = add_person(session, name, [NewMembership(role, where, START) for role, where in roles])
            found = {(h.role, h.organisation): h.membership_id for h in roles_of(session, person, date(2026, 1, 1))}
        return Someone(tenant.id, person, tuple(found[role] for role in roles))

    return make


@pytest.fixture
def sign_in(browser: TestClient, form_token: Callable[[str], str]) -> Callable[..., TestClient]:
    """Sign a browser in as someone, through the demo page's own form."""

    def enter(who: Someone, wanted: str = "/") -> TestClient:
        token = form_token(browser.get("/sign-in/demo").text)
        answer = browser.post(
            "/sign-in/demo",
            data={
                "form_token": token,
                "tenant": str(who.tenant),
                "person": str(who.person),
                "membership": str(who.memberships[0]),
                "wanted": wanted,
            },
        )
        assert answer.status_code == 303, answer.text
        return browser

    return enter
