"""Reviews: saved as they are typed, found again, completed into codes and green tiles, printed; and who may."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from html import unescape

import pytest
from sqlmodel import select

from cohortium_auth.login import Role
from cohortium_auth.login.models import SignInSession
from cohortium_platform.audit.models import AuditEntry
from cohortium_platform.engine.refresh import refresh_tenant
from cohortium_platform.engine.service import Request
from cohortium_platform.jobs import enqueue, load_kinds, run_job
from cohortium_platform.records import COHORTIUM, files, snapshot_current
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.care import FOLD, FoldEntries, completed
from cohortium_tenants.care.models import CareEntry, CareResponse, ResponseVersion
from cohortium_tenants.keys import open_keys
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.packs import add_local_code, definition_of

PCN, ICB = "U90001", "QT1"
ELM = "Z90001"
LIST = "/registries/cancer-care/"
SUPPORT, MATTERS = 9_000_001, 9_000_003
WORDS = "My garden, and being there for Noah's wedding"


def _local_codes(session) -> None:
    for codelist, code, term in (
        ("cancer-support-discussed", SUPPORT, "Support discussed (local)"),
        ("what-matters-to-you", MATTERS, "What matters to you (local)"),
    ):
        add_local_code(session, "cancer-care", codelist, code, term, reason="No public code", by="test")


@pytest.fixture(scope="module")
def reviewed(make_registry):
    """A tenant whose people are reviewed: tests each take a patient of their own."""
    return make_registry(before=_local_codes)


@pytest.fixture
def clinician(reviewed, add_someone, sign_in):
    return sign_in(add_someone(reviewed, (Role.CLINICIAN, PCN), name="Dr Rowan Ash"))


@pytest.fixture
def path_of(clinician, form_token):
    """Where a patient's page is, found as a clinician finds it."""

    def find(family: str) -> str:
        token = form_token(clinician.get(LIST).text)
        answer = clinician.post(LIST + "search", data={"form_token": token, "who": family})
        page = clinician.get(answer.headers["location"]).text
        return re.search(r'app-list__who" scope="row"><a href="([^"]+)"', page)[1]

    return find


class Form:
    """The form of a review, as a browser holds it."""

    def __init__(self, client, path, template="cancer-care-review") -> None:
        self.client, self.path = client, f"{path}reviews/{template}/"
        self.open()

    def open(self) -> str:
        page = self.client.get(self.path)
        assert page.status_code == 200
        self.take(page.text)
        return unescape(page.text)

    def take(self, page: str) -> None:
        self.token = re.search(r'name="form_token" value="([0-9a-f]+)"', page)[1]
        self.number = re.search(r'name="number" value="(\d+)"', page)[1]

    def send(self, how, *, script=False, day="2025-11-30", **typed):
        fields = {"form_token": self.token, "number": self.number, "day": day}
        fields |= {f"q-{link.replace('__', '.')}": words for link, words in typed.items()}
        headers = {"accept": "application/json"} if script else {}
        answer = self.client.post(self.path + how, data=fields, headers=headers)
        if script and answer.status_code == 200:
            self.number = str(answer.json()["number"])
        return answer


FULL = {
    "matters__words": WORDS,
    "treatment__letter": "yes",
    "physical__smoking": "never",
    "physical__weight": "71.4",
    "mind__phq2": "1",
    "money__concerns": ["bills", "benefits"],
    "support__discussed": "yes",
    "support__hna": "yes",
    "support__medicines": "yes",
    "plan__status": "agreed",
    "plan__mine": "Walk to the shop each day",
    "next__date": "2025-12-24",
}


def test_the_patients_page_leads_to_reviews(clinician, path_of) -> None:
    path = path_of("o\u2019cardew")
    assert f'href="{path}reviews/"' in clinician.get(path).text
    page = unescape(clinician.get(path + "reviews/").text)
    assert "Cancer care review" in page
    assert "No review has been completed in Cohortium yet." in page
    assert "Start" in page


