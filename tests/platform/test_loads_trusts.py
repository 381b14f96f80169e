"""Records from trusts: filed under the practice where the person is registered, as a source of their own."""

from __future__ import annotations

from datetime import date

import pytest

from cohortium_platform.ingest import DeliveryRefused
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.records import RecordTable, snapshot_current, sources

JANE, BOB, SAM, NEW = "9990000018", "9990000026", "9990000034", "9990000042"
SUMMARY = 1239361000000107
TRUST = "source: RX1\nrecords_to: 2025-11-15\n"


@pytest.fixture
def practices(loads):
    """Two practices: Jane moved from the first to the second, Bob left the first, Sam is at the second."""
    loads.load(
        {
            "patients.csv": f"""
                local_id,nhs_number,date_of_birth,sex,practice,family_name
                1,{JANE},1950-02-28,f,A81001,Old
                2,{BOB},1960-01-01,m,A81001,Bob
                1,{JANE},1950-02-28,f,A81002,New
                3,{SAM},1970-12-31,,A81002,Sam
            """,
            "registrations.csv": """
                local_id,practice,start_date,end_date
                1,A81001,2000-01-01,2024-12-31
                2,A81001,2000-01-01,2024-12-31
                1,A81002,2025-01-01,
                3,A81002,2010-01-01,
            """,
            "events.csv": "local_id,practice,date,code\n1,A81002,2025-02-03,22298006\n",
        }
    )
    return loads


def trust(*patients: str, events: str = "") -> dict[str, str | bytes]:
    rows = "\n".join(["local_id,nhs_number,date_of_birth", *patients])
    return {"patients.csv": rows + "\n", "events.csv": f"local_id,date,code\n{events}"}


def state(loads) -> dict[tuple[str, str], tuple[date, frozenset[RecordTable]]]:
    with loads.target.database.tenant(loads.target.tenant_id) as session:
        return {(s.practice, s.source): (s.records_to, s.tables) for s in sources(session, snapshot_current(session))}


def test_rows_are_filed_where_the_person_is_registered(practices):
    events = f"t1,2025-03-01,{SUMMARY}\nt3,2025-03-02,{SUMMARY}\n"
    result = practices.load(trust(f"t1,{JANE},1950-02-28", f"t3,{SAM},1970-12-31", events=events), manifest=TRUST)
    assert (result.source, list(result.practices), result.identities) == ("RX1", ["A81002"], 0)
    rows = practices.rows("events", "source, practice, code, patient_id, entry")
    jane, sam = practices.patient(JANE), practices.patient(SAM)
    assert sorted(rows) == sorted(
        [
            ("gp", "A81002", 22298006, jane, 0),
            ("RX1", "A81002", SUMMARY, jane, 0),
            ("RX1", "A81002", SUMMARY, sam, 0),
        ]
    )
    assert state(practices)["A81002", "RX1"] == (date(2025, 11, 15), {RecordTable.EVENTS})
    assert state(practices)["A81002", "gp"][0] == date(2025, 11, 30)
    assert practices.identities(jane)[jane].family_name == "New", "a trust changes no identity"


def test_registration_counts_on_the_date_the_trusts_records_run_to(practices):
    events = f"t1,2024-03-01,{SUMMARY}\n"
    manifest = TRUST.replace("2025-11-15", "2024-06-30")
    result = practices.load(trust(f"t1,{JANE},1950-02-28", events=events), manifest=manifest)
    assert list(result.practices) == ["A81001"]


def test_people_who_are_not_found_are_told_and_left_out(practices):
    patients = [
        f"t1,{JANE},1950-02-28",
        f"t2,{BOB},1960-01-01",
        f"t3,{SAM},1970-12-30",
        f"t4,{NEW},1980-01-01",
        "t5,,1980-01-01",
        "t6,9990000019,1980-01-01",
    ]
    events = "".join(f"t{number},2025-03-01,{SUMMARY}\n" for number in range(1, 8))
    report = practices.load(trust(*patients, events=events), manifest=TRUST).report
    assert {(f.reason, f.line) for f in report.findings if f.table == "patients"} == {
        (Reason.NOT_REGISTERED, 3),  # left
        (Reason.NOT_REGISTERED, 4),  # another date of birth
        (Reason.NOT_REGISTERED, 5),  # nobody's number
        (Reason.NO_NHS_NUMBER_FOR_MATCHING, 6),
        (Reason.NO_NHS_NUMBER_FOR_MATCHING, 7),
    }
    assert report.rows(Reason.REJECTED_PATIENT, table="events") == 5
    assert report.rows(Reason.DANGLING, table="events") == 1
    assert report.tables["events"].kept == 1


def test_a_new_delivery_of_a_trust_replaces_all_it_had_and_nothing_of_the_practices(practices):
    both = trust(
        f"t1,{JANE},1950-02-28", f"t3,{SAM},1970-12-31", events=f"t1,2025-03-01,{SUMMARY}\nt3,2025-03-02,{SUMMARY}\n"
    )
    practices.load(both, manifest=TRUST)
    gp = [file.path for file in practices.files() if file.source == "gp"]
    moved = TRUST.replace("2025-11-15", "2024-06-30")
    practices.load(trust(f"t1,{JANE},1950-02-28", events=f"t1,2024-03-01,{SUMMARY}\n"), manifest=moved)
    rows = practices.rows("events", "source, practice, patient_id")
    assert [row for row in rows if row[0] == "RX1"] == [("RX1", "A81001", practices.patient(JANE))]
    assert [file.path for file in practices.files() if file.source == "gp"] == gp
    assert state(practices)["A81002", "RX1"] == (date(2024, 6, 30), {RecordTable.EVENTS}), "loaded, and nobody there"
    again = practices.load(trust(f"t1,{JANE},1950-02-28", events=f"t1,2024-03-01,{SUMMARY}\n"), manifest=moved)
    assert again.unchanged


def test_a_trust_that_names_practices_replaces_theirs_alone(practices):
    practices.load(trust(f"t3,{SAM},1970-12-31", events=f"t3,2025-03-02,{SUMMARY}\n"), manifest=TRUST)
    named = TRUST.replace("2025-11-15", "2024-06-30") + "practices: [A81001]\n"
    result = practices.load(trust(f"t1,{JANE},1950-02-28", f"t3,{SAM},1970-12-31"), manifest=named)
    assert list(result.practices) == ["A81001"]
    assert result.report.rows(Reason.UNNAMED_PRACTICE) == 1
    assert ("RX1", practices.patient(SAM)) in practices.rows("events", "source, patient_id")


def test_a_trust_cannot_be_loaded_before_any_practice(loads):
    with pytest.raises(DeliveryRefused, match="no patient of it can be kept"):
        loads.load(trust(f"t1,{JANE},1950-02-28"), manifest=TRUST)
    assert loads.snapshot() == 0


def test_a_trusts_other_tables_are_not_taken(practices):
    delivery = trust(f"t1,{JANE},1950-02-28", events=f"t1,2025-03-01,{SUMMARY}\n")
    delivery |= {"registrations.csv": "local_id,practice,start_date,end_date\nt1,A81001,2025-06-01,\n"}
    before = practices.rows("registrations")
    report = practices.load(delivery, manifest=TRUST).report
    assert practices.rows("registrations") == before
    assert report.rows("not taken from a trust", table="registrations") == 1


def test_the_source_may_be_given_by_whoever_loads(practices):
    delivery = trust(f"t1,{JANE},1950-02-28", events=f"t1,2025-03-01,{SUMMARY}\n")
    result = practices.load(delivery, manifest="records_to: 2025-11-15\n", source="RX1")
    assert result.source == "RX1"
