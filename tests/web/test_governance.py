"""Governing access in the site: the matrix against the routes, approvals, break-glass, onboarding, opt-outs."""

import csv
import html
import io
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlmodel import select

from cohortium_auth.approvals import Level, NewApproval, ask_for, decide_on
from cohortium_auth.ig_settings import change_ig_settings
from cohortium_auth.login import Purpose, Role, add_person
from cohortium_auth.opt_outs import DISSENT, load_cleared_list
from cohortium_auth.policy import OF_PRACTICES, access_matrix, share
from cohortium_platform.audit import AuditEntry
from cohortium_platform.audit.notes import LogKey, open_note
from cohortium_platform.records import RecordStore
from cohortium_plugins.installed import installed_packs
from cohortium_tenants.keys import open_keys
from cohortium_tenants.onboarding import Step, withdraw
from cohortium_tenants.organisations import OrganisationType
from cohortium_web.app import PUBLIC
from cohortium_web.requiring import Requires

ICB, PCN, TRUST, ELM = "QT1", "U90001", "RZ9", "Z90001"
KINDS = {
    ICB: OrganisationType.ICB,
    PCN: OrganisationType.PCN,
    TRUST: OrganisationType.TRUST,
    ELM: OrganisationType.PRACTICE,
}
TODAY = datetime.now(UTC).date()
OF_SOME = frozenset({"/password"})
"""Pages that are there for some of those who may open them: one's password, when one has one here."""
CARE = {
    "indicator": "care-plan", "reference": "A" * 22, "version": installed_packs()["cancer-care"].version,
}  # fmt: skip


@pytest.fixture
def for_purpose(database, sign_in) -> Callable[..., TestClient]:
    """Sign someone in and let their session be for another purpose, as switching it does."""

    def enter(who, purpose: Purpose) -> TestClient:
        client = sign_in(who)
        with database.tenant(who.tenant) as session:
            session.connection().execute(
                text("UPDATE sign_in_sessions SET purpose = :purpose WHERE person_id = :person"),
                {"purpose": purpose, "person": who.person},
            )
        return client

    return enter


def _post(client: TestClient, form_token, page: str, path: str, **fields: str):
    token = form_token(client.get(page).text)
    return client.post(path, data={"form_token": token, **fields})


def _routes_of(app) -> dict[str, str]:
    """The action of every GET route that is not public, by path with its gaps filled."""
    found = {}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.path not in PUBLIC and "GET" in route.methods:
            action = next((d.call.action for d in route.dependant.dependencies if isinstance(d.call, Requires)), None)
            if action is None:
                continue  # for programs, which have tokens and no session
            path = re.sub(r"{pack}", "cancer-care", route.path)
            found[re.sub(r"{(\w+)}", lambda gap: CARE.get(gap[1], str(uuid4())), path)] = action
    return found


PLACES = [(role, where) for role in Role for where in (ICB, PCN)]
PLACES += [(Role.CLINICIAN, TRUST), (Role.CLINICIAN, ELM), (Role.PRACTICE_MANAGER, ELM), (Role.IG_OFFICER, TRUST)]


@pytest.mark.parametrize(("role", "organisation"), PLACES)
def test_routes_do_what_the_matrix_says(app, registry_place, add_someone, for_purpose, role, organisation) -> None:
    """For every role, kind of organisation and purpose: a route that the matrix leaves out answers as if it were not
    there; one that it names may still lack an approval, a practice or a patient, and never refuses for the role alone.
    """
    may = {
        (permission.purpose, permission.action)
        for permission in access_matrix()
        if permission.role == role and permission.kind == KINDS[organisation]
    }
    who = add_someone(registry_place, (role, organisation))
    for purpose in role.purposes:
        client = for_purpose(who, purpose)
        for path, action in _routes_of(app).items():
            answer = client.get(path)
            if (purpose, action) not in may:
                assert answer.status_code == 404, (role, organisation, purpose, path)
                assert "There is no such page" in answer.text
            elif (
                action not in OF_PRACTICES
                and path not in OF_SOME
                and "{" not in path
                and "-" not in path.strip("/").rpartition("/")[2]
            ):
                assert answer.status_code == 200, (role, organisation, purpose, path, answer.text[-600:])


