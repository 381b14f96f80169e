from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlmodel import select

from cohortium_auth.login import Role, end_membership, end_sessions_of
from cohortium_auth.login.models import SignInSession
from cohortium_platform.audit import AuditEntry
from cohortium_platform.errors import BadSettings
from cohortium_web.app import create_app
from cohortium_web.site import Site

PCN, ICB = "U90001", "QT1"


def _entries(database, tenant, action):
    with database.tenant(tenant.id) as session:
        return session.exec(select(AuditEntry).where(AuditEntry.action == action)).all()


def test_the_demo_page_shows_people_by_tenant_with_role_and_organisation(browser, someone, place) -> None:
    someone((Role.CLINICIAN, PCN), name="Dr Sora Blake")
    page = browser.get("/sign-in/demo").text
    assert place.name in page
    assert "Dr Sora Blake" in page
    assert "Elm and Oak PCN" in page
    assert browser.get("/sign-in").headers["location"] == "/sign-in/demo"


def test_outside_demonstration_mode_there_is_no_demo_sign_in(settings) -> None:
    production = settings.model_copy(update={"demo": False})
    with TestClient(create_app(production), base_url="https://testserver", follow_redirects=False) as client:
        assert client.get("/sign-in/demo").status_code == 404
        assert client.post("/sign-in/demo", data={}).status_code in {403, 404}
        assert client.get("/sign-in").status_code in {200, 303}  # straight on where there is one tenant only
    with pytest.raises(BadSettings):
        Site(production).demo_sign_in()


def test_production_cookies_are_secure_and_for_this_host_alone(settings) -> None:
    production = settings.model_copy(update={"demo": False})
    with TestClient(create_app(production), base_url="https://testserver") as client:
        answer = client.get("/sign-in", follow_redirects=True)
        cookie = SimpleCookie(answer.headers["set-cookie"])["__Host-cohortium-visit"]
        assert (cookie["secure"], cookie["httponly"], cookie["path"]) == (True, True, "/")
        assert cookie["domain"] == ""
        assert "max-age=" in answer.headers["strict-transport-security"]


def test_signing_in_leads_to_where_one_wanted_to_go_and_is_recorded(browser, someone, sign_in, database, place) -> None:
    who = someone((Role.CLINICIAN, PCN))
    asked = browser.get("/?x=1")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/sign-in?next=%2F%3Fx%3D1"
    client = sign_in(who, wanted="/roles")
    assert client.get("/roles").status_code == 200
    (entry,) = _entries(database, place, "sign-in")
    assert (entry.actor, entry.role, entry.organisation) == (str(who.person), "clinician", PCN)
    assert entry.purpose == "direct care"
    assert entry.request_id


