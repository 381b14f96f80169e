"""A running site over the real database, and people to sign in as."""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import Session, col, select

from cohortium_auth.login import NewMembership, Role, add_person, roles_of
from cohortium_auth.policy import share
from cohortium_platform.database import Database
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.jobs import Job, JobState, load_kinds, run_job
from cohortium_platform.keys import KeyEncryption
from cohortium_platform.settings import Settings
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.onboarding import onboard
from cohortium_tenants.organisations import (
    Member,
    NewOrganisation,
    OrganisationType,
    RelationshipKind,
    create,
    relate,
)
from cohortium_tenants.packs import definition_of, enable_pack
from cohortium_tenants.tenants import Tenant, create_tenant
from cohortium_web.app import create_app

START = date(2020, 1, 1)
PRACTICES = ("Z90001", "Z90002", "Z90003")
"""Of these the PCN may see the first two: the third has no agreement with it, though it is a member."""
PCN, ICB, TRUST = "U90001", "QT1", "RZ9"
JOBS_OF_PACKS = ("check-pack", "preview-pack", "switch-pack", "report-incident")


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


@pytest.fixture(scope="session")
def new_browser(app: FastAPI, _running: TestClient) -> Callable[[], TestClient]:
    """Make a browser without cookies; it does not follow redirections."""
    return functools.partial(TestClient, app, follow_redirects=False, headers={"accept": "text/html"})


@pytest.fixture
def browser(new_browser: Callable[[], TestClient]) -> TestClient:
    """A browser of its own."""
    return new_browser()


def _organisations(session: Session) -> None:
    """An ICB, a PCN, three practices of which two share with it, and a trust."""
    create(session, NewOrganisation(ICB, "Testshire ICB", OrganisationType.ICB, START))
    create(session, NewOrganisation(PCN, "Elm and Oak PCN", OrganisationType.PCN, START))
    create(session, NewOrganisation(TRUST, "Beech Hospitals", OrganisationType.TRUST, START))
    for code, name in zip(PRACTICES, ("Elm Surgery", "Oak Surgery", "Ash Surgery"), strict=True):
        create(session, NewOrganisation(code, name, OrganisationType.PRACTICE, START))
        relate(session, Member(code, PCN, RelationshipKind.MEMBER_OF, START))
        share(session, code, code, start=START, document=f"DSA {code}")
    for code in PRACTICES[:2]:
        share(session, code, PCN, start=START, document=f"DSA {code} {PCN}")
    for code in (ICB, PCN, TRUST, *PRACTICES):
        onboard(session, code, on=START, document=f"Onboarding of {code}", by="test")


@pytest.fixture
def place(database: Database, tenant: Tenant) -> Tenant:
    """A tenant with organisations and sharing agreements, and no records."""
    with database.tenant(tenant.id) as session:
        _organisations(session)
    return tenant


@pytest.fixture(scope="session")
def hand_made() -> ModuleType:
    """The hand-made patients (`hand_made.py`): tests are no package, so that it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("hand_made", Path(__file__).parent / "hand_made.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make_registry(
    settings: Settings,
    database: Database,
    key_encryption: KeyEncryption,
    hand_made: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Tenant]:
    """Make a tenant whose registry holds the hand-made patients, loaded and evaluated as in life. `unsaid` are codes
    that none of their records ever held; `before` does something to the tenant before anything is evaluated; where
    somebody is `objecting`, they have a type 1 opt-out; `more` are patients beside the hand-made ones.
    """

    def make(
        unsaid: Collection[int] = (),
        before: Callable[[Session], None] = lambda _session: None,
        *,
        objecting: bool = False,
        more: Sequence[object] = (),
    ) -> Tenant:
        tenant = create_tenant(database, key_encryption, slug=f"t{uuid4().hex}", name="Registry ICB", ods_code=ICB)
        with database.tenant(tenant.id) as session:
            _organisations(session)
            enable_pack(session, "cancer-care", by="test")
            before(session)
            found = definition_of(session, "cancer-care")
        practices = hand_made.write_extract(tmp_path_factory.mktemp("gp"), unsaid, objecting=objecting, more=more)
        trust = hand_made.write_trust_extract(tmp_path_factory.mktemp("trust"), unsaid)
        for delivery, options in ((practices, ImportOptions()), (trust, ImportOptions(source=hand_made.TRUST))):
            load_delivery(database, settings, key_encryption, tenant.id, delivery, options, LoadOptions())
        days = [date(2025, month, 28) for month in range(1, 11)]
        request = Request(found.pack, found.definition, found.parameters, [*days, hand_made.INDEX_DATE])
        evaluate_tenant(database, settings, tenant.id, request)
        return tenant

    return make


@pytest.fixture(scope="session")
def registry_place(make_registry: Callable[..., Tenant]) -> Tenant:
    """A tenant whose registry holds the hand-made patients."""
    return make_registry()


@dataclass(frozen=True)
class Someone:
    """A person who can sign in."""

    tenant: UUID
    person: UUID
    memberships: tuple[UUID, ...]


@pytest.fixture(scope="session")
def add_someone(database: Database) -> Callable[..., Someone]:
    """Add a person with roles to a tenant."""

    def make(tenant: Tenant, *roles: tuple[Role, str], name: str = "Dr Ada Okafor") -> Someone:
        with database.tenant(tenant.id) as session:
            person = add_person(session, name, [NewMembership(role, where, START) for role, where in roles])
            found = {(h.role, h.organisation): h.membership_id for h in roles_of(session, person, date(2026, 1, 1))}
        return Someone(tenant.id, person, tuple(found[role] for role in roles))

    return make


@pytest.fixture
def someone(place: Tenant, add_someone: Callable[..., Someone]) -> Callable[..., Someone]:
    """Add a person with roles to `place`."""
    return functools.partial(add_someone, place)


@pytest.fixture(scope="session")
def sign_in(new_browser: Callable[[], TestClient], form_token: Callable[[str], str]) -> Callable[..., TestClient]:
    """Sign a new browser in as someone, through the demo page's own form."""

    def enter(who: Someone, wanted: str = "/") -> TestClient:
        browser = new_browser()
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


@pytest.fixture
def run_jobs(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[Tenant], None]:
    """Run every job about packs that waits in a tenant, as a worker does."""
    for module in ("tasks", "previews", "incidents"):
        monkeypatch.setattr(f"cohortium_tenants.packs.{module}.load_settings", lambda: settings)

    def run(tenant: Tenant) -> None:
        kinds = load_kinds()
        with database.tenant(tenant.id) as session:
            waiting = select(Job.id).where(Job.state == JobState.QUEUED, col(Job.kind).in_(JOBS_OF_PACKS))
            found = session.exec(waiting.order_by(col(Job.created))).all()
        states = [run_job(database, kinds, tenant.id, job) for job in found]
        with database.tenant(tenant.id) as session:
            errors = session.exec(select(Job.error).where(Job.state == JobState.FAILED)).all()
        assert states
        assert set(states) == {JobState.SUCCEEDED}, errors

    return run


@pytest.fixture
def post(form_token: Callable[[str], str]) -> Callable[..., httpx2.Response]:
    """Send a form with the token that its page carries."""

    def send(
        client: TestClient, page: str, path: str, files: Mapping[str, object] | None = None, **fields: str
    ) -> httpx2.Response:
        token = form_token(client.get(page).text)
        return client.post(path, data={"form_token": token, **fields}, files=files)

    return send