def test_the_matrix_is_shown_filtered_sorted_and_taken_away(registry_place, add_someone, sign_in) -> None:
    client = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    page = client.get("/ig/matrix/").text
    assert "direct-care-in-reach" in page
    shown = {(each.role, each.action, each.purpose) for each in access_matrix() if each.purpose in each.role.purposes}
    rows = list(
        csv.DictReader(io.StringIO(client.get("/ig/matrix/", params={"format": "csv"}).text.removeprefix("\ufeff")))
    )
    drawn = [(row["Role"], row["May"].replace(" ", "-"), each) for row in rows for each in row["For"].split(", ")]
    assert set(drawn) == shown, "every permission of a purpose that its role can have, and no other"
    assert "programme lead" in client.get("/ig/matrix/", params={"role": "programme lead"}).text
    assert client.get("/ig/matrix/", params={"role": "king"}).status_code == 400
    taken = client.get("/ig/matrix/", params={"format": "csv", "sort": "action", "order": "descending"})
    lines = taken.text.splitlines()
    assert taken.headers["content-type"].startswith("text/csv")
    assert lines[0].lstrip("\ufeff") == "Role,May,For,In an organisation that is a,By policy"
    assert [line.split(",")[1] for line in lines[1:]] == sorted(
        (line.split(",")[1] for line in lines[1:]), reverse=True
    )


def test_an_approval_is_asked_for_decided_by_two_used_and_revoked(
    database, someone, sign_in, form_token, registry_place, add_someone
) -> None:
    tenant = registry_place
    with database.tenant(tenant.id) as session:
        change_ig_settings(session, {"officers_to_approve": 2})
    analyst = add_someone(tenant, (Role.ICB_ANALYST, ICB), name="Ann Alyst")
    officers = [sign_in(add_someone(tenant, (Role.IG_OFFICER, ICB), name=f"Officer {n}")) for n in range(2)]
    asking = sign_in(analyst)
    wanted = {
        "title": "Winter plan", "purpose": "planning", "registry": "cancer-care", "level": "aggregate",
        "whom": "organisation", "start": TODAY.isoformat(), "end": (TODAY + timedelta(days=90)).isoformat(),
        "conditions": "Counts only", "documents": "Board paper 7",
    }  # fmt: skip
    assert _post(asking, form_token, "/approvals/", "/approvals/", **{**wanted, "end": "never"}).status_code == 400
    assert _post(asking, form_token, "/approvals/", "/approvals/", **{**wanted, "documents": " "}).status_code == 400
    assert _post(asking, form_token, "/approvals/", "/approvals/", **wanted).status_code == 303
    assert "Winter plan" in asking.get("/approvals/").text
    listed = officers[0].get("/ig/approvals/").text
    path = re.search(r'href="(/ig/approvals/[0-9a-f-]{36}/)">Winter plan', listed)[1]
    assert _post(officers[0], form_token, path, f"{path}decide", agreed="yes", why="").status_code == 400
    for officer in officers:
        assert _post(officer, form_token, path, f"{path}decide", agreed="yes", why="Sound").status_code == 303
    shown = officers[0].get(path).text
    assert "in force" in shown
    assert "Officer 0 agreed" in shown
    assert "Officer 1 agreed" in shown
    assert _post(officers[0], form_token, path, f"{path}decide", agreed="no", why="Late").status_code == 409
    assert _post(officers[1], form_token, path, f"{path}revoke", why="The plan changed").status_code == 303
    assert "revoked" in officers[0].get(path).text
    with database.tenant(tenant.id) as session:
        change_ig_settings(session, {"officers_to_approve": 1})
    assert sign_in(someone((Role.IG_OFFICER, ICB))).get(path).status_code == 404, "another tenant's approval"


def test_an_officer_does_not_decide_on_their_own_request(database, registry_place, add_someone, sign_in, form_token):
    both = add_someone(registry_place, (Role.IG_OFFICER, ICB), (Role.ICB_ANALYST, ICB))
    with database.tenant(registry_place.id) as session:
        wanted = NewApproval(
            "Mine", Purpose.PLANNING, "cancer-care", Level.AGGREGATE, TODAY, TODAY, "", ["Paper"], organisation=ICB
        )
        approval = ask_for(session, wanted, by=both.person)
    client, path = sign_in(both), f"/ig/approvals/{approval}/"
    assert "another IG officer must decide" in client.get(path).text
    answer = _post(client, form_token, "/ig/rules/", f"{path}decide", agreed="yes", why="I like it")
    assert answer.status_code == 403
    with database.tenant(registry_place.id) as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.actor == str(both.person))).all()
        colleague = add_person(session, "A colleague", [])
        theirs = ask_for(session, wanted, by=colleague)
    said = [(entry.action, entry.outcome, entry.detail.get("looked")) for entry in entries]
    assert ("decide-approval", "done", True) in said, "the page was looked at"
    assert ("decide-approval", "denied", None) in said
    assert ("decide-approval", "done", None) not in said
    answer = _post(client, form_token, "/ig/rules/", f"/ig/approvals/{theirs}/decide", agreed="yes", why="For us all")
    assert answer.status_code == 403, "it would be of use to the officer as an analyst"


