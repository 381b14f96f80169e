"""Signing in through a real OpenID provider (npm oidc-provider in a child process), honest and otherwise."""

from __future__ import annotations

import html
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import RSAKey
from sqlmodel import select

from cohortium_auth.login import Role, end_membership
from cohortium_auth.login.models import SignInSession
from cohortium_auth.login.oidc import (
    Kind,
    NewProvider,
    add_provider,
    find_provider,
    link_person,
    replace_secret,
    set_enabled,
    unlink_person,
)
from cohortium_auth.login.oidc.kinds import Rules
from cohortium_platform.audit import AuditEntry

pytestmark = pytest.mark.xdist_group("openid-provider")  # one provider serves all of these

PCN, ICB, PRACTICE = "U90001", "QT1", "Z90001"
SITE = "http://testserver"
SUBJECT = "subject-1"


@dataclass
class TestProvider:
    """The provider's process, told through its control address what to say next."""

    __test__ = False
    issuer: str
    http: httpx2.Client = field(default_factory=httpx2.Client)

    def control(self, **state: object) -> int:
        """Change what it does; gives how often its keys were asked for."""
        return self.http.post(f"{self.issuer}/_control", json=state).json()["asked"]

    def logout_token(self, **about: object) -> str:
        return self.http.post(f"{self.issuer}/_logout_token", json=about).json()["logout_token"]

    def answer(self, url: str) -> str:
        """Where the provider sends a browser of its own that comes to an address and signs in there."""
        with httpx2.Client() as browser:
            for _ in range(8):
                found = browser.get(url)
                assert found.status_code in {302, 303}, found.text
                url = str(httpx2.URL(url).join(found.headers["location"]))
                if url.startswith(SITE):
                    return url.removeprefix(SITE)
        raise AssertionError("the provider sent nobody back")


@pytest.fixture(scope="module")
def openid_provider() -> Iterator[TestProvider]:
    beside = Path(sys.executable).with_name("node")
    node = str(beside) if beside.exists() else shutil.which("node")
    assert node, "Node is needed: deploy/install-assets.sh installs it"
    script = Path(__file__).parents[1] / "oidc_provider" / "provider.mjs"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([node, script], text=True, **pipes) as process:
        provider = TestProvider(json.loads(process.stdout.readline())["issuer"])
        yield provider
        provider.http.close()
        process.stdin.close()
        assert process.wait(10) == 0


@dataclass
class Registered:
    """A tenant's registration at the provider, and how to sign in by it."""

    tenant: object
    provider: TestProvider
    client: str
    browser: Callable[[], TestClient]

    @property
    def path(self) -> str:
        return f"/sign-in/to/{self.tenant.slug}/with/main"

    def begin(self, browser: TestClient, wanted: str = "/") -> str:
        """To the provider: its address for this sign-in."""
        answer = browser.get(self.path, params={"next": wanted})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def sign_in(self, browser: TestClient | None = None, wanted: str = "/"):
        """All the way to the provider and back; gives the last answer and the browser."""
        browser = browser or self.browser()
        return browser.get(self.provider.answer(self.begin(browser, wanted))), browser


@pytest.fixture
def register(openid_provider, place, database, tenant_keys, new_browser) -> Callable[..., Registered]:
    """Register the tenant at the provider, and the provider with the tenant."""
    openid_provider.control(account=SUBJECT, acr="high", claims={}, misbehave="")

    def make(kind=Kind.OIDC, rules=None, acr_values=(), *, own_key: bool = False) -> Registered:
        client = f"cohortium-{place.slug}"
        path = f"{SITE}/sign-in/to/{place.slug}/with/main"
        registration = {
            "client_id": client,
            "client_secret": "a-secret-of-the-client",
            "redirect_uris": [f"{path}/back"],
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "backchannel_logout_uri": "https://cohortium.example/logout",
            "backchannel_logout_session_required": True,
        }
        secret, key_id = "a-secret-of-the-client", ""
        if own_key:
            key = RSAKey.generate_key(2048, {"kid": "ours", "alg": "RS512", "use": "sig"})
            secret, key_id = key.as_pem(private=True).decode(), "ours"
            registration |= {
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": "RS512",
                "jwks": {"keys": [key.as_dict(private=False)]},
            }
            del registration["client_secret"]
        openid_provider.control(client=registration)
        new = NewProvider(
            "main", "Test Identity", kind, openid_provider.issuer, client, secret, key_id=key_id,
            acr_values=acr_values, rules=rules or Rules(),
        )  # fmt: skip
        with database.tenant(place.id) as session:
            add_provider(session, tenant_keys, new, loopback=True)
        return Registered(place, openid_provider, client, new_browser)

    return make


