from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from cohortium_auth.login import NewMembership, Role, add_person, open_session, resume, roles_of
from cohortium_auth.login.local import (
    Enrolling,
    TotpSecret,
    add_account,
    change_password,
    check,
    check_password,
    enrol,
    hold_enrolment,
    reset_account,
    take_enrolment,
)
from cohortium_auth.login.local.passwords import hash_password, is_password
from cohortium_auth.login.local.totp import STEP_SECONDS, code_at
from cohortium_auth.login.refusals import NotBegunHere
from cohortium_platform.errors import BadInput, Conflict, Unauthenticated

GIVEN, OWN, WRONG = "marble otter lantern", "quiet violet tractor nine", "wrong words here"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(seconds, code) -> None:
    assert code_at(b"12345678901234567890", seconds // STEP_SECONDS, digits=8) == code


def test_codes_are_those_of_rfc_4226() -> None:
    expected = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [code_at(b"12345678901234567890", counter) for counter in range(10)] == expected


def test_a_code_of_a_step_before_or_after_is_accepted_and_none_twice() -> None:
    secret, now = TotpSecret.random(), 1_000_000.0
    this = int(now) // STEP_SECONDS
    for step in (this - 1, this, this + 1):
        assert secret.accepted_step(code_at(secret.key, step), now, 0) == step
        assert secret.accepted_step(code_at(secret.key, step), now, step) is None
    for step in (this - 2, this + 2):
        assert secret.accepted_step(code_at(secret.key, step), now, 0) is None
    assert secret.accepted_step("", now, 0) is None
    assert secret.accepted_step("\u0661" * 6, now, 0) is None
    code = code_at(secret.key, this)
    assert secret.accepted_step(f" {code[:3]} {code[3:]} ", now, 0) == this


@pytest.mark.parametrize(
    "password",
    [
        "short words",
        "password1234",
        "P@ssw0rd!2026",
        "qwertyuiop123",
        "letmeinletmein",
        "Welcome2Cohortium",
        "123456789012",
        "aaaaaaaaaaaaaa",
        "ababababababab",
        "correct horse battery staple",
        "Liverpool-Football-2026",
        "ada.okafor rides buses",
        "x" * 200,
    ],
)
def test_passwords_that_may_not_be_chosen(password) -> None:
    with pytest.raises(BadInput):
        check_password(password, "ada.okafor", "Dr Ada Okafor")


@pytest.mark.parametrize(
    "password", [GIVEN, OWN, "Zwölf Boxkämpfer jagen", "kettle-moss-27-orbit", "🐢🦊🐝🌵 wanders far"]
)
def test_passwords_that_may(password) -> None:
    check_password(password, "ada.okafor", "Dr Ada Okafor")
    kept = hash_password(password)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_password(password, kept)
    assert not is_password(password + " ", kept)
    assert not is_password(password, None)


def test_a_password_is_the_same_however_its_letters_are_composed() -> None:
    assert is_password("cafe\u0301 on the hill", hash_password("caf\u00e9 on the hill"))


@pytest.fixture
def account(database, tenant):
    """A person with an account that an administrator has just given."""
    with database.tenant(tenant.id) as session:
        person = add_person(session, "Dr Ada Okafor", [NewMembership(Role.CLINICIAN, "Y00001", date(2026, 1, 1))])
        add_account(session, person, "Ada.Okafor", GIVEN)
    return person


@pytest.fixture
def attempt(database, tenant, tenant_keys):
    """Try to sign in at a moment."""

    def make(name="ada.okafor", password=OWN, code="", at=NOON):
        with database.tenant(tenant.id) as session:
            return check(session, tenant_keys, name, password, code, now=at)

    return make


@pytest.fixture
def secret(database, tenant, tenant_keys, account):
    """The second factor of the account, set up a day before noon with a password of one's own."""
    secret, before = TotpSecret.random(), NOON - timedelta(days=1)
    with database.tenant(tenant.id) as session:
        enrolling = Enrolling(account, "ada.okafor", secret, "/")
        code = code_at(secret.key, int(before.timestamp()) // STEP_SECONDS)
        enrol(session, tenant_keys, enrolling, OWN, code, now=before)
    return secret


def _code(secret, at=NOON):
    return code_at(secret.key, int(at.timestamp()) // STEP_SECONDS)


def test_the_given_password_leads_to_setting_up_and_no_further(attempt, account) -> None:
    now = datetime.now(UTC)
    checked = attempt(password=GIVEN, at=now)
    assert (checked.person_id, checked.why, checked.to_set_up) == (account, "", True)
    assert attempt(password=GIVEN, at=now + timedelta(days=8)).why == "expired"
    assert attempt(password=OWN, at=now).why == "password"


def test_setting_up_demands_an_own_password_and_a_code(database, tenant, tenant_keys, account) -> None:
    secret = TotpSecret.random()
    for password, code in ((GIVEN, _code(secret)), ("too short", _code(secret)), (OWN, "000000"), (OWN, "")):
        with pytest.raises(BadInput), database.tenant(tenant.id) as session:
            enrol(session, tenant_keys, Enrolling(account, "a", secret, "/"), password, code, now=NOON)


def test_an_account_that_is_set_up_cannot_be_set_up_by_an_older_page(
    database, tenant, tenant_keys, account, secret, attempt
) -> None:
    mine = TotpSecret.random()
    with pytest.raises(Conflict), database.tenant(tenant.id) as session:
        enrol(session, tenant_keys, Enrolling(account, "a", mine, "/"), "other words entirely", _code(mine), now=NOON)
    assert attempt(code=_code(secret)).why == ""


def test_password_and_code_are_both_needed_and_a_code_counts_once(attempt, secret) -> None:
    assert attempt(code="").why == "code"
    assert attempt(password=GIVEN, code=_code(secret)).why == "password"
    assert attempt(code=_code(secret)).why == ""
    assert attempt(code=_code(secret)).why == "code"
    later = NOON + timedelta(seconds=STEP_SECONDS)
    assert attempt(name=" ADA.OKAFOR ", code=_code(secret, later), at=later).why == ""


def test_of_one_code_typed_many_times_at_once_one_counts(attempt, secret) -> None:
    with ThreadPoolExecutor(6) as pool:
        whys = list(pool.map(lambda _: attempt(code=_code(secret)).why, range(6)))
    assert whys.count("") == 1


def test_many_guesses_at_once_lock_as_many_one_after_another_do(attempt, secret) -> None:
    with ThreadPoolExecutor(8) as pool:
        whys = list(pool.map(lambda _: attempt(password=WRONG).why, range(16)))
    assert (whys.count("password"), whys.count("locked")) == (5, 11)
    assert attempt(code=_code(secret)).why == "locked"


def test_repeated_failures_lock_for_longer_and_longer(attempt, secret) -> None:
    at, moment = NOON, timedelta(seconds=1)
    for _ in range(5):
        assert attempt(password=WRONG, at=at).why == "password"
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        assert attempt(code=_code(secret, at), at=at).why == "locked"  # even what is right is refused
        at += timedelta(minutes=minutes)
        assert attempt(password=WRONG, at=at - moment).why == "locked"
        assert attempt(password=WRONG, at=at).why == "password"
    at += timedelta(hours=1)
    assert attempt(code=_code(secret, at), at=at).why == ""
    at += timedelta(minutes=1)
    assert attempt(password=WRONG, at=at).why == "password"
    assert attempt(code=_code(secret, at), at=at).why == ""  # a success begins the count anew


@pytest.mark.usefixtures("secret")
def test_an_unknown_name_takes_the_work_of_a_wrong_password(attempt) -> None:
    def spent(name: str) -> float:
        best = 1e9
        for _ in range(4):
            began = time.process_time()
            assert attempt(name=name, password=WRONG).why in {"password", "no-account"}
            best = min(best, time.process_time() - began)
        return best

    known, unknown = spent("ada.okafor"), spent("nobody")
    assert 0.5 < known / unknown < 2


def test_resetting_begins_anew_and_ends_sessions(database, tenant, attempt, account, secret) -> None:
    again = "another given phrase"
    with database.tenant(tenant.id) as session:
        (holding,) = roles_of(session, account, datetime.now(UTC).date())
        opened = open_session(session, account, holding.membership_id, "account")
        reset_account(session, account, again)
    assert attempt(code=_code(secret)).why == "password"
    assert attempt(password=again).to_set_up
    with pytest.raises(Unauthenticated), database.tenant(tenant.id) as session:
        resume(session, opened.token)


def test_changing_ones_password_asks_for_the_old_one_and_a_code(
    database, tenant, tenant_keys, account, secret, attempt
) -> None:
    now = datetime.now(UTC)
    new = "brisk walnut harbour song"
    for old, code in ((GIVEN, _code(secret, now)), (OWN, "")):
        with pytest.raises(BadInput), database.tenant(tenant.id) as session:
            change_password(session, tenant_keys, account, old, new, code=code)
    with database.tenant(tenant.id) as session:
        change_password(session, tenant_keys, account, OWN, new, code=_code(secret, now))
    later = now + timedelta(minutes=2)
    assert attempt(password=new, code=_code(secret, later), at=later).why == ""


def test_names_are_one_persons_within_a_tenant(database, tenant, other_tenant, account) -> None:
    with database.tenant(tenant.id) as session:
        other = add_person(session, "Sam Reed", [])
    for person, name in ((other, "ADA.okafor"), (account, "second")):
        with pytest.raises(Conflict), database.tenant(tenant.id) as session:
            add_account(session, person, name, GIVEN)
    for name in ("", "two words"):
        with pytest.raises(BadInput), database.tenant(tenant.id) as session:
            add_account(session, other, name, GIVEN)
    with database.tenant(other_tenant.id) as session:
        person = add_person(session, "Somebody Else", [])
        add_account(session, person, "ada.okafor", GIVEN)


@pytest.mark.usefixtures("account")
def test_a_try_in_one_tenant_touches_no_account_of_another(database, other_tenant, tenant_keys) -> None:
    with database.tenant(other_tenant.id) as session:
        assert check(session, tenant_keys, "ada.okafor", GIVEN, "", now=NOON).why == "no-account"


def test_the_database_holds_neither_password_nor_secret(database, tenant, tenant_keys, account, secret) -> None:
    with database.tenant(tenant.id) as session:
        token = hold_enrolment(session, tenant_keys, Enrolling(account, "ada", secret, "/"), "visit")
        rows = session.connection().execute(
            text("SELECT row_to_json(a)::text FROM local_accounts a UNION ALL SELECT row_to_json(a)::text "
                 "FROM sign_in_attempts a")
        ).scalars().all()  # fmt: skip
    assert len(rows) == 2
    for secret_text in (OWN, secret.text, secret.key.hex(), token):
        assert all(secret_text not in row for row in rows)


def test_an_attempt_is_taken_once_by_the_browser_that_began_it(database, tenant, tenant_keys, account) -> None:
    secret = TotpSecret.random()
    with database.tenant(tenant.id) as session:
        token = hold_enrolment(session, tenant_keys, Enrolling(account, "ada", secret, "/roles"), "visit")
    for visit in ("other", ""):
        with pytest.raises(NotBegunHere), database.tenant(tenant.id) as session:
            take_enrolment(session, tenant_keys, visit, token)
    with database.tenant(tenant.id) as session:
        assert take_enrolment(session, tenant_keys, "visit", token) == Enrolling(account, "ada", secret, "/roles")
    with pytest.raises(NotBegunHere), database.tenant(tenant.id) as session:
        take_enrolment(session, tenant_keys, "visit", token)