def _alert(page: str) -> str:
    """What stands at the head of a page about openings by break-glass; empty when nothing does."""
    return page.partition('<aside class="app-alert"')[2].partition("</aside>")[0]


def _waiting(page: str) -> int:
    """How many openings it says are to be reviewed."""
    found = re.search(r"(\d+)\s+openings? by break-glass", _alert(page))
    return int(found[1]) if found else 0


def test_breaking_the_glass_opens_one_patient_and_is_reviewed(
    database, registry_place, add_someone, sign_in, form_token, hand_made
) -> None:
    """The clinician's PCN does not reach the patient's practice."""
    doctor, hidden = add_someone(registry_place, (Role.CLINICIAN, PCN), name="Dr Breaks"), hand_made.HIDDEN
    client = sign_in(doctor)
    fields = {"registry": "cancer-care", "nhs_number": hidden.nhs_number, "reason": "emergency care"}

    def attempt(**changed: str):
        said = {**fields, "words": "Collapsed in our waiting room", **changed}
        return _post(client, form_token, "/break-glass/", "/break-glass/", **said)

    nobody = hand_made.WELL.nhs_number
    assert [attempt(words="pls", nhs_number=number).status_code for number in (hidden.nhs_number, nobody)] == [400, 400]
    assert attempt(reason="curious").status_code == 400
    assert attempt(nhs_number="123").status_code == 400
    assert attempt(nhs_number=hand_made.WELL.nhs_number).status_code == 404, "in no registry"
    opened = attempt()
    assert opened.status_code == 303
    patient = opened.headers["location"]
    assert hidden.nhs_number not in patient
    page = client.get(patient)
    assert page.status_code == 200
    assert hidden.family.upper() in page.text
    assert hidden.family.upper() not in client.get("/registries/cancer-care/").text
    assert sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN))).get(patient).status_code == 404, "another's"
    assert sign_in(add_someone(registry_place, (Role.CARE_COORDINATOR, PCN))).get("/break-glass/").status_code == 404

    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    overview = officer.get("/ig/").text
    for page in ("/", "/ig/audit/", "/onboarding/"):
        assert _alert(officer.get(page).text), "it stands on every page of an officer"
    assert not _alert(client.get("/").text)
    waiting = officer.get("/ig/break-glass/").text
    for told in (hidden.family.upper(), hidden.nhs_number, "waiting room"):
        assert told not in waiting + overview, "the alert carries no identity"
    assert "Dr Breaks" not in _alert(overview)
    assert (before := _waiting(overview))
    review = next(row for row in waiting.split("<tr") if "Dr Breaks" in row)
    review = re.search(r'href="(/ig/break-glass/[0-9a-f-]{36}/)"', review)[1]
    assert "Collapsed in our waiting room" in officer.get(review).text
    letter = _post(officer, form_token, "/ig/history/", "/ig/history/", nhs_number=hidden.nhs_number).text
    assert "Dr Breaks" in letter
    assert "opened the record outside their reach" in letter
    assert _post(officer, form_token, review, review, outcome="justified", note="").status_code == 400
    assert _post(officer, form_token, review, review, outcome="justified", note="Rang them").status_code == 303
    assert "justified" in officer.get("/ig/break-glass/").text
    assert _waiting(officer.get("/").text) == before - 1
    assert client.get(patient).status_code == 200

    with database.tenant(registry_place.id) as session:
        session.connection().execute(text("UPDATE break_glass SET expires = now() - interval '1 second'"))
    assert client.get(patient).status_code == 404, "its time is over"
    with database.tenant(registry_place.id) as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.actor == str(doctor.person))).all()
    broken = [(entry.action, entry.outcome) for entry in entries if "broken-glass" in entry.policy]
    assert ("view-patient", "done") in broken
    assert ("view-patient", "denied") in [(entry.action, entry.outcome) for entry in entries]


def test_what_was_not_justified_closes_at_once_and_ten_an_hour_are_the_most(
    registry_place, add_someone, sign_in, form_token, hand_made
) -> None:
    client = sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN), name="Dr Often"))
    said = {"registry": "cancer-care", "reason": "safeguarding", "words": "Asked by the safeguarding lead"}
    said["nhs_number"] = hand_made.HIDDEN.nhs_number

    def attempt():
        return _post(client, form_token, "/break-glass/", "/break-glass/", **said)

    patient = attempt().headers["location"]
    assert client.get(patient).status_code == 200
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    row = next(row for row in officer.get("/ig/break-glass/").text.split("<tr") if "Dr Often" in row)
    review = re.search(r'href="(/ig/break-glass/[0-9a-f-]{36}/)"', row)[1]
    assert _post(officer, form_token, review, review, outcome="not justified", note="No reason").status_code == 303
    assert client.get(patient).status_code == 404
    assert [attempt().status_code for _ in range(12)] == [303] * 9 + [404] * 3