@pytest.fixture
def linked(someone, database, place) -> Callable[..., object]:
    """Someone with roles, linked to a subject of the provider."""

    def make(*roles, subject: str = SUBJECT, name: str = "Dr Ada Okafor"):
        who = someone(*roles, name=name)
        with database.tenant(place.id) as session:
            link_person(session, "main", subject, who.person, by="test")
        return who

    return make


@pytest.fixture
def entries(database, place) -> Callable[..., list[AuditEntry]]:
    def read(action: str = "sign-in"):
        with database.tenant(place.id) as session:
            found = session.exec(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.at)).all()
        return list(found)

    return read


@pytest.fixture
def sessions(database, place) -> Callable[[], list[SignInSession]]:
    def read():
        with database.tenant(place.id) as session:
            return list(session.exec(select(SignInSession)).all())

    return read


def test_the_tenants_page_offers_its_provider_and_no_password(register, place, browser) -> None:
    register()
    page = browser.get(f"/sign-in/to/{place.slug}", params={"next": "/roles"}).text
    assert "Sign in with Test Identity" in page
    assert f"/sign-in/to/{place.slug}/with/main?next=%2Froles" in page
    assert "assword" not in page


@pytest.mark.parametrize("own_key", [False, True])
def test_a_linked_person_signs_in(register, linked, entries, sessions, own_key) -> None:
    registered = register(own_key=own_key)
    who = linked((Role.CLINICIAN, PCN))
    for _ in range(2):  # an assertion made twice the same would be refused the second time
        answer, browser = registered.sign_in(wanted="/roles")
        assert (answer.status_code, answer.headers["location"]) == (303, "/roles"), answer.text
    assert "clinician, Elm and Oak PCN" in browser.get("/").text
    entry = entries()[-1]
    assert (entry.actor, entry.outcome, entry.detail["method"]) == (str(who.person), "done", "oidc")
    assert {row.provider_session != "" for row in sessions()} == {True}


def test_what_the_provider_is_sent(register) -> None:
    registered = register(acr_values=("high",))
    browser = registered.browser()
    url = registered.begin(browser)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["acr_values"] == "high"
    assert asked["redirect_uri"] == f"{SITE}{registered.path}/back"
    for secret in ("state", "nonce", "code_challenge"):
        assert len(asked[secret]) >= 43
        assert all(asked[secret] not in str(cookie.value) for cookie in browser.cookies.jar)


FORGED = {
    "wrong-audience": "aud",
    "two-audiences": "aud",
    "wrong-party": "azp",
    "wrong-issuer": "iss",
    "alg-none": "algorithm",
    "hs256-public-key": "algorithm",
    "hs256-client-secret": "algorithm",
    "missing-nonce": "nonce",
    "other-nonce": "nonce",
    "unknown-key": "unknown-key",
    "known-kid-other-key": "signature",
    "own-key-in-header": "unreadable",
    "expired": "exp",
    "from-tomorrow": "iat",
    "never-expires": "exp",
    "no-subject": "sub",
    "wrong-response-issuer": "response-issuer",
    "no-response-issuer": "response-issuer",
}


