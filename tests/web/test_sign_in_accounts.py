"""Accounts of a tenant's own, as people meet them; and how often one may try."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from cohortium_auth.login import Role
from cohortium_auth.login.limits import ACCOUNT, ADDRESS, BUCKETS, Limit, Limits
from cohortium_auth.login.local import TotpSecret, add_account
from cohortium_auth.login.local.models import LocalAccount
from cohortium_auth.login.local.totp import STEP_SECONDS, code_at
from cohortium_auth.login.models import SignInCounter, SignInSession
from cohortium_auth.login.oidc import Kind, NewProvider, add_provider
from cohortium_auth.login.refusals import TooManyTries
from cohortium_platform.audit import AuditEntry
from cohortium_platform.database import AllTenants

PCN, ICB = "U90001", "QT1"
GIVEN, OWN, WRONG = "marble otter lantern", "quiet violet tractor nine", "wrong words here"


@pytest.fixture(autouse=True)
def _fresh(database) -> None:
    """Every test is one address to the site: it begins without tries."""
    with database.all_tenants(AllTenants(reason="a test begins")) as session:
        for row in session.exec(select(SignInCounter)):
            session.delete(row)


@pytest.fixture
def member(someone, database, place) -> Callable[..., object]:
    """Someone with an account that an administrator has just given."""

    def make(*roles, name: str = "ada.okafor"):
        who = someone(*roles)
        with database.tenant(place.id) as session:
            add_account(session, who.person, name, GIVEN)
        return who

    return make


@pytest.fixture
def enter(place, form_token) -> Callable[..., object]:
    """Fill in the form of a tenant's own accounts."""

    def fill(browser: TestClient, name="ada.okafor", password=OWN, code="", wanted="/"):
        path = f"/sign-in/to/{place.slug}"
        token = form_token(browser.get(path).text)
        data = {"form_token": token, "name": name, "password": password, "code": code, "wanted": wanted}
        return browser.post(f"{path}/account", data=data)

    return fill


def _secret_of(page: str) -> TotpSecret:
    shown = re.search(r"and type: <span class=\"app-code\">([A-Z2-7 ]+)</span>", page)
    assert shown
    return TotpSecret.of(shown[1].replace(" ", ""))


def _code(secret: TotpSecret, later: int = 0) -> str:
    return code_at(secret.key, int(time.time()) // STEP_SECONDS + later)


@pytest.fixture
def finish(place, form_token) -> Callable[..., object]:
    """Fill in the page that sets an account up."""

    def fill(browser: TestClient, page: str, password: str = OWN, code: str = ""):
        token = page.partition('name="token" value="')[2].partition('"')[0]
        data = {"form_token": form_token(page), "token": token, "password": password, "code": code}
        return browser.post(f"/sign-in/to/{place.slug}/account/set-up", data=data)

    return fill


@pytest.fixture
def set_up(enter, finish, new_browser) -> Callable[[], TotpSecret]:
    """Set an account up in a browser of its own; gives the second factor."""

    def do() -> TotpSecret:
        browser = new_browser()
        page = enter(browser, password=GIVEN).text
        secret = _secret_of(page)
        assert finish(browser, page, code=_code(secret, -1)).status_code == 303
        return secret

    return do


def _entries(database, place, action="sign-in"):
    with database.tenant(place.id) as session:
        return session.exec(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.at)).all()


def test_the_first_sign_in_sets_the_account_up(member, enter, finish, browser, database, place) -> None:
    who = member((Role.CLINICIAN, PCN))
    answer = enter(browser, password=GIVEN, wanted="/roles")
    assert answer.status_code == 200
    page = answer.text
    secret = _secret_of(page)
    assert "<svg" in page
    assert browser.get("/").status_code == 303
    wrong = finish(browser, page, password="short", code=_code(secret))  # noqa: S106 - a form's field
    assert (wrong.status_code, "shorter than 12" in wrong.text) == (400, True)
    assert _secret_of(wrong.text) == secret
    assert finish(browser, page, code=_code(secret)).status_code == 400  # that page has been used
    done = finish(browser, wrong.text, code=_code(secret))
    assert (done.status_code, done.headers["location"]) == (303, "/roles")
    assert "clinician, Elm and Oak PCN" in browser.get("/").text
    assert [entry.actor for entry in _entries(database, place, "set-up-account")] == [str(who.person)]
    with database.tenant(place.id) as session:
        (row,) = session.exec(select(SignInSession)).all()
    assert (row.method, row.assurance) == ("account", 2)