def test_a_review_that_is_late_says_so(database, registry_place, add_someone, sign_in, form_token, hand_made) -> None:
    client = sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN)))
    said = {"registry": "cancer-care", "reason": "safeguarding", "words": "Asked by the safeguarding lead"}
    number = hand_made.HIDDEN.nhs_number
    assert _post(client, form_token, "/break-glass/", "/break-glass/", nhs_number=number, **said).status_code == 303
    with database.tenant(registry_place.id) as session:
        session.connection().execute(text("UPDATE break_glass SET review_by = now() - interval '1 day'"))
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    assert "overdue" in officer.get("/ig/").text
    assert "overdue" in officer.get("/ig/break-glass/").text
    assert "overdue" in _alert(officer.get("/").text)


def test_nothing_shows_before_every_step_is_done(database, place, someone, sign_in, form_token) -> None:
    admin = sign_in(someone((Role.TENANT_ADMINISTRATOR, ICB)))
    manager = sign_in(someone((Role.PRACTICE_MANAGER, ELM)))
    with database.tenant(place.id) as session:
        withdraw(session, ELM, Step.FEED_CONNECTED)
    assert "not live" in manager.get("/onboarding/own/").text
    assert manager.get("/onboarding/").status_code == 404
    page = f"/onboarding/{ELM}/"
    assert "Still to do" not in admin.get(page).text
    early = _post(admin, form_token, page, page, step="go-live", on="2021-01-01", document="Minutes")
    assert early.status_code == 400
    assert "feed connected" in early.text
    for step, on in (("feed connected", "2021-01-01"), ("go-live", (TODAY + timedelta(days=1)).isoformat())):
        assert _post(admin, form_token, page, page, step=step, on=on, document="Minutes 3").status_code == 303
    assert "to come" in manager.get("/onboarding/own/").text
    assert _post(admin, form_token, page, page, step="go-live", undo="yes").status_code == 303
    assert (
        _post(admin, form_token, page, page, step="go-live", on="2021-01-01", document="Minutes 4").status_code == 303
    )
    assert "live" in manager.get("/onboarding/own/").text
    officer = sign_in(someone((Role.IG_OFFICER, ICB)))
    assert "Minutes 4" in officer.get(page).text
    assert _post(officer, form_token, "/ig/rules/", page, step="go-live", undo="yes").status_code == 404


def test_a_trust_sees_those_it_recorded_something_for_and_nobody_else(
    database, registry_place, add_someone, sign_in, hand_made
) -> None:
    with database.tenant(registry_place.id) as session:
        share(session, ELM, TRUST, start=date(2020, 1, 1), document="DSA trust")
        change_ig_settings(session, {"trust_relationship_days": 1})
    client = sign_in(add_someone(registry_place, (Role.CLINICIAN, TRUST)))
    assert hand_made.ADA.family.upper() not in client.get("/registries/cancer-care/").text
    with database.tenant(registry_place.id) as session:
        change_ig_settings(session, {"trust_relationship_days": (TODAY - date(2025, 8, 8)).days})
    listed = client.get("/registries/cancer-care/").text
    assert hand_made.ADA.family.upper() in listed
    assert hand_made.BEN.family.upper() not in listed
    path = re.search(r'href="(/registries/cancer-care/patients/[\w-]{22}/)"', listed)[1]
    assert client.get(path).status_code == 200
    near = sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN))).get("/registries/cancer-care/?q=").text
    others = re.findall(r'href="(/registries/cancer-care/patients/[\w-]{22}/)"', near)
    assert [client.get(other).status_code for other in set(others) - {path}][:5] == [404] * 5
    with database.tenant(registry_place.id) as session:
        change_ig_settings(session, {"trust_relationship_days": 365})


@pytest.fixture
def research(database, settings, key_encryption, registry_place, add_someone, for_purpose, hand_made):
    """A clinician looking for research, under an approval, with a list that clears everyone but one."""
    with database.tenant(registry_place.id) as session:
        store, keys = RecordStore(settings.store_root, registry_place.id), open_keys(session, key_encryption)
        cleared = [each.nhs_number + "," for each in hand_made.everyone() if each is not hand_made.BEN]
        load_cleared_list(session, store, keys, cleared, as_at=TODAY, expires=TODAY, by="test")
        asks, decides = add_person(session, "Asks", []), add_person(session, "Decides", [])
        wanted = NewApproval(
            "Study", Purpose.RESEARCH, "cancer-care", Level.IDENTIFIABLE, TODAY, TODAY, "", ["REC 1"], organisation=PCN
        )
        decide_on(session, ask_for(session, wanted, by=asks), by=decides, agreed=True, why="Ethics agreed", on=TODAY)
    return for_purpose(add_someone(registry_place, (Role.CLINICIAN, PCN)), Purpose.RESEARCH)