@pytest.mark.parametrize(("attack", "why"), FORGED.items())
def test_a_forged_answer_opens_no_session_and_is_recorded(register, linked, entries, sessions, attack, why) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    registered.provider.control(misbehave=attack)
    answer, browser = registered.sign_in()
    assert answer.status_code == 403
    assert "could not be trusted" in answer.text
    (entry,) = entries()
    assert (entry.outcome, entry.detail["why"], entry.actor) == ("denied", why, "unknown")
    assert sessions() == []
    assert browser.get("/").status_code == 303


def test_an_unknown_key_is_asked_for_once_and_no_flood_reaches_the_provider(register, linked) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    registered.sign_in()
    before = registered.provider.control(misbehave="unknown-key")
    for _ in range(4):
        assert registered.sign_in()[0].status_code == 403
    assert registered.provider.control(misbehave="") - before <= 1


def test_a_state_that_this_browser_did_not_begin_is_a_page_in_words(register, linked, entries, sessions) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    back = registered.provider.answer(registered.begin(registered.browser()))
    stolen = registered.browser().get(back)  # login CSRF: another browser is made to finish it
    assert stolen.status_code == 400
    assert "Begin again from the sign-in page" in stolen.text
    registered.provider.control(misbehave="other-state")
    assert registered.sign_in()[0].status_code == 400
    assert registered.browser().get(f"{registered.path}/back").status_code == 400
    assert [entry.detail["why"] for entry in entries()] == ["state"] * 3
    assert sessions() == []


def test_an_answer_counts_once(register, linked, sessions) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    browser = registered.browser()
    back = registered.provider.answer(registered.begin(browser))
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 400
    assert len(sessions()) == 1


def test_a_refusal_by_the_provider_and_a_code_it_does_not_know(register, entries) -> None:
    registered = register()
    browser = registered.browser()
    for extra in ("error=access_denied", "code=made-up"):
        state = parse_qs(urlsplit(registered.begin(browser)).query)["state"][0]
        issuer = registered.provider.issuer
        answer = browser.get(f"{registered.path}/back?state={state}&iss={issuer}&{extra}")
        assert answer.status_code == 403
    assert [entry.detail["why"] for entry in entries()] == ["provider-refused", "code"]


def test_a_provider_that_is_down_gives_a_clear_page(database, place, tenant_keys, new_browser, entries) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    new = NewProvider("gone", "Gone Identity", Kind.OIDC, f"http://127.0.0.1:{port}", "c", "s")
    with database.tenant(place.id) as session:
        add_provider(session, tenant_keys, new, loopback=True)
    answer = new_browser().get(f"/sign-in/to/{place.slug}/with/gone")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    (entry,) = entries()
    assert (entry.outcome, entry.detail["why"]) == ("failed", "no-answer")


def test_a_disabled_provider_and_another_tenants_are_not_there(
    register, database, place, other_tenant, new_browser
) -> None:
    registered = register()
    assert new_browser().get(f"/sign-in/to/{other_tenant.slug}/with/main").status_code == 404
    assert new_browser().get("/sign-in/to/nowhere/with/main").status_code == 404
    with database.tenant(place.id) as session:
        set_enabled(session, "main", enabled=False)
    assert new_browser().get(registered.path).status_code == 404


def test_low_assurance_is_refused_by_acr_and_by_level(register, linked, entries, sessions) -> None:
    registered = register(acr_values=("high",), rules=Rules(least_assurance=2, levels={"high": 3, "low": 1}))
    linked((Role.CLINICIAN, PCN))
    registered.provider.control(acr="low")
    assert registered.sign_in()[0].status_code == 403
    registered.provider.control(acr="high")
    assert registered.sign_in()[0].status_code == 303
    assert [entry.detail.get("why") for entry in entries()] == ["acr", None]
    assert [row.assurance for row in sessions()] == [3]


def test_a_level_below_the_tenants_is_refused(register, linked, entries) -> None:
    registered = register(rules=Rules(least_assurance=2, levels={"high": 1}))
    linked((Role.CLINICIAN, PCN))
    assert registered.sign_in()[0].status_code == 403
    assert entries()[0].detail["why"] == "assurance"