@pytest.mark.parametrize("wanted", ["//evil.example/", "https://evil.example/", "/\\evil.example", "evil"])
def test_signing_in_never_leads_to_another_site(browser, someone, form_token, wanted) -> None:
    who = someone((Role.CLINICIAN, PCN))
    page = browser.get("/sign-in/demo", params={"next": wanted}).text
    answer = browser.post(
        "/sign-in/demo",
        data={
            "form_token": form_token(page),
            "tenant": str(who.tenant),
            "person": str(who.person),
            "membership": str(who.memberships[0]),
            "wanted": wanted,
        },
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "evil" not in browser.get("/sign-in", params={"next": wanted}).headers["location"]


def test_a_person_of_one_tenant_does_not_sign_in_to_another(
    browser, someone, form_token, other_tenant, database
) -> None:
    who = someone((Role.CLINICIAN, PCN))
    token = form_token(browser.get("/sign-in/demo").text)
    answer = browser.post(
        "/sign-in/demo",
        data={
            "form_token": token,
            "tenant": str(other_tenant.id),
            "person": str(who.person),
            "membership": str(who.memberships[0]),
        },
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in"
    (entry,) = _entries(database, other_tenant, "sign-in")
    assert entry.outcome == "denied"


def test_the_session_cookie_is_http_only_and_lax(someone, sign_in) -> None:
    who = someone((Role.CLINICIAN, PCN))
    client = sign_in(who)
    (cookie,) = [c for c in client.cookies.jar if c.name == "cohortium"]
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "lax"


def test_every_page_shows_who_acts_in_which_role_and_where(someone, sign_in, place) -> None:
    client = sign_in(someone((Role.CLINICIAN, PCN), (Role.IG_OFFICER, ICB), name="Dr Ada Okafor"))
    for path in ("/", "/roles"):
        page = client.get(path).text
        for shown in ("Dr Ada Okafor", "clinician, Elm and Oak PCN", place.name, "Change role", "direct care"):
            assert shown in page


@pytest.fixture
def again(app) -> Callable[[str], TestClient]:
    """A browser that brings a session cookie somebody kept."""

    def bring(cookie: str) -> TestClient:
        return TestClient(app, follow_redirects=False, headers={"accept": "text/html"}, cookies={"cohortium": cookie})

    return bring


def test_changing_role_begins_a_new_session_and_ends_the_old(
    someone, sign_in, form_token, again, database, place
) -> None:
    who = someone((Role.CLINICIAN, PCN), (Role.IG_OFFICER, ICB))
    client = sign_in(who)
    old = client.cookies["cohortium"]
    token = form_token(client.get("/roles").text)
    answer = client.post("/roles", data={"form_token": token, "membership": str(who.memberships[1])})
    assert answer.status_code == 303
    assert "IG officer, Testshire ICB" in client.get("/").text
    assert client.cookies["cohortium"] != old
    assert again(old).get("/").status_code == 303
    assert [e.detail for e in _entries(database, place, "manage-own-session") if e.detail] == [
        {"role": "IG officer", "organisation": ICB, "purpose": "IG audit"}
    ]


def test_changing_purpose_is_a_new_session_in_the_same_role(
    someone, sign_in, form_token, again, database, place
) -> None:
    who = someone((Role.CLINICIAN, PCN))
    client = sign_in(who)
    old, page = client.cookies["cohortium"], client.get("/roles").text
    for shown in ("Direct care", "Service evaluation", "Research"):
        assert shown in page
    assert "Planning" not in page
    data = {"form_token": form_token(page), "membership": str(who.memberships[0])}
    assert client.post("/roles", data={**data, "purpose": "planning"}).headers["location"] == "/sign-in"
    assert client.post("/roles", data={**data, "purpose": "curiosity"}).status_code == 400
    assert "for direct care" in client.get("/").text
    assert client.post("/roles", data={**data, "purpose": "research"}).status_code == 303
    assert "for research" in client.get("/").text
    assert again(old).get("/").status_code == 303
    changed = [e.detail["purpose"] for e in _entries(database, place, "manage-own-session") if "purpose" in e.detail]
    assert changed == ["research"]


def test_changing_role_does_not_prolong_the_day(someone, sign_in, form_token, database, place) -> None:
    who = someone((Role.CLINICIAN, PCN))
    client = sign_in(who)
    end = datetime.now(UTC) + timedelta(hours=1)
    with database.tenant(place.id) as session:
        (row,) = session.exec(select(SignInSession)).all()
        row.expires = end
        session.add(row)
    data = {"form_token": form_token(client.get("/roles").text), "membership": str(who.memberships[0])}
    assert client.post("/roles", data={**data, "purpose": "research"}).status_code == 303
    with database.tenant(place.id) as session:
        assert [row.expires for row in session.exec(select(SignInSession)).all()] == [end, end]


def test_nobody_changes_to_a_role_of_someone_else(someone, sign_in, form_token) -> None:
    client = sign_in(someone((Role.CLINICIAN, PCN)))
    other = someone((Role.TENANT_ADMINISTRATOR, ICB), name="Sam Reed")
    token = form_token(client.get("/roles").text)
    answer = client.post("/roles", data={"form_token": token, "membership": str(other.memberships[0])})
    assert answer.headers["location"] == "/sign-in"
    assert "clinician, Elm and Oak PCN" in client.get("/").text


def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(someone, sign_in, form_token, again) -> None:
    client = sign_in(someone((Role.CLINICIAN, PCN)))
    cookie = client.cookies["cohortium"]
    answer = client.post("/sign-out", data={"form_token": form_token(client.get("/").text)})
    assert answer.headers["location"] == "/sign-in"
    assert "cohortium" not in client.cookies
    assert again(cookie).get("/").status_code == 303


def test_one_sees_where_else_one_is_signed_in_and_can_end_it(someone, sign_in, form_token, database, place) -> None:
    who, other = someone((Role.CLINICIAN, PCN)), someone((Role.IG_OFFICER, ICB), name="Sam Reed")
    here, there, strangers = sign_in(who), sign_in(who), sign_in(other)
    page = here.get("/sessions").text
    assert (page.count("This one"), page.count("Another")) == (1, 1)
    assert here.post("/sessions", data={"form_token": form_token(page)}).headers["location"] == "/sessions"
    assert there.get("/").status_code == 303
    assert strangers.get("/").status_code == 200
    page = here.get("/sessions").text
    assert (page.count("This one"), page.count("Another")) == (1, 0)
    assert [e.detail for e in _entries(database, place, "manage-own-session") if e.detail] == [{"ended": 1}]


def test_revoking_works_on_the_next_request(someone, sign_in, database, place) -> None:
    who = someone((Role.CLINICIAN, PCN))
    client = sign_in(who)
    assert client.get("/").status_code == 200
    with database.tenant(place.id) as session:
        end_sessions_of(session, who.person)
    assert client.get("/").status_code == 303


def test_losing_the_role_works_on_the_next_request(someone, sign_in, database, place) -> None:
    who = someone((Role.CLINICIAN, PCN))
    client = sign_in(who)
    with database.tenant(place.id) as session:
        end_membership(session, who.memberships[0], (datetime.now(UTC) - timedelta(days=2)).date())
    assert client.get("/").status_code == 303


def test_a_forged_cookie_is_a_strangers(browser) -> None:
    browser.cookies["cohortium"] = "0" * 32 + ".token.signature"
    assert browser.get("/").status_code == 303


def test_no_page_without_its_audit_entry(someone, sign_in, owner_database) -> None:
    """The entry cannot be written, so the page is not shown, and its session's rows are as they were."""
    client = sign_in(someone((Role.CLINICIAN, PCN)))
    assert client.get("/").status_code == 200
    with owner_database.engine.begin() as connection:
        connection.execute(text("REVOKE INSERT ON audit_entries FROM cohortium_app"))
    try:
        answer = client.get("/", headers={"accept": "text/html"})
    finally:
        with owner_database.engine.begin() as connection:
            connection.execute(text("GRANT INSERT ON audit_entries TO cohortium_app"))
    assert answer.status_code == 500
    assert "Elm and Oak PCN" not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert client.get("/").status_code == 200
