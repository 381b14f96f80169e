from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.resources import files
from itertools import product
from uuid import uuid4

import pytest

from cohortium_auth.login import Purpose, Role
from cohortium_auth.policy import (
    Action,
    Obligation,
    PolicyBook,
    PracticeRecords,
    Principal,
    TenantItself,
    allowed_practices,
    decide,
    end_agreement,
    read_policies,
    share,
)
from cohortium_platform.errors import BadInput, BadSettings
from cohortium_tenants.organisations import OrganisationType

DAY = date(2026, 6, 1)
SCHEMA = (files("cohortium_auth.policy") / "policies" / "schema.cedarschema").read_text()
RECORD_ACTIONS = (Action.VIEW_REGISTRY, Action.VIEW_PATIENT, Action.EXPORT_LIST)


def _principal(
    role: Role = Role.CLINICIAN, organisation: str = "U00001", kind: OrganisationType = OrganisationType.PCN
) -> Principal:
    return Principal(uuid4(), role, organisation, kind)


def _pairs() -> Iterator[tuple[Role, OrganisationType, Purpose]]:
    yield from product(Role, OrganisationType, Purpose)


def test_the_schema_has_exactly_the_words_of_the_code() -> None:
    roles = re.findall(r'"([^"]+)"', SCHEMA.split("Role enum [")[1].split("]")[0])
    assert set(roles) == set(Role)
    kinds = re.findall(r'"([^"]+)"', SCHEMA.split("OrganisationKind enum [")[1].split("]")[0])
    assert set(kinds) == set(OrganisationType)
    assert set(re.findall(r'"([a-z-]+)"', "".join(re.findall(r"action ([^;]*?)appliesTo", SCHEMA)))) == set(Action)


def test_every_policy_says_in_words_what_it_does() -> None:
    for policy in read_policies().policies:
        assert policy.title.endswith(".")
        assert len(policy.title.split()) > 5
    assert len({policy.id for policy in read_policies().policies}) == len(read_policies().policies)


def test_direct_care_is_for_clinicians_and_care_coordinators_near_the_patient(database, tenant) -> None:
    """The whole table: role, kind of organisation, purpose."""
    expected = {
        (role, kind, Purpose.DIRECT_CARE)
        for role in (Role.CLINICIAN, Role.CARE_COORDINATOR)
        for kind in (
            OrganisationType.PRACTICE,
            OrganisationType.PCN,
            OrganisationType.FEDERATION,
            OrganisationType.PLACE,
        )
    }
    with database.tenant(tenant.id) as session:
        share(session, "Y00001", "U00001", start=DAY, document="DSA-1")
        for action in RECORD_ACTIONS:
            allowed = {
                (role, kind, purpose)
                for role, kind, purpose in _pairs()
                if decide(
                    session, _principal(role, kind=kind), action, PracticeRecords("Y00001"), purpose, on=DAY
                ).allowed
            }
            assert allowed == expected


def test_a_list_is_the_same_decision_as_a_check(database, tenant) -> None:
    """For every role, kind and purpose: the list's practices are those that a check would allow."""
    practices = [f"Y0000{n}" for n in range(1, 6)]
    with database.tenant(tenant.id) as session:
        share(session, "Y00001", "U00001", start=DAY, document="DSA-1")
        share(session, "Y00002", "U00001", start=DAY + timedelta(days=1), document="DSA-2")
        share(session, "Y00003", "U00001", start=DAY - timedelta(days=9), end=DAY - timedelta(days=1), document="DSA-3")
        share(session, "Y00004", "U00009", start=DAY, document="DSA-4")
        share(session, "Y00005", "U00001", start=DAY - timedelta(days=9), end=DAY, document="DSA-5")
        for role, kind, purpose in _pairs():
            principal = _principal(role, kind=kind)
            for action in RECORD_ACTIONS:
                reach = allowed_practices(session, principal, action, purpose, on=DAY)
                checked = {
                    practice
                    for practice in practices
                    if decide(session, principal, action, PracticeRecords(practice), purpose, on=DAY).allowed
                }
                assert reach.practices == checked
        reach = allowed_practices(session, _principal(), Action.VIEW_REGISTRY, Purpose.DIRECT_CARE, on=DAY)
    assert reach.practices == {"Y00001", "Y00005"}
    assert reach.decision.policy_ids == "direct-care-in-reach"
    assert reach.decision.obligations == {Obligation.RECORD_PATIENTS}