def test_somebody_nobody_linked_is_told_what_to_send_their_administrator(register, entries, sessions) -> None:
    registered = register()
    answer, _ = registered.sign_in()
    assert answer.status_code == 403
    assert SUBJECT in answer.text
    assert entries()[0].detail["why"] == "not-linked"
    assert sessions() == []


def test_unlinking_ends_the_sessions_it_opened(register, linked, database, place) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    _, browser = registered.sign_in()
    assert browser.get("/").status_code == 200
    with database.tenant(place.id) as session:
        unlink_person(session, "main", SUBJECT)
    assert browser.get("/").status_code == 303
    assert registered.sign_in()[0].status_code == 403


def test_signing_out_says_that_the_providers_own_session_goes_on(register, linked, form_token) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    _, browser = registered.sign_in()
    answer = browser.post("/sign-out", data={"form_token": form_token(browser.get("/").text)})
    assert answer.headers["location"] == f"{registered.path}/signed-out"
    page = browser.get(answer.headers["location"]).text
    there = html.unescape(page.partition('href="' + registered.provider.issuer)[2].partition('"')[0])
    asked = parse_qs(urlsplit(there).query)
    assert asked == {"client_id": [registered.client], "post_logout_redirect_uri": [f"{SITE}/sign-in"]}
    assert browser.get("/").status_code == 303


def test_signing_in_again_ends_the_session_that_the_browser_had(register, linked, sessions) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    _, browser = registered.sign_in()
    before = browser.cookies["cohortium"]
    registered.sign_in(browser)
    assert browser.cookies["cohortium"] != before
    assert sorted(row.ended is None for row in sessions()) == [False, True]


def test_entra_is_keyed_by_directory_and_object_never_by_email(register, linked, entries) -> None:
    registered = register(Kind.ENTRA, Rules(directory="directory-1"))
    linked((Role.CLINICIAN, PCN), subject="directory-1/object-1")
    good = {"tid": "directory-1", "oid": "object-1", "email": "ada@example.nhs.uk"}
    registered.provider.control(claims=good)
    assert registered.sign_in()[0].status_code == 303
    registered.provider.control(claims={**good, "oid": "object-2"})  # the address has been given to somebody else
    assert registered.sign_in()[0].status_code == 403
    registered.provider.control(claims={**good, "tid": "directory-2"})
    assert registered.sign_in()[0].status_code == 403
    assert [entry.detail.get("why") for entry in entries()] == [None, "not-linked", "directory"]


NATIONAL = {"S8000:G8000:R8000": "clinician", "R8008": "care coordinator"}


def _national(role_id: str, organisation: str, code: str) -> dict[str, str]:
    return {"person_roleid": role_id, "org_code": organisation, "role_code": code, "role_name": "as registered"}


def _care_identity(*roles: dict[str, str], **more: object) -> dict[str, object]:
    levels = {"id_assurance_level": "3", "authentication_assurance_level": "3"}
    return {**levels, "nhsid_nrbac_roles": list(roles), **more}


CLINICIAN = _national("101", PCN, "S8000:G8000:R8000")
COORDINATOR = _national("102", PRACTICE, "S8001:G8005:R8008")


@pytest.fixture
def care_identity(register, linked) -> tuple[Registered, object]:
    """A tenant with Care Identity, and a person of two roles here."""
    registered = register(Kind.CIS2, Rules(least_assurance=2, roles=NATIONAL), own_key=True)
    return registered, linked((Role.CLINICIAN, PCN), (Role.CARE_COORDINATOR, PRACTICE))


def _choose(browser, page, form_token, membership):
    token = page.partition('name="token" value="')[2].partition('"')[0]
    path = page.partition('<form action="/sign-in')[2].partition('"')[0]
    data = {"form_token": form_token(page), "token": token, "membership": str(membership)}
    return browser.post(f"/sign-in{path}", data=data)


