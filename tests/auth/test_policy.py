from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from itertools import product
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session

from cohortium_auth.approvals import Level, NewApproval, State, ask_for, decide_on, revoke
from cohortium_auth.login import Purpose, Role, add_person
from cohortium_auth.opt_outs import ClearedList
from cohortium_auth.policy import (
    OF_PRACTICES,
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
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, BadSettings
from cohortium_tenants.onboarding import Step, complete, onboard, progress_of, withdraw
from cohortium_tenants.organisations import NewOrganisation, OrganisationType, create

DAY, LONG_AGO = date(2026, 6, 1), date(2020, 1, 1)
SCHEMA = (files("cohortium_auth.policy") / "policies" / "schema.cedarschema").read_text()
RECORD_ACTIONS = (Action.VIEW_REGISTRY, Action.VIEW_PATIENT, Action.EXPORT_LIST)


def _principal(
    role: Role = Role.CLINICIAN, organisation: str = "U00001", kind: OrganisationType = OrganisationType.PCN
) -> Principal:
    return Principal(uuid4(), role, organisation, kind)


SOME_KINDS = (OrganisationType.PCN, OrganisationType.TRUST, OrganisationType.ICB)


def _pairs(kinds: Iterable[OrganisationType] = SOME_KINDS) -> Iterator[tuple[Role, OrganisationType, Purpose]]:
    yield from product(Role, kinds, Purpose)


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


def test_no_policy_speaks_of_a_practice_a_person_or_an_organisation_by_name() -> None:
    """Practices of which the same is known are asked about once: they must get the same answer."""
    texts = [each.read_text() for each in (files("cohortium_auth.policy") / "policies").iterdir()]
    assert len(texts) > 5
    for named in ("Practice::", "Person::", "Organisation::"):
        assert not any(named in text for text in texts)


PRACTICE = "Y00001"
LIVE_NEAR = (
    OrganisationType.PRACTICE,
    OrganisationType.PCN,
    OrganisationType.FEDERATION,
    OrganisationType.NEIGHBOURHOOD_TEAM,
    OrganisationType.PLACE,
)
CARERS = (Role.CLINICIAN, Role.CARE_COORDINATOR)


@pytest.fixture
def session(database, tenant) -> Iterator[Session]:
    """Five practices and a PCN, all live; they share as each test says."""
    with database.tenant(tenant.id) as session:
        create(session, NewOrganisation("U00001", "A PCN", OrganisationType.PCN, LONG_AGO))
        for number in range(1, 6):
            create(session, NewOrganisation(f"Y0000{number}", "A practice", OrganisationType.PRACTICE, LONG_AGO))
        for progress in progress_of(session):
            onboard(session, progress.organisation, on=LONG_AGO, document="DPIA-1", by="test")
        yield session


def _cleared(session: Session, expires: date = DAY) -> None:
    session.add(
        ClearedList(
            tenant_id=tenant_of(session), as_at=LONG_AGO, expires=expires, path="x.parquet", sha256="", people=0,
            by="test", loaded=datetime.now(UTC),
        )
    )  # fmt: skip
    session.flush()


def _approve(session: Session, level: Level, purpose: Purpose, organisation: str = "U00001") -> UUID:
    asks, decides = (add_person(session, name, []) for name in ("Asks", "Decides"))
    wanted = NewApproval(
        "To plan", purpose, "cancer-care", level, LONG_AGO, DAY, "", ["Paper 1"], organisation=organisation
    )
    approval = ask_for(session, wanted, by=asks)
    assert decide_on(session, approval, by=decides, agreed=True, why="It is fine", on=DAY) is not State.REQUESTED
    return approval


def _allowed(
    session: Session, action: Action, registry: str = "", kinds: Iterable[OrganisationType] = SOME_KINDS
) -> set[tuple[Role, OrganisationType, Purpose]]:
    return {
        (role, kind, purpose)
        for role, kind, purpose in _pairs(kinds)
        if decide(
            session, _principal(role, kind=kind), action, PracticeRecords(PRACTICE), purpose, on=DAY, registry=registry
        ).allowed
    }


CARING_KINDS = (*LIVE_NEAR, OrganisationType.TRUST)
DIRECT_CARE = {(role, kind, Purpose.DIRECT_CARE) for role, kind in product(CARERS, CARING_KINDS) if kind in SOME_KINDS}


def test_direct_care_is_for_clinicians_and_care_coordinators_near_the_patient(session) -> None:
    """The whole table: role, kind of organisation, purpose."""
    share(session, PRACTICE, "U00001", start=DAY, document="DSA-1")
    whole = {(role, kind, Purpose.DIRECT_CARE) for role, kind in product(CARERS, CARING_KINDS)}
    assert _allowed(session, Action.VIEW_PATIENT, kinds=OrganisationType) == whole
    for action in RECORD_ACTIONS:
        assert _allowed(session, action) == DIRECT_CARE
    assert _allowed(session, Action.FILL_IN_TEMPLATE) == DIRECT_CARE
    assert _allowed(session, Action.VIEW_AGGREGATES) == set()


def test_a_trust_sees_only_those_under_its_care(session) -> None:
    share(session, PRACTICE, "U00001", start=DAY, document="DSA-1")
    for role in CARERS:
        principal = _principal(role, kind=OrganisationType.TRUST)
        for action in RECORD_ACTIONS:
            decision = decide(session, principal, action, PracticeRecords(PRACTICE), Purpose.DIRECT_CARE, on=DAY)
            assert decision.obligations == {Obligation.RECORD_PATIENTS, Obligation.ACTIVE_RELATIONSHIP}


@pytest.mark.parametrize("which", [PRACTICE, "U00001"])
def test_nothing_shows_of_or_to_an_organisation_that_is_not_live(session, which: str) -> None:
    share(session, PRACTICE, "U00001", start=DAY, document="DSA-1")
    _cleared(session)
    _approve(session, Level.IDENTIFIABLE, Purpose.RESEARCH)
    asked = [(action, purpose) for action in RECORD_ACTIONS for purpose in (Purpose.DIRECT_CARE, Purpose.RESEARCH)]

    def seen() -> list[bool]:
        practice = PracticeRecords(PRACTICE)
        return [
            decide(session, _principal(), action, practice, purpose, on=DAY, registry="cancer-care").allowed
            for action, purpose in asked
        ]

    assert all(seen())
    withdraw(session, which, Step.DPIA_AGREED)
    assert not any(seen())
    complete(session, which, Step.DPIA_AGREED, on=LONG_AGO, document="DPIA-2", by="test")
    assert not any(seen())
    complete(session, which, Step.GO_LIVE, on=DAY + timedelta(days=1), document="Minutes", by="test")
    assert not any(seen())


def test_other_purposes_need_an_approval_of_that_purpose_registry_and_level(session) -> None:
    share(session, PRACTICE, "U00001", start=LONG_AGO, document="DSA-1")
    _cleared(session)
    aggregates = _approve(session, Level.AGGREGATE, Purpose.PLANNING)
    people = _approve(session, Level.IDENTIFIABLE, Purpose.RESEARCH)
    leads = {(role, kind, Purpose.PLANNING) for role in (Role.ICB_ANALYST, Role.PROGRAMME_LEAD) for kind in SOME_KINDS}
    near = (OrganisationType.PCN, OrganisationType.TRUST)
    research = {(role, kind, Purpose.RESEARCH) for role in CARERS for kind in near}
    assert _allowed(session, Action.VIEW_AGGREGATES, "cancer-care") == leads
    assert _allowed(session, Action.VIEW_AGGREGATES, "other") == set()
    assert _allowed(session, Action.EXPORT_PSEUDONYMISED, "cancer-care") == set()
    _approve(session, Level.PSEUDONYMISED, Purpose.PLANNING)
    analysts = {(Role.ICB_ANALYST, kind, Purpose.PLANNING) for kind in SOME_KINDS}
    assert _allowed(session, Action.EXPORT_PSEUDONYMISED, "cancer-care") == analysts
    for action in RECORD_ACTIONS:
        assert _allowed(session, action, "cancer-care") == DIRECT_CARE | research
        assert _allowed(session, action, "other") == DIRECT_CARE
    assert _allowed(session, Action.FILL_IN_TEMPLATE, "cancer-care") == DIRECT_CARE  # a review is care, never research
    ours = _principal(Role.ICB_ANALYST)
    reach = allowed_practices(session, ours, Action.VIEW_AGGREGATES, Purpose.PLANNING, on=DAY, registry="cancer-care")
    assert (reach.practices, reach.decision.approval) == ({PRACTICE}, aggregates)
    assert reach.decision.obligations == {Obligation.SUPPRESS, Obligation.APPLY_OPT_OUTS}
    reach = allowed_practices(
        session, _principal(), Action.VIEW_PATIENT, Purpose.RESEARCH, on=DAY, registry="cancer-care"
    )
    assert reach.decision.approval == people
    assert reach.decision.obligations == {Obligation.RECORD_PATIENTS, Obligation.APPLY_OPT_OUTS}
    revoke(session, aggregates, by=add_person(session, "Ends", []), why="Over")
    assert _allowed(session, Action.VIEW_AGGREGATES, "cancer-care") == set()
    trust = decide(
        session, _principal(kind=OrganisationType.TRUST), Action.VIEW_PATIENT, PracticeRecords(PRACTICE),
        Purpose.RESEARCH, on=DAY, registry="cancer-care",
    )  # fmt: skip
    assert Obligation.ACTIVE_RELATIONSHIP in trust.obligations
    late = decide(
        session, _principal(), Action.VIEW_PATIENT, PracticeRecords(PRACTICE), Purpose.RESEARCH,
        on=DAY + timedelta(days=1), registry="cancer-care",
    )  # fmt: skip
    assert not late.allowed


def test_without_a_cleared_list_in_date_only_direct_care_goes_on(session) -> None:
    share(session, PRACTICE, "U00001", start=LONG_AGO, document="DSA-1")
    _approve(session, Level.AGGREGATE, Purpose.PLANNING)
    _approve(session, Level.IDENTIFIABLE, Purpose.RESEARCH)
    for expired in (False, True):
        if expired:
            _cleared(session, expires=DAY - timedelta(days=1))
        assert _allowed(session, Action.VIEW_AGGREGATES, "cancer-care") == set()
        assert _allowed(session, Action.VIEW_PATIENT, "cancer-care") == DIRECT_CARE
    refused = decide(
        session, _principal(Role.ICB_ANALYST), Action.VIEW_AGGREGATES, PracticeRecords(PRACTICE), Purpose.PLANNING,
        on=DAY, registry="cancer-care",
    )  # fmt: skip
    assert refused.policy_ids == "no-secondary-use-without-current-opt-outs"
    assert refused.obligations == frozenset()


def test_a_broken_glass_opens_one_patient_page_for_a_clinician_and_no_list(session) -> None:
    practice = PracticeRecords(PRACTICE)
    for action in (*RECORD_ACTIONS, Action.FILL_IN_TEMPLATE, Action.VIEW_AGGREGATES):
        allowed = {
            (role, purpose)
            for role, purpose in product(Role, Purpose)
            if decide(session, _principal(role), action, practice, purpose, on=DAY, broken_glass=True).allowed
        }
        assert allowed == ({(Role.CLINICIAN, Purpose.DIRECT_CARE)} if action is Action.VIEW_PATIENT else set())


def test_a_list_is_the_same_decision_as_a_check(session) -> None:
    """For every role, kind and purpose: the list's practices are those that a check would allow."""
    practices = [f"Y0000{n}" for n in range(1, 6)]
    share(session, "Y00001", "U00001", start=DAY, document="DSA-1")
    share(session, "Y00002", "U00001", start=DAY + timedelta(days=1), document="DSA-2")
    share(session, "Y00003", "U00001", start=DAY - timedelta(days=9), end=DAY - timedelta(days=1), document="DSA-3")
    share(session, "Y00004", "U00009", start=DAY, document="DSA-4")
    share(session, "Y00005", "U00001", start=DAY - timedelta(days=9), end=DAY, document="DSA-5")
    _cleared(session)
    _approve(session, Level.AGGREGATE, Purpose.PLANNING)
    _approve(session, Level.IDENTIFIABLE, Purpose.RESEARCH)
    for role, kind, purpose in _pairs():
        principal = _principal(role, kind=kind)
        for action in (*RECORD_ACTIONS, Action.FILL_IN_TEMPLATE, Action.VIEW_AGGREGATES):
            reach = allowed_practices(session, principal, action, purpose, on=DAY, registry="cancer-care")
            checked = {
                practice
                for practice in practices
                if decide(
                    session, principal, action, PracticeRecords(practice), purpose, on=DAY, registry="cancer-care"
                ).allowed
            }
            assert reach.practices == checked
    reach = allowed_practices(session, _principal(), Action.VIEW_REGISTRY, Purpose.DIRECT_CARE, on=DAY)
    assert reach.practices == {"Y00001", "Y00005"}
    assert reach.decision.policy_ids == "direct-care-in-reach"
    assert reach.decision.obligations == {Obligation.RECORD_PATIENTS}


def test_a_practices_own_staff_need_its_agreement_too(session) -> None:
    own = _principal(organisation=PRACTICE, kind=OrganisationType.PRACTICE)
    resource = PracticeRecords(PRACTICE)
    before = decide(session, own, Action.VIEW_PATIENT, resource, Purpose.DIRECT_CARE, on=DAY)
    share(session, PRACTICE, PRACTICE, start=DAY, document="DSA-1")
    after = decide(session, own, Action.VIEW_PATIENT, resource, Purpose.DIRECT_CARE, on=DAY)
    assert (before.allowed, before.policies, before.obligations) == (False, (), frozenset())
    assert after.allowed


def test_an_ended_agreement_ends_reach_the_day_after(session) -> None:
    agreement = share(session, PRACTICE, "U00001", start=DAY, document="DSA-1")
    end_agreement(session, agreement, DAY + timedelta(days=1))
    reached = [
        bool(
            allowed_practices(
                session, _principal(), Action.VIEW_REGISTRY, Purpose.DIRECT_CARE, on=DAY + timedelta(days=n)
            ).practices
        )
        for n in range(3)
    ]
    assert reached == [True, True, False]


def test_an_agreement_of_one_tenant_gives_nothing_in_another(database, session, other_tenant) -> None:
    share(session, PRACTICE, "U00001", start=DAY, document="DSA-1")
    with database.tenant(other_tenant.id) as others:
        create(others, NewOrganisation(PRACTICE, "A practice", OrganisationType.PRACTICE, LONG_AGO))
        create(others, NewOrganisation("U00001", "A PCN", OrganisationType.PCN, LONG_AGO))
        for code in (PRACTICE, "U00001"):
            onboard(others, code, on=LONG_AGO, document="DPIA-1", by="test")
        reach = allowed_practices(others, _principal(), Action.VIEW_REGISTRY, Purpose.DIRECT_CARE, on=DAY)
        decision = decide(
            others, _principal(), Action.VIEW_PATIENT, PracticeRecords(PRACTICE), Purpose.DIRECT_CARE, on=DAY
        )
    assert reach.practices == frozenset()
    assert not decision.allowed


GOVERNING = {
    Action.SEE_HOME: set(Role),
    Action.MANAGE_OWN_SESSION: set(Role),
    Action.BREAK_GLASS: set(),
    Action.REQUEST_APPROVAL: {*CARERS, Role.ICB_ANALYST, Role.PROGRAMME_LEAD},
    Action.VIEW_ACCESS_MATRIX: {Role.IG_OFFICER, Role.TENANT_ADMINISTRATOR},
    Action.SEARCH_AUDIT: {Role.IG_OFFICER},
    Action.EXPORT_AUDIT: {Role.IG_OFFICER},
    Action.VIEW_ACCESS_HISTORY: {Role.IG_OFFICER},
    Action.DECIDE_APPROVAL: {Role.IG_OFFICER},
    Action.REVIEW_BREAK_GLASS: {Role.IG_OFFICER},
    Action.MANAGE_OPT_OUTS: {Role.IG_OFFICER},
    Action.MANAGE_IG_SETTINGS: {Role.IG_OFFICER},
    Action.VIEW_ONBOARDING: {Role.IG_OFFICER, Role.TENANT_ADMINISTRATOR},
    Action.VIEW_OWN_ONBOARDING: set(),
    Action.MANAGE_ONBOARDING: {Role.TENANT_ADMINISTRATOR},
    Action.VIEW_USAGE: {Role.IG_OFFICER, Role.TENANT_ADMINISTRATOR, Role.ICB_ANALYST, Role.PROGRAMME_LEAD},
    Action.VIEW_CATALOGUE: {
        Role.PACK_DEVELOPER,
        Role.PLATFORM_OPERATOR,
        Role.TENANT_ADMINISTRATOR,
        Role.IG_OFFICER,
        Role.ICB_ANALYST,
        Role.PROGRAMME_LEAD,
    },
    Action.PUBLISH_PACK: {Role.PACK_DEVELOPER},
    Action.SIGN_OFF_PACK: {Role.PACK_DEVELOPER, Role.PLATFORM_OPERATOR},
    Action.WITHDRAW_PACK: {Role.PACK_DEVELOPER, Role.PLATFORM_OPERATOR},
    Action.MANAGE_PUBLISHERS: {Role.PLATFORM_OPERATOR},
    Action.PREVIEW_PACK: {Role.TENANT_ADMINISTRATOR},
    Action.VIEW_PREVIEW: {Role.TENANT_ADMINISTRATOR, Role.PACK_DEVELOPER},
    Action.ENABLE_PACK: {Role.TENANT_ADMINISTRATOR},
    Action.REPORT_INCIDENT: {Role.IG_OFFICER, Role.TENANT_ADMINISTRATOR},
}
"""Who may do at an ICB what is about no record, each for the purpose of the role; written from the design's table."""


@pytest.mark.parametrize("action", [action for action in Action if action not in OF_PRACTICES])
def test_what_is_about_no_record_is_for_these_roles(session, tenant, action: Action) -> None:
    allowed = {
        role
        for role in Role
        if decide(
            session,
            _principal(role, "QT1", OrganisationType.ICB),
            action,
            TenantItself(tenant.id),
            role.purpose,
            on=DAY,
        ).allowed
    }
    assert allowed == GOVERNING[action]


def test_who_may_break_glass(session, tenant) -> None:
    allowed = {
        (role, kind, purpose)
        for role, kind, purpose in _pairs(OrganisationType)
        if decide(
            session, _principal(role, kind=kind), Action.BREAK_GLASS, TenantItself(tenant.id), purpose, on=DAY
        ).allowed
    }
    kinds = {*LIVE_NEAR, OrganisationType.TRUST} - {OrganisationType.PLACE}
    assert allowed == {(Role.CLINICIAN, kind, Purpose.DIRECT_CARE) for kind in kinds}


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


@pytest.mark.parametrize("action", [action for action in Action if action is not Action.VIEW_AGGREGATES])
def test_a_password_alone_is_not_enough_for_patients_or_governing(session, tenant, action: Action) -> None:
    """Who may with two factors, and what is left of it with one."""
    free = {Action.SEE_HOME, Action.MANAGE_OWN_SESSION, Action.REQUEST_APPROVAL, Action.VIEW_ACCESS_MATRIX}
    free |= {Action.VIEW_ONBOARDING, Action.VIEW_OWN_ONBOARDING, Action.VIEW_USAGE}
    free |= {Action.VIEW_CATALOGUE, Action.PREVIEW_PACK, Action.VIEW_PREVIEW}
    share(session, PRACTICE, "U00001", start=LONG_AGO, document="DSA-1")
    _cleared(session)
    _approve(session, Level.PSEUDONYMISED, Purpose.PLANNING)
    _approve(session, Level.IDENTIFIABLE, Purpose.RESEARCH)
    resource = PracticeRecords(PRACTICE) if action in OF_PRACTICES else TenantItself(tenant.id)
    allowed = {1: False, 2: False}
    for level, (role, kind) in product(
        allowed, product(Role, (OrganisationType.PCN, OrganisationType.ICB, OrganisationType.PRACTICE))
    ):
        principal = Principal(uuid4(), role, "U00001", kind, assurance=level)
        for purpose in role.purposes:
            decision = decide(session, principal, action, resource, purpose, on=DAY, registry="cancer-care")
            allowed[level] |= decision.allowed
    assert allowed == {1: action in free, 2: True}


def test_an_agreement_only_ever_ends_sooner(session) -> None:
    agreement = share(session, PRACTICE, "U00001", start=DAY, document="DSA-1")
    end_agreement(session, agreement, DAY + timedelta(days=9))
    for wrong in (DAY - timedelta(days=1), DAY + timedelta(days=10)):
        with pytest.raises(BadInput, match="cannot end then"):
            end_agreement(session, agreement, wrong)
    end_agreement(session, agreement, DAY + timedelta(days=1))