def test_other_uses_leave_out_whoever_is_not_cleared(database, research, registry_place, hand_made) -> None:
    everyone = research.get("/registries/cancer-care/", params={"page": 1}).text
    pages = everyone + research.get("/registries/cancer-care/", params={"page": 2}).text
    assert hand_made.ADA.family.upper() in pages
    assert "CARDEW" not in pages
    with database.tenant(registry_place.id) as session:
        session.connection().execute(text("UPDATE cleared_lists SET expires = :past"), {"past": date(2020, 1, 1)})
    assert research.get("/registries/cancer-care/").status_code == 404


def test_a_list_with_a_wrong_line_is_taken_not_at_all(database, settings, tenant, tenant_keys) -> None:
    store = RecordStore(settings.store_root, tenant.id)
    for lines, says in ((["9434765919", "9434765918"], "Line 2"), ([""], "no NHS number"), (["x"], "Line 1")):
        with database.tenant(tenant.id) as session, pytest.raises(Exception, match=says):
            load_cleared_list(session, store, tenant_keys, lines, as_at=TODAY, expires=TODAY, by="test")
    assert not store.opt_outs.exists() or not list(store.opt_outs.iterdir())
    assert DISSENT == 827241000000103


def test_a_patients_history_is_a_letter_and_the_look_up_is_in_the_next(
    registry_place, add_someone, sign_in, form_token, hand_made
) -> None:
    doctor = sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN), name="Dr Looks"))
    for page in (1, 2):
        doctor.get("/registries/cancer-care/", params={"page": page})
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB), name="Ida Officer"))

    def letter(**fields: str) -> str:
        return _post(officer, form_token, "/ig/history/", "/ig/history/", **fields).text

    number = hand_made.ADA.nhs_number
    first = letter(nhs_number=number)
    assert "Dr Looks" in first
    assert "saw the patient on a list" in first
    for clinical in ("smok", "cancer-care", "Breast", "neoplasm"):
        assert clinical not in first.split("<main")[1], "no clinical content"
    assert "Ida Officer" in letter(nhs_number=number)
    assert "nothing here to look at" in letter(nhs_number="9990000018")
    assert letter(nhs_number=number, format="csv").startswith("\ufeffWhen,Who")
    assert "not an NHS number" in letter(nhs_number="12")
    assert sign_in(add_someone(registry_place, (Role.TENANT_ADMINISTRATOR, ICB))).get("/ig/history/").status_code == 404


def test_rules_are_changed_within_their_limits(database, registry_place, add_someone, sign_in, form_token) -> None:
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))

    def change(name: str, value: str) -> int:
        return _post(officer, form_token, "/ig/rules/", "/ig/rules/", name=name, value=value).status_code

    assert change("review_days", "7") == 303
    assert "rule: review_days; before: 5; after: 7" in officer.get("/ig/audit/").text
    assert 'value="7"' in officer.get("/ig/rules/").text
    assert [change("review_days", wrong) for wrong in ("0", "99", "x", "")] == [400] * 4
    assert change("tenant_id", "1") == 400
    assert [change("officers_to_approve", value) for value in ("2", "1")] == [303, 403], "not by one officer alone"
    with database.tenant(registry_place.id) as session:
        change_ig_settings(session, {"officers_to_approve": 1})
    assert change("review_days", "5") == 303