def test_of_several_roles_one_is_chosen_before_a_session_is_open(care_identity, form_token, sessions, entries) -> None:
    registered, who = care_identity
    registered.provider.control(claims=_care_identity(CLINICIAN, COORDINATOR))
    page, browser = registered.sign_in()
    assert page.status_code == 200
    assert "Choose your role" in page.text
    assert sessions() == []
    assert browser.get("/").status_code == 303
    answer = _choose(browser, page.text, form_token, who.memberships[1])
    assert answer.status_code == 303
    assert "care coordinator, Elm Surgery" in browser.get("/").text
    (row,) = sessions()
    assert (row.assurance, row.membership_id, row.method) == (3, who.memberships[1], "cis2")
    again = _choose(browser, page.text, lambda _: form_token(browser.get("/").text), who.memberships[0])
    assert again.status_code == 400
    assert entries()[-1].detail["why"] == "state"


def test_a_choice_of_another_browser_or_of_a_role_not_offered_is_refused(
    care_identity, form_token, someone, sessions
) -> None:
    registered, who = care_identity
    registered.provider.control(claims=_care_identity(CLINICIAN, COORDINATOR))
    page, browser = registered.sign_in()
    other = registered.browser()
    own = form_token(other.get("/sign-in/demo").text)
    assert _choose(other, page.text, lambda _: own, who.memberships[0]).status_code == 400
    stranger = someone((Role.TENANT_ADMINISTRATOR, ICB), name="Sam Reed")
    assert _choose(browser, page.text, form_token, stranger.memberships[0]).status_code == 403
    assert sessions() == []


def test_a_role_chosen_at_care_identity_is_not_asked_for_again(care_identity, sessions, entries) -> None:
    registered, who = care_identity
    registered.provider.control(claims=_care_identity(CLINICIAN, COORDINATOR, selected_roleid="102"))
    answer, browser = registered.sign_in()
    assert answer.status_code == 303
    assert "care coordinator, Elm Surgery" in browser.get("/").text
    registered.provider.control(claims=_care_identity(CLINICIAN, selected_roleid="102"))
    assert registered.sign_in()[0].status_code == 403
    assert entries()[-1].detail["why"] == "selected-role"
    assert [row.membership_id for row in sessions()] == [who.memberships[1]]


def test_a_role_removed_between_two_sign_ins_is_gone(care_identity, form_token, entries) -> None:
    registered, who = care_identity
    registered.provider.control(claims=_care_identity(CLINICIAN, COORDINATOR, selected_roleid="101"))
    _, browser = registered.sign_in()
    assert "Elm Surgery" in browser.get("/roles").text
    registered.provider.control(claims=_care_identity(CLINICIAN))
    answer, browser = registered.sign_in()
    assert answer.status_code == 303
    roles = browser.get("/roles").text
    assert "Elm Surgery" not in roles
    answer = browser.post("/roles", data={"form_token": form_token(roles), "membership": str(who.memberships[1])})
    assert answer.headers["location"] == "/sign-in"
    assert "clinician, Elm and Oak PCN" in browser.get("/").text
    registered.provider.control(claims=_care_identity())
    assert registered.sign_in()[0].status_code == 403
    assert entries()[-1].detail["why"] == "no-role"
    assert entries()[-1].actor == str(who.person)


def test_a_role_that_ended_here_is_not_offered_whatever_care_identity_says(care_identity, database, place) -> None:
    registered, who = care_identity
    with database.tenant(place.id) as session:
        end_membership(session, who.memberships[0], (datetime.now(UTC) - timedelta(days=2)).date())
    registered.provider.control(claims=_care_identity(CLINICIAN, COORDINATOR))
    answer, browser = registered.sign_in()
    assert answer.status_code == 303
    assert "care coordinator, Elm Surgery" in browser.get("/").text