def test_what_is_typed_is_saved_and_found_again(clinician, path_of) -> None:
    form = Form(clinician, path_of("o\u2019cardew"))
    answer = form.send("save", script=True, matters__words=WORDS, mind__phq2="4")
    assert answer.status_code == 200
    found = answer.json()
    assert found["number"] == 1
    assert "mind.risk" in found["shown"]
    assert "physical.stop" not in found["shown"]
    again = Form(clinician, path_of("o\u2019cardew"))
    page = again.open()
    assert WORDS in page
    assert 'name="q-mind.phq2" inputmode="decimal" autocomplete="off" value="4"' in page
    assert "Saved" in page.split('id="saved"')[1][:120]
    listed = unescape(clinician.get(path_of("o\u2019cardew") + "reviews/").text)
    assert "Being filled in: saved" in listed
    assert "by Dr Rowan Ash" in listed
    wrong = again.send("save", script=True, matters__words=WORDS, mind__phq2="seven")
    assert wrong.json()["wrong"] == {"mind.phq2": "Enter a whole number."}
    assert 'value="seven"' in again.open()
    gone = again.send("discard")
    assert gone.status_code == 303
    assert WORDS not in Form(clinician, path_of("o\u2019cardew")).open()


def test_a_form_works_without_its_script(clinician, path_of) -> None:
    form = Form(clinician, path_of("o\u2019cardew"))
    answer = form.send("save", matters__words=WORDS)
    assert (answer.status_code, answer.headers["location"]) == (303, form.path + "?saved=1")
    assert WORDS in form.open()
    form.send("discard")


def test_two_who_type_at_once_never_write_over_one_another(clinician, path_of, reviewed, add_someone, sign_in) -> None:
    path = path_of("o\u2019cardew")
    colleague = sign_in(add_someone(reviewed, (Role.CARE_COORDINATOR, PCN), name="Sam Birch"))
    mine, theirs = Form(clinician, path), Form(colleague, path)
    assert theirs.send("save", script=True, matters__words="Theirs").status_code == 200
    refused = mine.send("save", script=True, matters__words="Mine")
    assert refused.status_code == 409
    assert refused.json()["by"] == "Sam Birch"
    page = mine.send("save", matters__words="Mine")
    assert page.status_code == 409
    said = unescape(page.text)
    assert "Sam Birch has changed this review" in said
    assert re.search(r"What matters most to you.*Theirs.*Mine", said, re.DOTALL)
    assert "Theirs" in Form(clinician, path).open()
    mine.take(page.text)
    assert mine.send("save", matters__words="Mine and theirs").status_code == 303
    assert "Mine and theirs" in theirs.open()
    assert theirs.send("complete", matters__words="Old").status_code == 422
    theirs.open()
    theirs.send("discard")


def _wind_back(database, tenant, by: timedelta) -> None:
    """Let time pass for everybody signed in: what was seen then was seen longer ago."""
    with database.tenant(tenant.id) as session:
        for row in session.exec(select(SignInSession)):
            row.last_seen, row.started, row.expires = row.last_seen - by, row.started - by, row.expires - by
            session.add(row)


def test_forty_minutes_of_typing_lose_nothing_and_end_no_session(clinician, path_of, database, reviewed) -> None:
    path = path_of("o\u2019cardew")
    form, words = Form(clinician, path), ""
    for minute in range(0, 45, 5):
        _wind_back(database, reviewed, timedelta(minutes=5))
        words += f"Minute {minute}. "
        assert form.send("save", script=True, matters__words=words).status_code == 200
    assert words.strip() in form.open()
    form.send("discard")


def test_a_session_that_ends_leaves_the_draft(clinician, path_of, database, reviewed, add_someone, sign_in) -> None:
    path = path_of("o\u2019cardew")
    form = Form(clinician, path)
    form.send("save", script=True, matters__words="Before the interruption")
    _wind_back(database, reviewed, timedelta(minutes=31))
    refused = form.send("save", script=True, matters__words="Before the interruption. After it")
    assert refused.status_code == 401
    back = sign_in(add_someone(reviewed, (Role.CLINICIAN, PCN), name="Dr Rowan Ash"))
    again = Form(back, path)
    assert "Before the interruption" in again.open()
    again.send("discard")


def test_what_is_missing_is_named_and_nothing_typed_is_lost(clinician, path_of) -> None:
    form = Form(clinician, path_of("o\u2019cardew"))
    answer = form.send("complete", day="2099-01-01", matters__words=WORDS, mind__phq2="9")
    assert answer.status_code == 422
    page = unescape(answer.text)
    assert "Were support and information discussed?: Answer this question." in page
    assert "PHQ-2 score: Enter 6 or less." in page
    assert "The day of the review cannot be in the future." in page
    assert WORDS in form.open()
    form.send("discard")


