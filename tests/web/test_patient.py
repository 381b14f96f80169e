from __future__ import annotations

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient
from sqlmodel import col, select

from cohortium_auth.login import Role
from cohortium_platform.audit import AuditEntry
from cohortium_platform.errors import NotFound
from cohortium_tenants.keys import open_keys
from cohortium_web.pages.references import PatientReferences

LIST = "/registries/cancer-care/"
PCN, ELM, OAK, ASH = "U90001", "Z90001", "Z90002", "Z90003"


@pytest.fixture
def clinician(registry_place, add_someone, sign_in) -> TestClient:
    return sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN)))


@pytest.fixture
def path_of(clinician, form_token):
    """Where a patient's page is, found as a clinician finds it."""

    def find(name: str, client: TestClient = clinician) -> str:
        token = form_token(client.get(LIST).text)
        answer = client.post(LIST + "search", data={"form_token": token, "who": name})
        page = client.get(answer.headers["location"]).text
        return re.search(r'app-list__who" scope="row"><a href="([^"]+)"', page)[1]

    return find


def _row(page: str, indicator: str) -> str:
    row = re.search(rf'<tr class="nhsuk-table__row app-table__row" id="{indicator}">(.*?)</tr>', page, re.DOTALL)
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", row[1]).split()))


def test_the_banner_says_who_the_patient_is(clinician, path_of, hand_made) -> None:
    page = unescape(clinician.get(path_of("blackwood")).text)
    number = hand_made.ADA.nhs_number
    for shown in (
        "BLACKWOOD, Ada (Mrs)", f"{number[:3]} {number[3:6]} {number[6:]}", "15 Mar 1960 (65y)", "Elm Surgery",
        "1 Alder Road, ZZ1 1ZZ", "020 7946 0001", "Noah Blackwood", "10 Feb 2025: Breast",
    ):  # fmt: skip
        assert shown in page


def test_the_measure_table_stands_in_the_packs_groups(clinician, path_of) -> None:
    page = clinician.get(path_of("blackwood")).text
    groups = re.findall(r'id="group-\d+">([^<]+)<', page)
    assert groups[-6:] == ["Admin", "Cancer Care", "Screening", "HP lifestyle", "Vaccination", "Depression and Anxiety"]
    assert _row(page, "can004-care-review-12-months").startswith("✓ Met Cancer care review within 12 months")
    assert "1 Jun 2025" in _row(page, "can004-care-review-12-months")
    assert "27.4 (Body mass index)" in _row(page, "weight-and-bmi")
    assert _row(page, "medication-review").startswith("! Overdue Medication review in the last 12 months Now -- --")


def test_what_a_trust_recorded_is_labelled(clinician, path_of) -> None:
    page = clinician.get(path_of("blackwood")).text
    assert "8 Aug 2025 from Beech Hospitals (RZ9)" in _row(page, "end-of-treatment-summary")
    timeline = unescape(clinician.get(path_of("blackwood") + "timeline/").text)
    assert "from Beech Hospitals (RZ9)" in timeline


def test_missing_codes_are_never_the_patients_failing(clinician, path_of) -> None:
    row = _row(clinician.get(path_of("blackwood")).text, "support-discussed")
    assert row.startswith("? Not evaluated Support discussed -- ")
    assert "No codes are configured for" in row
    assert "Overdue" not in row


def test_why_is_a_page_and_a_part_with_the_sentence_the_entries_and_the_rule(clinician, path_of) -> None:
    where = path_of("delaney") + "why/can004-care-review-12-months/"
    page = clinician.get(where)
    part = clinician.get(where, headers={"hx-request": "true", "hx-request-type": "partial"})
    assert "<html" in page.text
    assert "<html" not in part.text
    for answer in (page, part):
        said = unescape(" ".join(answer.text.split()))
        assert "It can no longer be met: its window closed on 20 October 2025." in said
        assert "No longer applies from 21 October 2026 if nothing is recorded." in said
        assert '20 Oct 2024</td> <td class="nhsuk-table__cell">Orbital lymphoma' in said
        assert "<details" in said
        assert "Met when" in said