@pytest.mark.parametrize(
    ("claims", "misbehave", "why"),
    [
        (_care_identity(CLINICIAN), "other-subject", "userinfo-subject"),
        (_care_identity(CLINICIAN, id_assurance_level="2"), "", "identity-assurance"),
        (_care_identity(CLINICIAN, id_assurance_level="high"), "", "identity-assurance"),
        (_care_identity(CLINICIAN, authentication_assurance_level="1"), "", "assurance"),
        ({"nhsid_nrbac_roles": [CLINICIAN]}, "", "identity-assurance"),
        (_care_identity(_national("101", PCN, "S0080:G0450:R0100")), "", "no-role"),
        (_care_identity(_national("101", ICB, "S8000:G8000:R8000")), "", "no-role"),
        (_care_identity(nhsid_nrbac_roles="none"), "", "no-role"),
    ],
)
def test_care_identity_that_says_too_little_is_refused(
    care_identity, entries, sessions, claims, misbehave, why
) -> None:
    registered, _ = care_identity
    registered.provider.control(claims=claims, misbehave=misbehave)
    assert registered.sign_in()[0].status_code == 403
    assert entries()[-1].detail["why"] == why
    assert sessions() == []


def _logout(registered: Registered, browser: TestClient, token: str):
    return browser.post(f"{registered.path}/logout", data={"logout_token": token}, headers={"accept": "*/*"})


def test_back_channel_logout_ends_the_session_at_once(register, linked, sessions, entries) -> None:
    registered = register()
    who = linked((Role.CLINICIAN, PCN))
    _, browser = registered.sign_in()
    _, elsewhere = registered.sign_in()
    sid = sessions()[0].provider_session
    token = registered.provider.logout_token(client=registered.client, sub=SUBJECT, sid=sid)
    program = registered.browser()
    assert _logout(registered, program, token).status_code == 200
    assert sorted([browser.get("/").status_code, elsewhere.get("/").status_code]) == [200, 303]
    (entry,) = entries("back-channel-logout")
    assert (entry.actor, entry.outcome, entry.detail["sessions"]) == (str(who.person), "done", 1)
    assert _logout(registered, program, token).status_code == 400
    assert entries("back-channel-logout")[-1].detail["why"] == "replayed"


def test_logging_out_somebody_whose_session_there_was_never_named_ends_it_too(
    register, linked, sessions, database, place
) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    _, browser = registered.sign_in()
    (row,) = sessions()
    sid = row.provider_session
    with database.tenant(place.id) as session:
        unnamed = session.get_one(SignInSession, (place.id, row.token_hash))
        unnamed.provider_session = ""
        session.add(unnamed)
    token = registered.provider.logout_token(client=registered.client, sub=SUBJECT, sid=sid)
    assert _logout(registered, registered.browser(), token).status_code == 200
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    ("forgery", "why"),
    [
        ("nonce", "nonce"),
        ("no-event", "events"),
        ("no-id", "jti"),
        ("nobody", "sub"),
        ("other-audience", "aud"),
        ("alg-none", "algorithm"),
        ("stranger", "signature"),
    ],
)
def test_a_forged_logout_token_ends_nothing(register, linked, sessions, entries, forgery, why) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    _, browser = registered.sign_in()
    sid = sessions()[0].provider_session
    token = registered.provider.logout_token(client=registered.client, sub=SUBJECT, sid=sid, misbehave=forgery)
    answer = _logout(registered, registered.browser(), token)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
    assert entries("back-channel-logout")[-1].detail["why"] == why
    assert browser.get("/").status_code == 200


def test_what_is_no_logout_token_ends_nothing(register, linked, entries) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    for token in ("", "a.b.c", "x" * 60_000):
        assert _logout(registered, registered.browser(), token).status_code == 400
    assert [entry.outcome for entry in entries("back-channel-logout")] == ["denied"] * 3


def test_another_secret_is_used_from_then_on_and_links_stay(register, linked, database, place, tenant_keys) -> None:
    registered = register()
    linked((Role.CLINICIAN, PCN))
    for secret, status in (("no secret of the client", 403), ("a-secret-of-the-client", 303)):
        with database.tenant(place.id) as session:
            replace_secret(session, tenant_keys, "main", secret)
        assert registered.sign_in()[0].status_code == status


def test_the_secret_is_sealed(register, database, place) -> None:
    register()
    with database.tenant(place.id) as session:
        row = find_provider(session, "main")
    assert b"a-secret-of-the-client" not in row.sealed