def test_the_log_is_searched_saved_and_taken_away(registry_place, add_someone, sign_in, form_token, hand_made) -> None:
    doctor = add_someone(registry_place, (Role.CLINICIAN, PCN), name="Dr Sought")
    looking = sign_in(doctor)
    listed = looking.get("/registries/cancer-care/").text
    patient = re.search(r'href="(/registries/cancer-care/patients/[\w-]{22}/)"', listed)[1]
    assert looking.get(patient).status_code == 200
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB), name="Ivy Officer"))
    hers = {"person": str(doctor.person)}
    page = officer.get("/ig/audit/", params=hers).text
    assert page.count("Dr Sought") >= 3
    taken = officer.get("/ig/audit/", params={**hers, "action": "view-patient", "format": "csv"}).text.splitlines()
    assert [line.split(",")[2] for line in taken[1:]] == ["Dr Sought"]
    assert all(line.split(",")[0].isdecimal() for line in taken[1:]), "every entry has its place"
    bundle = officer.get("/ig/audit/", params={**hers, "format": "fhir"}).json()
    kinds = {event["resource"]["resourceType"] for event in bundle["entry"]}
    assert kinds == {"AuditEvent"}
    assert {e["resource"]["purposeOfEvent"][0]["coding"][0]["code"] for e in bundle["entry"]} >= {"TREAT"}
    assert officer.get("/ig/audit/", params={"since": "soon"}).status_code == 400
    assert officer.get("/ig/audit/", params={"outcome": "odd"}).status_code == 400
    assert "Nothing in the log" in officer.get("/ig/audit/", params={"until": "2020-01-01"}).text

    number = hand_made.HIDDEN.nhs_number
    begun = _post(officer, form_token, "/ig/audit/", "/ig/audit/", nhs_number=number, filters="")
    assert begun.status_code == 303
    assert number not in begun.headers["location"]
    assert "One patient" in officer.get(begun.headers["location"]).text
    another = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    assert another.get(begun.headers["location"]).status_code == 404, "a search belongs to its session"

    saved = _post(officer, form_token, "/ig/audit/", "/ig/audit/saved", name="Hers", filters="action=view-patient")
    assert saved.status_code == 303
    mine = officer.get("/ig/audit/").text
    assert 'href="/ig/audit/?action=view-patient">Hers' in mine
    assert "Hers" not in another.get("/ig/audit/").text
    forget = re.search(r'action="(/ig/audit/saved/[0-9a-f-]{36})"', mine)[1]
    assert _post(another, form_token, "/ig/audit/", forget).status_code == 404
    assert _post(officer, form_token, "/ig/audit/", forget).status_code == 303
    assert _post(officer, form_token, "/ig/audit/", "/ig/audit/saved", name=" ", filters="").status_code == 400


def test_patterns_are_flagged_with_their_rule(
    database, registry_place, add_someone, sign_in, form_token, hand_made
) -> None:
    namesake = add_someone(registry_place, (Role.CLINICIAN, ELM), name="Dr Ada Blackwood")
    client = sign_in(namesake)
    listed = client.get("/registries/cancer-care/").text
    for path in set(re.findall(r'href="(/registries/cancer-care/patients/[\w-]{22}/)"', listed)):
        assert client.get(path).status_code == 200
    curious = sign_in(add_someone(registry_place, (Role.CLINICIAN, ELM), name="Dr Curious"))
    said = {"registry": "cancer-care", "reason": "safeguarding", "words": "Asked by the safeguarding lead"}
    number = hand_made.HIDDEN.nhs_number
    _post(curious, form_token, "/break-glass/", "/break-glass/", nhs_number=number, **said)
    with database.tenant(registry_place.id) as session:
        bulk = [bytes([n]) * 32 for n in range(70)]
        session.connection().execute(
            text("""
                INSERT INTO audit_entries (tenant_id, id, at, actor, role, organisation, purpose, action, resource,
                    practices, patients, policy, outcome, request_id, detail)
                VALUES (:tenant, gen_random_uuid(), '2026-11-21T23:10:00Z', 'bulk', 'clinician', 'Z90001',
                    'direct care', 'view-patient', 'registry/cancer-care/patient', '{}', :patients, '', 'done', 'r',
                    '{}')
            """),
            {"tenant": registry_place.id, "patients": bulk},
        )
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    lines = officer.get("/ig/patterns/", params={"days": "365", "format": "csv"}).text.splitlines()
    found = {tuple(line.split(",")[:2]) for line in lines[1:]}
    assert ("Perhaps their own record", "Dr Ada Blackwood") in found
    assert ("Same surname", "Dr Ada Blackwood") in found
    assert ("Outside reach", "Dr Curious") in found
    assert ("Many patients in an hour", "bulk") in found
    assert ("Out of hours", "bulk") in found
    assert ("Account suddenly active", "Dr Curious") in found, "added years ago, and here for the first time"
    assert not any(who == "Dr Curious" for rule, who in found if rule in {"Same surname", "Many patients in an hour"})
    assert officer.get("/ig/patterns/", params={"days": "8"}).status_code == 400


def test_checkpoints_are_taken_and_verify(registry_place, add_someone, sign_in, form_token) -> None:
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    assert _post(officer, form_token, "/ig/proofs/", "/ig/proofs/").status_code == 303
    page = officer.get("/ig/proofs/").text
    note = re.search(r'href="(/ig/proofs/\d+\.txt)"', page)[1]
    taken = officer.get(note).text
    assert taken.startswith("cohortium/")
    key = re.search(r"Public key</dt><dd[^>]*>([^<]+)<", page)[1]
    assert open_note(taken, LogKey.parse(html.unescape(key))).size == int(note.rpartition("/")[2].removesuffix(".txt"))
    assert officer.get("/ig/proofs/999999.txt").status_code == 404