def test_a_sentence_that_asks_for_several_entries_lists_them(clinician, path_of) -> None:
    said = clinician.get(path_of("delaney") + "why/comprehensive-review/").text
    assert "To turn it green, record all of these:" in said
    assert said.split("app-why__wanted")[1].split("</ul>")[0].count("<li>") == 5


def test_the_timeline_has_the_entries_that_the_pack_knows_by_year(clinician, path_of) -> None:
    path = path_of("blackwood") + "timeline/"
    page = unescape(clinician.get(path).text)
    assert re.findall(r'id="year-(\d+)"', page) == ["2026", "2025"]
    for shown in ("Malignant neoplasm of breast", "Cancer care review", "Never smoked tobacco", "27.4 kg/m2"):
        assert shown in page
    assert "no measure counts it yet" in page.split('id="year-2025"')[0]
    smoking = unescape(clinician.get(path, params={"group": "HP lifestyle"}).text)
    assert "Never smoked tobacco" in smoking
    assert "Malignant neoplasm of breast" not in smoking.split('id="timeline"')[1]
    diagnosis = unescape(clinician.get(path, params={"group": "Why in this registry"}).text)
    assert "Malignant neoplasm of breast" in diagnosis.split('id="timeline"')[1]
    assert clinician.get(path, params={"group": "nonsense"}).status_code == 400


def test_an_address_names_nobody_to_those_without_the_key(database, registry_place, place, key_encryption) -> None:
    with database.tenant(registry_place.id) as session:
        references = PatientReferences(open_keys(session, key_encryption))
    with database.tenant(place.id) as session:
        others = PatientReferences(open_keys(session, key_encryption))
    written = [references.write(patient) for patient in range(2000)]
    assert len(set(written)) == 2000
    assert {len(each) for each in written} == {22}
    assert [references.read(each) for each in written] == list(range(2000))
    for wrong in (others.write(1), "", "A", "A" * 22, "../../etc", "ü" * 22, written[0] + "A", written[0][:-1] + "_"):
        with pytest.raises(NotFound):
            references.read(wrong)


@pytest.mark.parametrize("page", ["", "why/care-review/", "timeline/"])
def test_a_patient_out_of_reach_is_not_there_and_the_attempt_is_recorded(
    registry_place, add_someone, sign_in, path_of, page, entries_of
) -> None:
    path = path_of("delaney")
    other = sign_in(add_someone(registry_place, (Role.CLINICIAN, ELM)))
    assert other.get(path_of("blackwood") + page).status_code == 200
    refused, absent = other.get(path + page), other.get("/no-such-page")
    assert refused.status_code == 404
    assert _plain(refused) == _plain(absent)
    entry = entries_of(refused)
    assert (entry.outcome, entry.action, len(entry.patients)) == ("denied", "view-patient", 1)


def _plain(answer) -> str:
    """A page without what differs between any two requests: numbers, tokens, and the account in the header."""
    main = answer.text[answer.text.index("<main") : answer.text.index("</main>")]
    return main.replace(answer.headers["x-request-id"], "")


@pytest.fixture
def entries_of(database, registry_place):
    def of(answer) -> AuditEntry:
        with database.tenant(registry_place.id) as session:
            return session.exec(
                select(AuditEntry).where(col(AuditEntry.request_id) == answer.headers["x-request-id"])
            ).one()

    return of


def test_another_tenants_clinician_finds_nothing_at_the_same_address(
    place, add_someone, sign_in, path_of, clinician
) -> None:
    path = path_of("blackwood")
    assert clinician.get(path).status_code == 200
    other = sign_in(add_someone(place, (Role.CLINICIAN, PCN)))
    assert other.get("/").status_code == 200
    assert other.get(path).status_code == 404


def test_a_view_is_recorded_with_the_patient_and_no_content(clinician, path_of, entries_of) -> None:
    entry = entries_of(clinician.get(path_of("blackwood") + "why/care-review/"))
    assert (entry.action, entry.outcome, entry.practices) == ("view-patient", "done", [ELM])
    assert entry.policy == "direct-care-in-reach"
    assert len(entry.patients) == 1
    assert entry.detail == {"shown": "why", "indicator": "care-review", "index_date": "2025-11-30"}
