"""The registry beside the QOF register, and the outreach list: figures by hand from the patients below."""

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
from cohortium_tenants.keys import open_keys
from cohortium_web.asking import patient_hash

HERE = "/registries/cancer-care/reconciliation/"
OUTREACH = "/registries/cancer-care/outreach/"
PCN, ELM, OAK, ICB = "U90001", "Z90001", "Z90002", "QT1"
HISTORY, PLAN_DECLINED = 161436008, 1325711000000103


@pytest.fixture(scope="module")
def place(make_registry, hand_made):
    """The hand-made patients, and six more: of each reason one, and one with a declined care plan."""

    def patient(number, family, events, **more):
        rows = [(code, day, None, "") for code, day in events]
        return hand_made.Patient(number, ELM, family, "Kit", date(1960, 1, 1), "female", rows, **more)

    cancer = hand_made.BREAST
    return make_registry(
        more=[
            patient(300, "Typedagain", [(cancer, date(1998, 6, 1)), (cancer, date(2010, 6, 1))]),
            patient(301, "Historian", [(HISTORY, date(2015, 2, 3))]),
            patient(302, "Longago", [(cancer, date(2003, 3, 31))]),
            patient(303, "Mover", [(cancer, date(2020, 1, 15))], left=date(2025, 11, 29)),
            patient(304, "Departed", [(cancer, date(2020, 1, 15))], died=date(2025, 11, 30)),
            patient(305, "Decliner", [(hand_made.LYMPHOMA, date(2020, 1, 15)), (PLAN_DECLINED, date(2025, 11, 1))]),
        ]
    )


@pytest.fixture
def clinician(place, add_someone, sign_in):
    return sign_in(add_someone(place, (Role.CLINICIAN, PCN)))


def rows_of(page: str) -> list[list[str]]:
    body = page.partition("<tbody")[2]
    return [
        [
            re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", cell))).strip()
            for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    ]


def worked_out(client, where=HERE):
    """The page once practices were compared: it says so the first time."""
    return client.get(where + ("&" if "?" in where else "?") + "work=1")


def test_the_first_to_ask_is_told_that_it_takes_a_while(make_registry, add_someone, sign_in) -> None:
    client = sign_in(add_someone(make_registry(), (Role.CLINICIAN, PCN)))
    page = client.get(HERE)
    assert page.status_code == 200
    assert "Comparing the registry with the QOF cancer register for 2 practices" in page.text
    assert "work=1" in page.text
    assert "In both" not in page.text
    assert "In both" in worked_out(client).text
    assert "In both" in client.get(HERE).text


def test_counts_by_practice_and_reason_are_those_of_the_patients(clinician, hand_made) -> None:
    page = worked_out(clinician).text
    rows = rows_of(page)
    # Elm: Ada, Ben and the one who declined are in both; typed again and history are the registry's alone.
    assert ["Elm Surgery", "3", "2", "0", "1", "2"] in rows
    assert ["Oak Surgery", str(1 + hand_made.FILLERS), "0", "0", "0", "0"] in rows
    assert ["All of these", str(4 + hand_made.FILLERS), "2", "0", "1", "2"] in rows
    reasons = {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}
    assert reasons == {
        "Died": ("Coded, on neither", "1"),
        "Left the practice": ("Coded, on neither", "1"),
        "Also coded before 1 April 2003, and the feed carries no episode type": ("In the registry only", "1"),
        "Every entry that counts is a history of cancer, typed on a day of its own": ("In the registry only", "1"),
        "Coded before 1 April 2003 only": ("Coded, on neither", "1"),
    }
    assert "Ash Surgery" not in page


def test_people_of_the_difference_are_listed_with_the_reason_and_recorded(clinician, place, database, key_encryption):
    answer = worked_out(clinician, HERE + "patients/")
    found = {row[0].split(",")[0]: (row[3], row[4]) for row in rows_of(answer.text)}
    assert found == {
        "TYPEDAGAIN": (
            "In the registry only", "Also coded before 1 April 2003, and the feed carries no episode type"
        ),
        "HISTORIAN": (
            "In the registry only", "Every entry that counts is a history of cancer, typed on a day of its own"
        ),
        "LONGAGO": ("Coded, on neither", "Coded before 1 April 2003 only"),
    }  # fmt: skip
    linked = set(re.findall(r'href="/registries/cancer-care/patients/[^"]+">(\w+)', answer.text))
    assert linked == {"TYPEDAGAIN", "HISTORIAN"}, "who is not in the registry has no page in it"
    with database.tenant(place.id) as session:
        entry = session.exec(
            select(AuditEntry).where(col(AuditEntry.request_id) == answer.headers["x-request-id"])
        ).one()
        keys = open_keys(session, key_encryption)
        assert len(entry.patients) == 3
        assert patient_hash(keys, 0) not in entry.patients
    assert entry.practices == [ELM]


def test_filters_narrow_the_difference_and_refuse_what_is_not(clinician) -> None:
    worked_out(clinician)
    page = clinician.get(HERE + "patients/?reason=coded-before-april-2003").text
    assert "LONGAGO" in page
    assert "HISTORIAN" not in page
    assert "HISTORIAN" not in clinician.get(HERE + "patients/?standing=neither").text
    assert "Nobody: the registry" in clinician.get(HERE + f"patients/?organisation={OAK}").text
    for wrong in ("reason=no-such", "standing=no-such", "organisation=Z99999"):
        assert clinician.get(HERE + "patients/?" + wrong).status_code == 400


def test_csv_says_what_the_pages_say(clinician) -> None:
    worked_out(clinician)
    counts = list(csv.reader(io.StringIO(clinician.get(HERE + "?format=csv").text.lstrip("\ufeff"))))
    assert ["Elm Surgery", "3", "2", "0", "1", "2"] in counts
    people = list(csv.reader(io.StringIO(clinician.get(HERE + "list.csv").text.lstrip("\ufeff"))))
    assert [row[0].split(",")[0] for row in people[1:]] == ["TYPEDAGAIN", "HISTORIAN", "LONGAGO"] or len(people) == 4


def test_nobody_without_patients_in_reach_sees_it(place, add_someone, sign_in) -> None:
    for role in (Role.ICB_ANALYST, Role.IG_OFFICER, Role.TENANT_ADMINISTRATOR):
        other = sign_in(add_someone(place, (role, ICB), name=f"A {role}"))
        for where in (HERE, HERE + "patients/", HERE + "list.csv", OUTREACH, OUTREACH + "list.csv"):
            assert other.get(where).status_code == 404


def test_the_adjusted_stay_in_view(clinician) -> None:
    rows = rows_of(clinician.get(OUTREACH).text)
    mine = [row for row in rows if row[0].startswith("DECLINER")]
    assert [(row[3], row[4]) for row in mine] == [
        ("Care plan agreed, and reviewed in the last 12 months", "Declined in the last 12 months")
    ]
    taken = clinician.get(OUTREACH + "list.csv?indicator=care-plan")
    assert "DECLINER" in taken.text
    assert "DECLINER" not in clinician.get(OUTREACH + "?indicator=bowel-screening").text
    assert clinician.get(OUTREACH + "?indicator=no-such").status_code == 400
    assert "DECLINER" in clinician.get("/registries/cancer-care/?indicator=care-plan&status=excluded").text