def test_usage_names_organisations_and_nobody(registry_place, add_someone, sign_in) -> None:
    sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN), name="Dr Unnamed")).get("/registries/cancer-care/")
    lead = sign_in(add_someone(registry_place, (Role.PROGRAMME_LEAD, ICB)))
    page = lead.get("/usage/").text
    assert "Elm and Oak PCN" in page
    assert "Dr Unnamed" not in page
    taken = lead.get("/usage/", params={"weeks": "4", "format": "csv"}).text.splitlines()
    assert taken[0].endswith("Downloads")
    assert all(int(line.split(",")[4]) >= 1 for line in taken[1:])
    assert lead.get("/usage/", params={"weeks": "3"}).status_code == 400


def test_an_agreement_recorded_gives_reach_and_ended_takes_it(
    database, registry_place, add_someone, sign_in, form_token, hand_made
) -> None:
    ash = hand_made.ASH
    admin = sign_in(add_someone(registry_place, (Role.TENANT_ADMINISTRATOR, ICB)))
    own = sign_in(add_someone(registry_place, (Role.CARE_COORDINATOR, ash)))
    with database.tenant(registry_place.id) as session:
        session.connection().execute(text("DELETE FROM sharing_agreements WHERE practice = :ash"), {"ash": ash})
    seen = "/registries/cancer-care/"
    assert own.get(seen).status_code == 404
    page = f"/onboarding/{ash}/"
    fields = {"practice": ash, "start": "2024-01-01", "document": "DSA 77"}
    assert _post(admin, form_token, page, f"{page}agreements", **{**fields, "document": " "}).status_code == 400
    assert _post(admin, form_token, page, f"{page}agreements", **{**fields, "practice": PCN}).status_code == 404
    assert _post(admin, form_token, page, f"{page}agreements", **fields).status_code == 303
    assert hand_made.HIDDEN.family.upper() in own.get(seen).text
    shown = admin.get(page).text
    assert "DSA 77" in shown
    ending = re.search(rf'action="({page}agreements/[0-9a-f-]{{36}})"', shown)[1]
    yesterday = (TODAY - timedelta(days=1)).isoformat()
    assert _post(admin, form_token, page, ending, end=yesterday).status_code == 303
    assert own.get(seen).status_code == 404
    assert _post(admin, form_token, page, f"{page}agreements", **fields).status_code == 303


def _see_nobody_is_alone(client, taken: str) -> None:
    """In all that could tell who somebody is, each row is like 7 others or more; the page says how many are missing."""
    head, *rows = csv.reader(io.StringIO(taken))
    assert head[1:7] == ["at-least-alike", "age", "sex", "place", "since", "stratifier:tumour-site"]
    strata = head.index("stratifier:sex") + 1
    assert min(Counter(tuple(row[2:strata]) for row in rows).values()) >= 8
    assert {row[1] for row in rows} == {"8"}
    assert "withheld" in taken
    page = client.get("/registries/cancer-care/pseudonymised/").text
    assert "each row is like 8 or more in the file" in page
    assert "held back" in page


def test_rows_under_pseudonyms_name_nobody_and_leave_out_whoever_is_not_cleared(
    database, research, registry_place, add_someone, for_purpose, hand_made, sign_in, form_token
) -> None:
    """The list of `research` clears everyone but one; the ICB has an agreement with two practices."""
    assert research.get("/registries/cancer-care/").status_code == 200
    with database.tenant(registry_place.id) as session:
        for practice in (hand_made.ELM, hand_made.OAK):
            share(session, practice, ICB, start=date(2020, 1, 1), document="DSA ICB")
        asks, decides = add_person(session, "Asks", []), add_person(session, "Decides", [])
        approvals = []
        for title in ("One", "Two"):
            analyst = add_someone(registry_place, (Role.ICB_ANALYST, ICB))
            wanted = NewApproval(
                title, Purpose.RESEARCH, "cancer-care", Level.PSEUDONYMISED, TODAY, TODAY, "", ["REC 2"],
                organisation=ICB, person_id=analyst.person,
            )  # fmt: skip
            approval = ask_for(session, wanted, by=asks)
            decide_on(session, approval, by=decides, agreed=True, why="Ethics agreed", on=TODAY)
            approvals.append((analyst, approval))
    files = []
    for analyst, approval in approvals:
        client = for_purpose(analyst, Purpose.RESEARCH)
        assert "/registries/cancer-care/pseudonymised/" in client.get("/approvals/").text
        assert "Download" in client.get("/registries/cancer-care/pseudonymised/").text
        assert client.get("/registries/cancer-care/").status_code == 404, "no person may be seen"
        taken = client.get("/registries/cancer-care/pseudonymised.csv").text
        for told in ("BLACKWOOD", "Blackwood", hand_made.ADA.nhs_number, hand_made.ELM, "Elm Surgery", "1960-"):
            assert told not in taken
        files.append(taken.splitlines())
        _see_nobody_is_alone(client, taken)
        with database.tenant(registry_place.id) as session:
            entries = session.exec(select(AuditEntry).where(AuditEntry.actor == str(analyst.person))).all()
        entry = next(entry for entry in entries if "rows" in entry.detail)
        assert entry.detail["approval"] == str(approval)
        assert entry.detail["rows"] == len(files[-1]) - 1
    first, second = files
    members = [each for each in hand_made.everyone() if each.practice != hand_made.ASH and each is not hand_made.WELL]
    left = [e for e in members if e is not hand_made.BEN and DISSENT not in {code for code, *_ in e.events}]
    held_back = int(entry.detail["held-back"])
    assert len(first) - 1 + held_back == len(left), "without the one not cleared, and whoever has dissented"
    assert held_back < 8
    taken_of = {patient for each in entries if "rows" in each.detail for patient in each.patients}
    assert len(taken_of) == len(first) - 1
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    for someone, stands in ((hand_made.BEN, False), (hand_made.ADA, True)):
        number = someone.nhs_number
        page = _post(officer, form_token, "/ig/history/", "/ig/history/", nhs_number=number).text
        assert ("under a pseudonym, without name or number" in page) is stands
    assert sorted(line.split(",", 1)[1] for line in first) == sorted(line.split(",", 1)[1] for line in second)
    assert not {line.split(",")[0] for line in first[1:]} & {line.split(",")[0] for line in second[1:]}
    assert (
        for_purpose(approvals[0][0], Purpose.PLANNING).get("/registries/cancer-care/pseudonymised.csv").status_code
        == 404
    )