def test_completing_turns_tiles_in_the_same_request(
    clinician, path_of, reviewed, database, key_encryption, settings, hand_made, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("cohortium_tenants.care.tasks.load_settings", lambda: settings)
    path = path_of("o\u2019cardew")
    before = unescape(clinician.get(path).text)
    assert _status(before, "care-review") == "Overdue"
    form = Form(clinician, path)
    form.send("save", script=True, matters__words=WORDS)
    answer = form.send("complete", **FULL)
    assert answer.status_code == 303, answer.text
    after = unescape(clinician.get(path).text)
    for name in ("care-review", "support-discussed", "holistic-needs-assessment", "care-plan", "medication-review",
                 "comprehensive-review", "smoking-status-and-advice", "end-of-treatment-summary"):  # fmt: skip
        assert _status(after, name) == "Met", name
    assert "Entered in Cohortium" in after
    listed = unescape(clinician.get(LIST, params={"indicator": "holistic-needs-assessment", "status": "met"}).text)
    assert "O\u2019CARDEW" in listed
    why = unescape(clinician.get(path + "why/care-review/").text)
    assert "Entered in Cohortium" in why
    assert "30 Nov 2025" in why
    timeline = unescape(clinician.get(path + "timeline/").text)
    assert "Personalised Care and Support Plan agreed" in timeline
    done = clinician.get(answer.headers["location"])
    page = unescape(done.text)
    assert "Cancer care review: completed" in page
    assert "Met by this review" in page
    assert "Holistic needs assessment" in page.split("Met by this review")[1]
    assert "Concern raised in a cancer care review" in page.split("not recorded as codes")[1]
    _see_stored(database, key_encryption, reviewed)
    _see_prints(clinician, answer.headers["location"])
    _see_reload(clinician, path, reviewed, database, key_encryption, settings, hand_made, tmp_path)


def _status(page: str, indicator: str) -> str:
    row = page.partition(f'id="{indicator}"')[2].partition("</tr>")[0]
    return re.search(r"</span> ([\w ]+)</strong>", row)[1]


def _see_stored(database, key_encryption, tenant) -> None:
    """The response is FHIR and sealed; each entry is in the record store; the audit names the patient and no answer."""
    with database.tenant(tenant.id) as session:
        keys = open_keys(session, key_encryption)
        response = session.exec(select(CareResponse).where(CareResponse.version == 1)).one()
        done = completed(session, keys, response.id)
        entries = session.exec(select(CareEntry)).all()
        sealed = [response.sealed, session.exec(select(ResponseVersion)).one().sealed, *(e.sealed for e in entries)]
        audited = session.exec(select(AuditEntry).where(AuditEntry.action == "fill-in-template")).all()
        told = json.dumps([[entry.detail, entry.resource] for entry in audited])
        mine = [f for f in files(session, snapshot_current(session), [ELM]) if f.source == COHORTIUM]
    assert done.response["resourceType"] == "QuestionnaireResponse"
    assert done.response["status"] == "completed"
    assert done.response["questionnaire"] == "urn:cohortium:questionnaire:cancer-care-review|1.0.0"
    assert [item["linkId"] for item in done.response["item"]] == [
        "matters", "treatment", "physical", "mind", "money", "support", "plan", "next",
    ]  # fmt: skip
    assert not any(b"garden" in each for each in sealed)
    assert WORDS not in told
    finished = [entry for entry in audited if entry.detail["shown"] == "review-completed"]
    assert [len(entry.patients) for entry in finished] == [1]
    assert sum(file.rows for file in mine) == len(entries) == len(done.codes) == 10


def _see_prints(clinician, where: str) -> None:
    plan = unescape(clinician.get(where + "care-plan").text)
    for said in ("My care plan", WORDS, "What I will do", "Walk to the shop each day", "24 December 2025"):
        assert said in plan
    for hidden in ("app-code", "PHQ-2", "local code", "SNOMED", "720006006", str(MATTERS), "1187911000000105"):
        assert hidden not in plan
    record = unescape(clinician.get(where + "summary").text)
    for said in (WORDS, "71.4 kg", "720006006", "PHQ-2 score", "Bills or heating; Benefits"):
        assert said in record


def _see_reload(clinician, path, tenant, database, key_encryption, settings, hand_made, tmp_path) -> None:
    """The practice's next load, folding and a refresh leave what was entered where it is."""
    delivery = hand_made.write_extract(tmp_path)
    (delivery / "extract.yaml").write_text("source: gp\nrecords_to: 2025-12-15\n")
    load_delivery(database, settings, key_encryption, tenant.id, delivery, ImportOptions(), LoadOptions())
    with database.tenant(tenant.id) as session:
        found = definition_of(session, "cancer-care")
        job = enqueue(session, None, FOLD, FoldEntries(more_than=0), requested_by="test")
    assert run_job(database, load_kinds(), tenant.id, job) == "succeeded"
    refresh_tenant(database, settings, tenant.id, Request(found.pack, found.definition, found.parameters))
    assert _status(unescape(clinician.get(path).text), "care-review") == "Met"


def test_an_amendment_takes_back_what_no_longer_holds(clinician, path_of) -> None:
    path = path_of("delaney")
    form = Form(clinician, path)
    where = form.send("complete", support__discussed="yes", support__hna="yes").headers["location"]
    assert _status(unescape(clinician.get(path).text), "holistic-needs-assessment") == "Met"
    again = clinician.post(where + "amend", data={"form_token": form.token})
    assert again.headers["location"] == form.path
    page = form.open()
    assert re.search(r'name="q-support.hna" value="yes" checked', page)
    assert form.send("complete", support__discussed="yes", support__hna="no").headers["location"] == where
    assert _status(unescape(clinician.get(path).text), "holistic-needs-assessment") == "Overdue"
    assert _status(unescape(clinician.get(path).text), "care-review") == "Met"
    done = unescape(clinician.get(where).text)
    assert "Cancer care review: amended" in done
    assert "version 2" in done


def test_a_review_of_today_counts_though_the_records_end_earlier(clinician, path_of) -> None:
    path = path_of("blackwood")
    form = Form(clinician, path)
    today = date.today().isoformat()  # noqa: DTZ011 - the day that the page would say
    before = unescape(clinician.get(path).text)
    assert _status(before, "holistic-needs-assessment") == "Overdue"
    assert form.send("complete", day=today, support__discussed="yes", support__hna="yes").status_code == 303
    after = unescape(clinician.get(path).text)
    assert _status(after, "holistic-needs-assessment") == "Met"
    assert _status(after, "bowel-screening") == _status(before, "bowel-screening")
    why = unescape(clinician.get(path + "why/holistic-needs-assessment/").text)
    assert "Entered in Cohortium" in why


@pytest.mark.parametrize(
    ("role", "where", "status"),
    [
        (Role.CLINICIAN, PCN, 200),
        (Role.CARE_COORDINATOR, PCN, 200),
        (Role.CLINICIAN, ELM, 404),  # not this patient's practice
        (Role.PRACTICE_MANAGER, "Z90002", 404),
        (Role.ICB_ANALYST, ICB, 404),
        (Role.IG_OFFICER, ICB, 404),
        (Role.TENANT_ADMINISTRATOR, ICB, 404),
    ],
)
def test_who_may_fill_in(role, where, status, reviewed, add_someone, sign_in, path_of) -> None:
    client = sign_in(add_someone(reviewed, (role, where)))
    path = path_of("delaney")
    assert client.get(f"{path}reviews/cancer-care-review/").status_code == status
    assert client.get(f"{path}reviews/").status_code == status


def test_a_response_is_of_its_own_patient_only(clinician, path_of) -> None:
    path, other = path_of("delaney"), path_of("blackwood")
    where = Form(clinician, path).send("complete", support__discussed="yes").headers["location"]
    response = re.search(r"/reviews/done/([0-9a-f-]{36})/", where)[1]
    assert clinician.get(f"{path}reviews/done/{response}/").status_code == 200
    assert clinician.get(f"{other}reviews/done/{response}/").status_code == 404
    assert clinician.get(f"{path}reviews/done/nonsense/").status_code == 404
    assert clinician.get(f"{path}reviews/nonsense/").status_code == 404


def test_hostile_fields_are_data(clinician, path_of) -> None:
    form = Form(clinician, path_of("o\u2019cardew"))
    nasty = "<script>alert(1)</script>\"' & \u202e\r\nend"
    assert form.send("save", matters__words=nasty, nonsense="x").status_code == 303
    page = clinician.get(form.path).text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert form.send("save", script=True, matters__words="x" * 600_000).status_code == 413
    form.open()
    form.send("discard")