def test_afterwards_password_and_code_open_a_session(member, set_up, enter, new_browser, database, place) -> None:
    member((Role.CLINICIAN, PCN))
    secret = set_up()
    browser = new_browser()
    code = _code(secret)
    assert enter(browser, code=code, wanted="//evil.example").headers["location"] == "/"
    assert browser.get("/").status_code == 200
    assert enter(new_browser(), code=code).status_code == 403  # a code counts once
    assert _entries(database, place)[-1].detail["why"] == "code"


def test_of_several_roles_one_is_chosen(member, enter, finish, browser, form_token, place) -> None:
    who = member((Role.CLINICIAN, PCN), (Role.IG_OFFICER, ICB))
    page = enter(browser, password=GIVEN).text
    chosen = finish(browser, page, code=_code(_secret_of(page)))
    assert (chosen.status_code, "Choose your role" in chosen.text) == (200, True)
    assert browser.get("/").status_code == 303
    token = chosen.text.partition('name="token" value="')[2].partition('"')[0]
    data = {"form_token": form_token(chosen.text), "token": token, "membership": str(who.memberships[1])}
    assert browser.post(f"/sign-in/to/{place.slug}/role", data=data).status_code == 303
    assert "IG officer, Testshire ICB" in browser.get("/").text


def test_everything_that_is_wrong_looks_the_same(member, set_up, enter, new_browser, database, place) -> None:
    member((Role.CLINICIAN, PCN))
    secret = set_up()
    pages, whys = set(), []
    for name, password, code in (
        ("nobody", OWN, "123456"),
        ("ada.okafor", WRONG, _code(secret)),
        ("ada.okafor", OWN, "000000"),
        ("ada.okafor", OWN, ""),
        ("ada.okafor", GIVEN, ""),
        ("ada.okafor", WRONG, ""),
        ("ada.okafor", OWN, _code(secret)),
    ):
        answer = enter(new_browser(), name=name, password=password, code=code)
        assert answer.status_code == 403
        page = re.sub(
            r'name="form_token" value="\w+"|X-Form-Token": "\w+"|value="(nobody|ada.okafor)"', "", answer.text
        )
        pages.add(page)
        whys.append(_entries(database, place)[-1].detail["why"])
    assert len(pages) == 1
    assert whys == ["no-account", "password", "code", "code", "password", "password", "locked"]


def test_where_a_provider_is_enabled_no_password_opens_anything(
    member, set_up, new_browser, place, database, tenant_keys, form_token
) -> None:
    member((Role.CLINICIAN, PCN))
    secret = set_up()
    new = NewProvider("main", "Main Identity", Kind.OIDC, "https://identity.example", "client", "secret")
    with database.tenant(place.id) as session:
        add_provider(session, tenant_keys, new)
    browser = new_browser()
    token = form_token(browser.get("/sign-in/demo").text)
    data = {"form_token": token, "name": "ada.okafor", "password": OWN, "code": _code(secret)}
    assert browser.post(f"/sign-in/to/{place.slug}/account", data=data).status_code == 404
    assert browser.post(f"/sign-in/to/{place.slug}/account/set-up", data=data).status_code == 404
    assert "assword" not in browser.get(f"/sign-in/to/{place.slug}").text


def test_a_password_of_one_tenant_opens_none_of_another(member, new_browser, form_token, other_tenant) -> None:
    member((Role.CLINICIAN, PCN))
    browser, path = new_browser(), f"/sign-in/to/{other_tenant.slug}"
    data = {"form_token": form_token(browser.get(path).text), "name": "ada.okafor", "password": GIVEN}
    assert browser.post(f"{path}/account", data=data).status_code == 403


