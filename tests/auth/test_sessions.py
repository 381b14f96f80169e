from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from cohortium_auth.login import (
    NewMembership,
    Purpose,
    Role,
    add_person,
    end_membership,
    end_session,
    end_sessions_of,
    open_cookie_signer,
    open_session,
    resume,
    roles_of,
)
from cohortium_auth.login.sessions import ABSOLUTE_LIMIT, IDLE_LIMIT
from cohortium_platform.database import Database
from cohortium_platform.errors import BadInput, Unauthenticated
from cohortium_platform.keys import FileKeyEncryption, KeyEncryption
from cohortium_tenants.tenants import Tenant

START = date(2026, 1, 1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def _person(database: Database, tenant: Tenant, *roles: tuple[Role, str]):
    with database.tenant(tenant.id) as session:
        person = add_person(session, "Dr Ada Okafor", [NewMembership(role, place, START) for role, place in roles])
        return person, roles_of(session, person, NOON.date())


def _open(database: Database, tenant: Tenant, at: datetime = NOON):
    person, (holding,) = _person(database, tenant, (Role.CLINICIAN, "Y00001"))
    with database.tenant(tenant.id) as session:
        return person, open_session(session, person, holding.membership_id, "test", clock=lambda: at)


def test_a_session_gives_the_person_with_role_organisation_and_purpose(database, tenant) -> None:
    person, opened = _open(database, tenant)
    with database.tenant(tenant.id) as session:
        who = resume(session, opened.token, clock=lambda: NOON)
    assert who == opened.who
    assert (who.person_id, who.display_name, who.role) == (person, "Dr Ada Okafor", Role.CLINICIAN)
    assert (who.organisation, who.tenant_id, who.purpose) == ("Y00001", tenant.id, Purpose.DIRECT_CARE)


def test_the_table_holds_no_token(database, tenant) -> None:
    _, opened = _open(database, tenant)
    with database.tenant(tenant.id) as session:
        rows = session.connection().execute(text("SELECT row_to_json(s)::text FROM sign_in_sessions s")).scalars().all()
    assert len(rows) == 1
    assert opened.token not in rows[0]
    assert opened.token not in repr(opened)


def test_an_idle_session_ends_and_a_used_one_goes_on_to_its_limit(database, tenant) -> None:
    _, opened = _open(database, tenant)
    moment = NOON
    while moment + timedelta(minutes=29) < NOON + ABSOLUTE_LIMIT:
        moment += timedelta(minutes=29)
        with database.tenant(tenant.id) as session:
            resume(session, opened.token, clock=lambda at=moment: at)
    with database.tenant(tenant.id) as session, pytest.raises(Unauthenticated):
        resume(session, opened.token, clock=lambda: NOON + ABSOLUTE_LIMIT)

    _, idle = _open(database, tenant)
    with database.tenant(tenant.id) as session, pytest.raises(Unauthenticated):
        resume(session, idle.token, clock=lambda: NOON + IDLE_LIMIT)


def test_rows_of_sessions_long_over_go_when_someone_signs_in(database, tenant) -> None:
    _, old = _open(database, tenant)
    with database.tenant(tenant.id) as session:
        fresh = open_session(
            session, old.who.person_id, old.who.membership_id, "test", clock=lambda: NOON + timedelta(days=9)
        )
        rows = session.connection().execute(text("SELECT token_hash FROM sign_in_sessions")).scalars().all()
    assert rows == [fresh.who.session]


def test_ending_a_session_works_at_once(database, tenant) -> None:
    _, opened = _open(database, tenant)
    with database.tenant(tenant.id) as session:
        end_session(session, opened.who)
    with database.tenant(tenant.id) as session, pytest.raises(Unauthenticated):
        resume(session, opened.token, clock=lambda: NOON)


def test_all_sessions_of_a_person_can_be_ended(database, tenant) -> None:
    person, (holding,) = _person(database, tenant, (Role.CLINICIAN, "Y00001"))
    _, other = _open(database, tenant)
    with database.tenant(tenant.id) as session:
        mine = [open_session(session, person, holding.membership_id, "test", clock=lambda: NOON) for _ in range(3)]
    with database.tenant(tenant.id) as session:
        assert end_sessions_of(session, person) == 3
        assert end_sessions_of(session, person) == 0
    for opened in mine:
        with database.tenant(tenant.id) as session, pytest.raises(Unauthenticated):
            resume(session, opened.token, clock=lambda: NOON)
    with database.tenant(tenant.id) as session:
        assert resume(session, other.token, clock=lambda: NOON) == other.who


def test_a_role_that_ended_yesterday_opens_nothing_today(database, tenant) -> None:
    _, opened = _open(database, tenant)
    with database.tenant(tenant.id) as session:
        end_membership(session, opened.who.membership_id, NOON.date())
    with database.tenant(tenant.id) as session:
        resume(session, opened.token, clock=lambda: NOON + timedelta(minutes=20))
    for when in (NOON + timedelta(hours=12), NOON + timedelta(days=1)):
        with database.tenant(tenant.id) as session, pytest.raises(Unauthenticated):
            resume(session, opened.token, clock=lambda at=when: at)
    with database.tenant(tenant.id) as session, pytest.raises(Unauthenticated, match="role"):
        open_session(
            session, opened.who.person_id, opened.who.membership_id, "test", clock=lambda: NOON + timedelta(days=1)
        )


def test_nobody_signs_in_with_anothers_role(database, tenant) -> None:
    _, opened = _open(database, tenant)
    stranger, _ = _person(database, tenant, (Role.IG_OFFICER, "QT1"))
    with database.tenant(tenant.id) as session, pytest.raises(Unauthenticated):
        open_session(session, stranger, opened.who.membership_id, "test", clock=lambda: NOON)


def test_a_session_of_one_tenant_opens_nothing_in_another(database, tenant, other_tenant) -> None:
    _, opened = _open(database, tenant)
    with database.tenant(other_tenant.id) as session, pytest.raises(Unauthenticated):
        resume(session, opened.token, clock=lambda: NOON)


def test_every_role_has_a_purpose() -> None:
    assert {role.purpose for role in Role} <= set(Purpose)
    assert Role.CARE_COORDINATOR.purpose is Purpose.DIRECT_CARE


def test_people_need_a_name_and_roles_that_begin_before_they_end(database, tenant) -> None:
    with database.tenant(tenant.id) as session:
        with pytest.raises(BadInput, match="name"):
            add_person(session, "  ", [])
        with pytest.raises(BadInput, match="ends before"):
            add_person(session, "A", [NewMembership(Role.CLINICIAN, "Y1", START, START - timedelta(days=1))])


def test_processes_share_the_signing_key_and_a_forged_cookie_is_a_strangers(
    database: Database, key_encryption: KeyEncryption
) -> None:
    one, two = open_cookie_signer(database, key_encryption), open_cookie_signer(database, key_encryption)
    tenant_id = uuid4()
    cookie = one.sign(tenant_id, "token")
    assert two.read(cookie) == (tenant_id, "token")
    for forged in (cookie.replace("token", "other"), f"{tenant_id.hex}.token", "", "ü"):
        with pytest.raises(Unauthenticated):
            one.read(forged)


def test_after_a_rotation_of_the_key_encryption_key_people_sign_in_anew(
    database: Database, key_encryption: KeyEncryption, tmp_path
) -> None:
    before = open_cookie_signer(database, key_encryption)
    cookie = before.sign(uuid4(), "token")
    rotated = FileKeyEncryption.create_file(tmp_path / "keys" / "new")
    after = open_cookie_signer(database, rotated)
    with pytest.raises(Unauthenticated):
        after.read(cookie)
    again = after.sign(uuid4(), "token")
    assert open_cookie_signer(database, rotated).read(again) == after.read(again)


def test_a_form_token_is_for_one_browser_and_one_session(database: Database, key_encryption: KeyEncryption) -> None:
    signer = open_cookie_signer(database, key_encryption)
    token = signer.form_token("visit", "session")
    assert signer.is_form_token(token, "visit", "session")
    assert not signer.is_form_token(token, "visit", "other")
    assert not signer.is_form_token(token, "other", "session")
    assert not signer.is_form_token("ü", "visit", "session")
