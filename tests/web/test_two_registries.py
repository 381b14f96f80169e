"""One person in two registries: each measure once, the more pressing one shown; and the worklist of appointments."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from html import unescape

import pytest
from sqlmodel import col, select

from cohortium_auth.login import Role
from cohortium_platform.audit import AuditEntry
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_tenants.packs import definition_of, enable_pack

PACK = "multimorbidity-review"
WORKLIST = f"/registries/{PACK}/appointments/"
PCN, ELM, OAK, ICB = "U90001", "Z90001", "Z90002", "QT1"
HYPERTENSION, DIABETES, COPD, HYPOTHYROIDISM = 1201005, 5368009, 13645005, 2917005
DIABETES_REVIEW, HYPERTENSION_REVIEW, NO_HYPERTENSION_REVIEW = 170777000, 401118009, 716771000000106
BMI, MEDICATION_REVIEW = 60621009, 314530002


@pytest.fixture(scope="module")
def place(make_registry, hand_made, database, settings):
    """One in both registries, with a BMI of 18 months ago; and three with conditions and no cancer."""

    def patient(number, family, events, practice=ELM):
        rows = [(code, day, value, "") for code, day, value in events]
        return hand_made.Patient(number, practice, family, "Kit", date(1960, 1, 1), "female", rows)

    since = date(2015, 1, 1)

    def has(*codes):
        return [(code, since, None) for code in codes]

    tenant = make_registry(
        more=[
            patient(
                400,
                "Twofold",
                [
                    *has(hand_made.BREAST, HYPERTENSION, DIABETES),
                    (BMI, date(2024, 5, 30), 27.0),
                    (MEDICATION_REVIEW, date(2025, 9, 1), None),
                ],
            ),
            patient(401, "Threefold", [*has(HYPERTENSION, DIABETES, COPD), (DIABETES_REVIEW, date(2025, 3, 1), None)]),
            patient(402, "Exempted", [*has(HYPERTENSION, DIABETES), (NO_HYPERTENSION_REVIEW, date(2025, 10, 1), None)]),
            patient(403, "Unreviewable", has(HYPERTENSION, HYPOTHYROIDISM)),
            patient(404, "Elsewhere", has(HYPERTENSION, DIABETES, COPD), practice=OAK),
        ]
    )
    with database.tenant(tenant.id) as session:
        enable_pack(session, PACK, by="test")
        found = definition_of(session, PACK)
    evaluate_tenant(
        database, settings, tenant.id, Request(found.pack, found.definition, found.parameters, [hand_made.INDEX_DATE])
    )
    return tenant


@pytest.fixture
def clinician(place, add_someone, sign_in):
    return sign_in(add_someone(place, (Role.CLINICIAN, PCN)))


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


def rows_of(page: str) -> list[list[str]]:
    body = page.partition("<tbody")[2]
    return [
        [plain(cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.DOTALL)]
        for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    ]


def path_of(client, family, pack):
    page = client.get(f"/registries/{pack}/").text
    return next(
        re.findall(rf'href="(/registries/{pack}/patients/[^"]+)"[^>]*>\s*{family.upper()}', page)[i] for i in (0,)
    )


def measures(page: str) -> list[str]:
    return [
        plain(title).split(" Cancer care;")[0]
        for title in re.findall(r'<tr class="nhsuk-table__row app-table__row".*?<th[^>]*>(.*?)</th>', page, re.DOTALL)
    ]


def row_about(page: str, words: str) -> str:
    rows = re.findall(r'<tr class="nhsuk-table__row app-table__row".*?</tr>', page, re.DOTALL)
    found = [row for row in rows if words in row]
    assert len(found) == 1, words
    return found[0]


def test_each_measure_stands_once_and_names_both_registries(clinician) -> None:
    page = clinician.get(path_of(clinician, "Twofold", "cancer-care")).text
    assert "Also in: <a" in page
    for words in (
        "Medication review in the last 12 months",
        "Influenza vaccination this season",
        "Smoking status, and",
    ):
        row = row_about(page, words)
        assert "Multimorbidity review" in row
        assert "People living with and beyond cancer" in row
    assert "Diabetes: yearly review" in page
    assert "Multimorbidity review: condition reviews" in page


def test_the_more_pressing_of_two_is_shown_and_both_can_be_reached(clinician) -> None:
    """A BMI of 18 months ago is in date for cancer care (24 months) and overdue for the yearly review (12)."""
    for pack in ("cancer-care", PACK):
        page = clinician.get(path_of(clinician, "Twofold", pack)).text
        row = row_about(page, "BMI in the last 12 months")
        assert "Overdue" in row
        assert "30 May 2025" in row
        assert "(met)" in row
        ways = re.findall(r'href="([^"]+/why/[^"]+)"', row)
        assert {way.split("/")[2] for way in ways} == {"cancer-care", PACK}
        for way in set(ways):
            assert clinician.get(way).status_code == 200


def test_gaps_on_the_page_are_the_rows_that_are_overdue(clinician) -> None:
    page = clinician.get(path_of(clinician, "Twofold", "cancer-care")).text
    said = int(re.search(r'<strong class="app-gaps[^"]*">(\d+)</strong>', page)[1])
    rows = re.findall(r'<tr class="nhsuk-table__row app-table__row".*?</tr>', page, re.DOTALL)
    assert said == sum("Overdue" in plain(row).split("  ")[0][:12] for row in rows) > 0
    other = clinician.get(path_of(clinician, "Twofold", PACK)).text
    assert said == int(re.search(r'<strong class="app-gaps[^"]*">(\d+)</strong>', other)[1])


def test_the_view_of_two_registries_is_one_entry_that_names_both(clinician, place, database) -> None:
    clinician.get(path_of(clinician, "Twofold", "cancer-care"))
    with database.tenant(place.id) as session:
        entry = session.exec(
            select(AuditEntry)
            .where(AuditEntry.resource == "registry/cancer-care/patient")
            .order_by(col(AuditEntry.at).desc())
        ).first()
    assert entry.detail["also"] == [PACK]


def test_someone_in_one_registry_sees_that_one(clinician) -> None:
    page = clinician.get(path_of(clinician, "Threefold", PACK)).text
    assert "Also in:" not in page


def test_the_worklist_ranks_by_gaps_and_says_what_one_appointment_saves(clinician) -> None:
    answer = clinician.get(WORKLIST)
    assert answer.status_code == 200
    rows = {row[0].split(",")[0]: row for row in rows_of(answer.text)}
    assert set(rows) == {"TWOFOLD", "THREEFOLD", "EXEMPTED", "ELSEWHERE"}
    assert rows["TWOFOLD"][5:] == ["2", "Diabetes, Hypertension", "1", "0", "2"]
    assert rows["THREEFOLD"][5:] == ["2", "COPD, Hypertension", "1", "1", "1"]
    assert rows["EXEMPTED"][5:] == ["2", "Diabetes, Hypertension (exempted)", "1", "0", "2"]
    assert rows["ELSEWHERE"][5:] == ["3", "COPD, Diabetes, Hypertension", "2", "0", "3"]
    gaps = [int(row[4]) for row in rows_of(answer.text)]
    assert gaps == sorted(gaps, reverse=True)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("reviews=3", {"ELSEWHERE"}),
        ("reviews=1", {"TWOFOLD", "THREEFOLD", "EXEMPTED", "ELSEWHERE", "UNREVIEWABLE"}),
        ("review=review-copd", {"THREEFOLD", "ELSEWHERE"}),
        ("organisation=Z90001", {"TWOFOLD", "THREEFOLD", "EXEMPTED"}),
        ("reviews=6", set()),
    ],
)
def test_the_worklist_is_filtered(clinician, query, names) -> None:
    answer = clinician.get(f"{WORKLIST}?{query}")
    assert {row[0].split(",")[0] for row in rows_of(answer.text) if len(row) > 1} == names
    if not names:
        assert "Nobody in your reach has so many reviews due." in answer.text


@pytest.mark.parametrize(
    "query", ["reviews=0", "reviews=7", "review=review-nothing", "organisation=NOWHERE", "reviews=x"]
)
def test_what_the_form_does_not_offer_is_refused(clinician, query) -> None:
    assert clinician.get(f"{WORKLIST}?{query}").status_code in (400, 422)


def test_the_worklist_can_be_taken_away_and_is_recorded(clinician, place, database) -> None:
    answer = clinician.get(f"{WORKLIST}list.csv?reviews=3")
    assert answer.headers["content-type"].startswith("text/csv")
    (_, row) = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert row[0].startswith("ELSEWHERE")
    assert row[5:] == ["3", "COPD, Diabetes, Hypertension", "2", "0", "3"]
    with database.tenant(place.id) as session:
        entry = session.exec(
            select(AuditEntry).where(AuditEntry.action == "export-list").order_by(col(AuditEntry.at).desc())
        ).first()
    assert entry.detail["shown"] == "appointments-csv"
    assert len(entry.patients) == 1


def test_a_registry_without_reviews_has_no_worklist(clinician) -> None:
    assert clinician.get("/registries/cancer-care/appointments/").status_code == 404
    assert "appointments/" not in clinician.get("/registries/cancer-care/").text
    assert "appointments/" in clinician.get(f"/registries/{PACK}/").text


def test_nobody_without_patients_sees_the_worklist(place, add_someone, sign_in) -> None:
    analyst = sign_in(add_someone(place, (Role.ICB_ANALYST, ICB)))
    assert analyst.get(WORKLIST).status_code in (403, 404)