def test_changing_ones_password_ends_other_sessions(
    member, set_up, enter, new_browser, form_token, database, place, someone, sign_in
) -> None:
    member((Role.CLINICIAN, PCN))
    secret = set_up()
    here, new = new_browser(), "brisk walnut harbour song"
    enter(here, code=_code(secret))
    page = here.get("/password").text
    data = {"form_token": form_token(page), "old": OWN, "new": new, "code": _code(secret)}
    assert "not changed" in here.post("/password", data=data).text  # the code was used to sign in
    done = here.post("/password", data={**data, "code": _code(secret, 1)})
    assert "is changed" in done.text
    assert here.get("/").status_code == 200
    assert [e.detail for e in _entries(database, place, "manage-own-session") if "changed" in e.detail] == [
        {"changed": False},
        {"changed": True},
    ]
    with database.tenant(place.id) as session:
        assert [row.ended is None for row in session.exec(select(SignInSession).order_by(SignInSession.started))] == [
            False,
            True,
        ]
    assert sign_in(someone((Role.CLINICIAN, PCN), name="Sam Reed")).get("/password").status_code == 404


def test_many_failures_of_one_name_stop_being_looked_at(enter, new_browser, database, place) -> None:
    for _ in range(ACCOUNT.most):
        assert enter(new_browser(), name="nobody").status_code == 403
    for _ in range(3):
        answer = enter(new_browser(), name="nobody")
        assert (answer.status_code, "Too many tries" in answer.text) == (429, True)
    whys = [entry.detail["why"] for entry in _entries(database, place)]
    assert whys == ["no-account"] * ACCOUNT.most + ["too-many-tries"]  # recorded once, whatever comes
    assert enter(new_browser(), name="somebody-else").status_code == 403


def test_many_failures_from_one_address_stop_being_looked_at(app, enter, new_browser) -> None:
    limits = app.state.site.limits
    for number in range(ADDRESS.most - 1):
        limits.count(ADDRESS, "testclient")
        assert number < ADDRESS.most
    assert enter(new_browser(), name="first").status_code == 403
    assert enter(new_browser(), name="second").status_code == 429


def test_tries_are_counted_in_bounded_space_by_names_that_say_nothing(database) -> None:
    limit = Limit("test-bounded", 3, timedelta(minutes=15))
    limits, others = Limits(database, b"k" * 32), Limits(database, b"o" * 32)
    for _ in range(3):
        limits.count(limit, "198.51.100.7")
    with pytest.raises(TooManyTries) as flood:
        limits.count(limit, "198.51.100.7")
    assert flood.value.first
    for _ in range(2):
        with pytest.raises(TooManyTries) as flood:
            limits.count(limit, "198.51.100.7")
        assert not flood.value.first
    limits.count(limit, "198.51.100.8")
    others.count(limit, "198.51.100.7")  # another key, another bucket
    with database.all_tenants(AllTenants(reason="a test looks")) as session:
        rows = session.exec(select(SignInCounter).where(SignInCounter.kind == limit.kind)).all()
        assert {row.bucket < BUCKETS for row in rows} == {True}
        assert max(row.tries for row in rows) == limit.most + 2
        for row in rows:
            row.began = datetime.now(UTC) - limit.window - timedelta(seconds=1)
            session.add(row)
    limits.count(limit, "198.51.100.7")  # a new window


def test_a_success_takes_its_try_back(database) -> None:
    limit, limits = Limit("test-success", 2, timedelta(minutes=15)), Limits(database, b"k" * 32)
    for _ in range(6):
        with limits.failures((limit, "a")):
            pass
    for _ in range(2):
        with pytest.raises(ValueError, match="wrong"), limits.failures((limit, "a")):
            raise ValueError("wrong")
    with pytest.raises(TooManyTries), limits.failures((limit, "a")):
        pytest.fail("not reached")


def test_the_row_is_of_the_person(member, database, place) -> None:
    who = member((Role.CLINICIAN, PCN))
    with database.tenant(place.id) as session:
        (row,) = session.exec(select(LocalAccount)).all()
    assert (row.person_id, row.name, row.secret) == (who.person, "ada.okafor", None)