def test_a_letter_names_who_looked_after_the_practice_has_closed(
    database, registry_place, add_someone, sign_in, form_token, hand_made
) -> None:
    doctor = sign_in(add_someone(registry_place, (Role.CLINICIAN, ELM), name="Dr Before"))
    doctor.get("/registries/cancer-care/")
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    number = hand_made.ADA.nhs_number
    with database.tenant(registry_place.id) as session:
        closing = text("UPDATE organisations SET closed = :day WHERE ods_code = :code")
        session.connection().execute(closing, {"day": TODAY - timedelta(days=1), "code": ELM})
    assert "Dr Before" in _post(officer, form_token, "/ig/history/", "/ig/history/", nhs_number=number).text
    with database.tenant(registry_place.id) as session:
        session.connection().execute(closing, {"day": None, "code": ELM})


def test_a_trust_may_break_the_glass_where_it_has_an_agreement_too(
    database, registry_place, add_someone, sign_in, form_token, hand_made
) -> None:
    with database.tenant(registry_place.id) as session:
        share(session, hand_made.ASH, TRUST, start=date(2020, 1, 1), document="DSA trust Ash")
    client = sign_in(add_someone(registry_place, (Role.CLINICIAN, TRUST)))
    said = {"registry": "cancer-care", "reason": "emergency care", "words": "In our emergency department"}
    number = hand_made.HIDDEN.nhs_number
    opened = _post(client, form_token, "/break-glass/", "/break-glass/", nhs_number=number, **said)
    assert hand_made.HIDDEN.family.upper() in client.get(opened.headers["location"]).text
    listed = client.get("/registries/cancer-care/")
    assert hand_made.HIDDEN.family.upper() not in listed.text


def test_a_password_alone_opens_no_patient_and_no_log(database, registry_place, add_someone, sign_in) -> None:
    doctor, officer = (
        add_someone(registry_place, (Role.CLINICIAN, PCN)),
        add_someone(registry_place, (Role.IG_OFFICER, ICB)),
    )
    for who, path in ((doctor, "/registries/cancer-care/"), (doctor, "/break-glass/"), (officer, "/ig/audit/")):
        client = sign_in(who)
        assert client.get(path).status_code == 200
        with database.tenant(who.tenant) as session:
            session.connection().execute(
                text("UPDATE sign_in_sessions SET assurance = 1 WHERE person_id = :person"), {"person": who.person}
            )
        assert client.get(path).status_code == 404
        assert client.get("/").status_code == 200


def test_what_is_typed_into_a_filter_does_not_reach_the_log(registry_place, add_someone, sign_in) -> None:
    client = sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN)))
    for query in ({"by-tumour-site": "9990000107"}, {"organisation": "9990000107"}):
        assert client.get("/registries/cancer-care/", params=query).status_code == 400
    assert client.get("/registries/cancer-care/rates/", params={"organisation": "9990000107"}).status_code == 400
    assert client.get("/registries/" + "x" * 10_000 + "/").status_code == 404


def test_many_at_once_in_the_log_do_not_stop_one_another(registry_place, add_someone, sign_in) -> None:
    client = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    began = time.perf_counter()
    with ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(lambda _: client.get("/ig/audit/").status_code, range(24)))
    assert answers == [200] * 24
    assert time.perf_counter() - began < 25