def test_a_practices_own_staff_need_its_agreement_too(database, tenant) -> None:
    own = _principal(organisation="Y00001", kind=OrganisationType.PRACTICE)
    with database.tenant(tenant.id) as session:
        resource = PracticeRecords("Y00001")
        before = decide(session, own, Action.VIEW_PATIENT, resource, Purpose.DIRECT_CARE, on=DAY)
        share(session, "Y00001", "Y00001", start=DAY, document="DSA-1")
        after = decide(session, own, Action.VIEW_PATIENT, resource, Purpose.DIRECT_CARE, on=DAY)
    assert (before.allowed, before.policies, before.obligations) == (False, (), frozenset())
    assert after.allowed


def test_an_ended_agreement_ends_reach_the_day_after(database, tenant) -> None:
    with database.tenant(tenant.id) as session:
        agreement = share(session, "Y00001", "U00001", start=DAY, document="DSA-1")
        end_agreement(session, agreement, DAY + timedelta(days=1))
    with database.tenant(tenant.id) as session:
        reached = [
            bool(
                allowed_practices(
                    session,
                    _principal(),
                    Action.VIEW_REGISTRY,
                    Purpose.DIRECT_CARE,
                    on=DAY + timedelta(days=n),
                ).practices
            )
            for n in range(3)
        ]
    assert reached == [True, True, False]


def test_an_agreement_of_one_tenant_gives_nothing_in_another(database, tenant, other_tenant) -> None:
    with database.tenant(tenant.id) as session:
        share(session, "Y00001", "U00001", start=DAY, document="DSA-1")
    with database.tenant(other_tenant.id) as session:
        reach = allowed_practices(session, _principal(), Action.VIEW_REGISTRY, Purpose.DIRECT_CARE, on=DAY)
        decision = decide(
            session, _principal(), Action.VIEW_PATIENT, PracticeRecords("Y00001"), Purpose.DIRECT_CARE, on=DAY
        )
    assert reach.practices == frozenset()
    assert not decision.allowed


@pytest.mark.parametrize("role", Role)
def test_everyone_sees_the_home_page_and_their_own_session(database, tenant, role: Role) -> None:
    with database.tenant(tenant.id) as session:
        for action in (Action.SEE_HOME, Action.MANAGE_OWN_SESSION):
            principal = _principal(role, "QT1", OrganisationType.ICB)
            decision = decide(session, principal, action, TenantItself(tenant.id), role.purpose, on=DAY)
            assert decision.allowed
            assert decision.obligations == frozenset()


def test_an_agreement_names_its_paper_and_ends_after_it_begins(database, tenant) -> None:
    with database.tenant(tenant.id) as session:
        with pytest.raises(BadInput, match="no document"):
            share(session, "Y1", "U1", start=DAY, document=" ")
        with pytest.raises(BadInput, match="ends before"):
            share(session, "Y1", "U1", start=DAY, end=DAY - timedelta(days=1), document="DSA-1")


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (
            '@id("a") @title("b") permit (principal, action, resource) when { principal.role == Role::"nurse" };',
            "nurse",
        ),
        ("permit (principal, action, resource);", "lacks @id or @title"),
        ('@id("a") @title("b") permit (principal, action, resource) when {', "unexpected"),
        (
            '@id("a") @title("b") permit (principal, action, resource);\n' * 2,
            "one @id",
        ),
    ],
)
def test_a_wrong_policy_stops_the_start(policy: str, says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        PolicyBook(policy, SCHEMA)
