"""Loading deliveries: what becomes of rows, what is told of them, what a second delivery changes."""

from __future__ import annotations

import os
import threading
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlmodel import select

from cohortium_platform.audit import AuditEntry
from cohortium_platform.errors import Cancelled, Conflict
from cohortium_platform.identities import Contact
from cohortium_platform.ingest import LoadLimits, Requester, ValueRange
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.records import SCHEMAS, Load, RecordTable, snapshot_current, sources

JANE, BOB, SAM = "9990000018", "9990000026", "9990000034"
BAD = "9990000019"
STROKE, ASTHMA = 230690007, 195967001
PATIENTS = f"""
    local_id,nhs_number,date_of_birth,sex,practice
    1,{JANE},1950-02-28,female,A81001
    2,{BOB},1960-01-01,male,A81001
    3,{SAM},1970-12-31,,A81002
"""


def events(*rows: str) -> str:
    return "\n".join(["local_id,practice,date,code,value,unit,episode", *rows]) + "\n"


def test_rows_are_filed_sorted_by_code_patient_and_day(loads):
    loads.load(
        {
            "patients.csv": PATIENTS,
            "events.csv": events(
                f"2,A81001,2020-01-02,{STROKE},,,",
                f"1,A81001,2020-01-01,{STROKE},1.5,kg,first",
                f"1,A81001,2019-01-01,{STROKE},,,",
                f"1,A81001,2020-01-01,{ASTHMA},,,",
                f"3,A81002,2020-01-01,{ASTHMA},,,",
            ),
        }
    )
    jane, bob, sam = map(loads.patient, (JANE, BOB, SAM))
    first = [
        (ASTHMA, jane, date(2020, 1, 1), None, None, None, 2),
        *sorted(
            [
                (STROKE, jane, date(2019, 1, 1), None, None, None, 1),
                (STROKE, jane, date(2020, 1, 1), 1.5, "kg", "first", 0),
                (STROKE, bob, date(2020, 1, 2), None, None, None, 0),
            ],
            key=lambda row: row[1:3],
        ),
    ]
    columns = "code, patient_id, date, value, unit, episode, entry"
    assert loads.rows("events", columns) == [*first, (ASTHMA, sam, date(2020, 1, 1), None, None, None, 0)]
    assert set(loads.rows("events", "practice, source")) == {("A81001", "gp"), ("A81002", "gp")}


def test_exact_duplicates_are_dropped_and_near_ones_kept_in_their_order(loads):
    row = f"1,A81001,2020-01-01,{STROKE},1,kg,first"
    result = loads.load(
        {
            "patients.csv": PATIENTS,
            "events.csv": events(row, row.replace(",1,kg", ",2,kg"), row, row.replace("first", "review"), row),
        }
    )
    assert result.report.tables["events"].duplicates == 2
    assert result.report.rows(Reason.DUPLICATE, table="events", practice="A81001") == 2
    assert loads.rows("events", "value, episode, entry") == [(1, "first", 0), (2, "first", 1), (1, "review", 2)]


def test_rows_left_out_are_told_with_file_and_line(loads):
    result = loads.load(
        {
            "patients.csv": PATIENTS + "    4,,1980-01-01,f,B99999\n    5,,,f,A81001\n    ,,1980-01-01,f,A81001\n",
            "events.csv": events(
                f"1,A81001,2020-01-01,{STROKE},,,",
                f",A81001,2020-01-01,{STROKE},,,",
                f"1,A81001,,{STROKE},,,",
                f"1,A81001,31/01/2020,{STROKE},,,",
                f"1,A81001,0001-01-01,{STROKE},,,",
                "1,A81001,2020-01-01,,,,",
                "1,A81001,2020-01-01,2.3069E+8,,,",
                f"9,A81001,2020-01-01,{STROKE},,,",
                f"3,A81001,2020-01-01,{STROKE},,,",
                f"4,B99999,2020-01-01,{STROKE},,,",
                f"5,A81001,2020-01-01,{STROKE},,,",
            ),
            "registrations.csv": "local_id,practice,start_date,end_date\n1,A81001,2020-01-01,2019-12-31\n"
            "1,A81001,2019-01-01,never\n",
        }
    )
    told = {(f.reason, f.file, f.line) for f in result.report.findings if f.severity == "rejected"}
    assert told == {
        (Reason.UNKNOWN_PRACTICE, "patients.csv", 5),
        (Reason.NO_BIRTH_DATE, "patients.csv", 6),
        (Reason.NO_LOCAL_ID, "patients.csv", 7),
        (Reason.NO_LOCAL_ID, "events.csv", 3),
        (Reason.NO_DATE, "events.csv", 4),
        (Reason.UNREADABLE_DATE, "events.csv", 5),
        (Reason.IMPOSSIBLE_DATE, "events.csv", 6),
        (Reason.NO_CODE, "events.csv", 7),
        (Reason.UNREADABLE_CODE, "events.csv", 8),
        (Reason.DANGLING, "events.csv", 9),
        (Reason.DANGLING, "events.csv", 10),
        (Reason.REJECTED_PATIENT, "events.csv", 11),
        (Reason.REJECTED_PATIENT, "events.csv", 12),
        (Reason.ENDS_BEFORE_START, "registrations.csv", 2),
        (Reason.UNREADABLE_END_DATE, "registrations.csv", 3),
    }
    counts = result.report.tables["events"]
    assert (counts.read, counts.kept, counts.rejected) == (11, 1, 10)
    assert {table: c.read - c.kept - c.rejected - c.duplicates for table, c in result.report.tables.items()} == {
        "patients": 0, "events": 0, "registrations": 0,
    }  # fmt: skip


@pytest.mark.parametrize("quoted", ['"k\ng"', "kg"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_counted_over_quoted_line_ends_and_empty_lines(loads, quoted, end):
    text = events(
        f"1,A81001,2020-01-01,{STROKE},,{quoted},", "", f"9,A81001,2020-01-01,{STROKE},,,", "", "",
        f"1,A81001,x,{STROKE},,,",
    )  # fmt: skip
    result = loads.load({"patients.csv": PATIENTS, "events.csv": text.replace("\n", end).encode()})
    more = quoted.count("\n")
    assert {(f.reason, f.line) for f in result.report.findings if f.table == "events"} == {
        (Reason.DANGLING, 4 + more),
        (Reason.UNREADABLE_DATE, 7 + more),
    }


def test_odd_rows_are_kept_and_counted(loads):
    result = loads.load(
        {
            "patients.csv": PATIENTS,
            "events.csv": events(
                f"1,A81001,2025-11-30,{STROKE},1,,",
                f"1,A81001,2025-12-01,{STROKE},2,,",
                f"1,A81001,1950-02-27,{STROKE},3,,",
                f"1,A81001,1899-12-31,{STROKE},4,,",
                f"2,A81001,2020-01-01,{STROKE},<5,,",
                f"2,A81001,2020-01-02,{STROKE},1000001,,",
                f"2,A81001,2020-01-03,{STROKE},-2.5,,",
                f"2,A81001,2020-01-04,{STROKE},nan,,",
                f"2,A81001,2020-01-05,{STROKE},inf,,",
            ),
        }
    )
    report = result.report
    assert report.tables["events"].kept == 9
    assert report.rows(Reason.FUTURE_DATE, practice="A81001") == 1
    assert report.rows(Reason.BEFORE_BIRTH) == 2
    assert report.rows(Reason.BEFORE_1900) == 1
    assert report.rows(Reason.UNREADABLE_VALUE) == 1
    assert report.rows(Reason.IMPOSSIBLE_VALUE) == 2
    bob = loads.patient(BOB)
    values = dict(loads.rows("events", f"date, CASE WHEN patient_id = {bob} THEN value END"))
    assert [values[date(2020, 1, day)] for day in range(1, 6)] == [None, None, -2.5, None, None]


def test_a_code_may_have_its_own_range_of_values(loads):
    limits = LoadLimits(values=[ValueRange(10, 100, frozenset({ASTHMA}))])
    rows = [
        f"1,A81001,2020-01-0{day},{code},{value},,"
        for day, (code, value) in enumerate([(ASTHMA, 9), (ASTHMA, 10), (STROKE, 9)], 1)
    ]
    result = loads.load({"patients.csv": PATIENTS, "events.csv": events(*rows)}, limits=limits)
    assert result.report.rows(Reason.IMPOSSIBLE_VALUE) == 1
    assert sorted(loads.rows("events", "date, value")) == [
        (date(2020, 1, 1), None), (date(2020, 1, 2), 10), (date(2020, 1, 3), 9),
    ]  # fmt: skip


def test_codes_that_mean_nothing_are_kept_and_counted_by_code(loads):
    rows = [f"1,A81001,2020-01-01,{code},{number},," for number, code in enumerate([12345678, 12345678, ASTHMA, JANE])]
    result = loads.load({"patients.csv": PATIENTS, "events.csv": events(*rows)})
    assert result.report.rows(Reason.UNKNOWN_CODE) == 3
    assert result.report.unknown_codes == {"12345678": 2, "withheld": 1}, (
        "an NHS number in the wrong column stays unsaid"
    )
    assert len(loads.rows("events")) == 4


def test_valid_codes_outside_a_list_of_known_ones_are_told(loads):
    import numpy as np  # noqa: PLC0415 - used here alone

    rows = [f"1,A81001,2020-01-01,{code},,," for code in (STROKE, ASTHMA)]
    result = loads.load({"patients.csv": PATIENTS, "events.csv": events(*rows)}, known_codes=np.array([ASTHMA]))
    assert result.report.rows(Reason.UNLISTED_CODE) == 1
    assert result.report.unknown_codes == {str(STROKE): 1}


def test_people_without_a_trusted_number_get_local_pseudonyms(loads):
    result = loads.load(
        {
            "patients.csv": f"""
                local_id,nhs_number,nhs_number_status,date_of_birth,sex,practice,family_name
                1,{JANE},01,1950-02-28,1,A81001,One
                2,,,1950-02-28,2,A81001,Two
                3,{BAD},01,1950-02-28,9,A81001,Three
                4,{BOB},01,1950-02-28,0,A81001,Four
                5,{BOB},01,1951-02-28,?,A81001,Five
                6,{SAM},02,1950-02-28,M,A81001,Six
                7,{SAM[:3]} {SAM[3:6]} {SAM[6:]},02,1950-02-28,M,A81001,Seven
            """,
            "events.csv": events(*(f"{local},A81001,2020-01-0{local},{STROKE},,," for local in range(1, 8))),
        }
    )
    report = result.report
    assert report.rows(Reason.NO_NHS_NUMBER) == report.rows(Reason.BAD_NHS_NUMBER) == 1
    assert report.rows(Reason.CONTRADICTED_NHS_NUMBER) == 2
    assert report.rows(Reason.SHARED_NHS_NUMBER) == 1
    assert report.rows(Reason.UNTRACED_NHS_NUMBER) == 2
    assert report.rows(Reason.SEX_NOT_UNDERSTOOD) == 1
    assert report.tables["patients"].kept == 6
    ids = {patient for (patient,) in loads.rows("patients", "patient_id")}
    assert {loads.patient(JANE), loads.patient(SAM)} < ids
    assert not ids & {loads.patient(BAD), loads.patient(BOB)}
    assert min(ids) >= 0
    sams = loads.rows("events", f"patient_id = {loads.patient(SAM)}, date, entry")
    assert sorted(row[1:] for row in sams if row[0]) == [(date(2020, 1, 6), 0), (date(2020, 1, 7), 1)]
    names = {who.family_name: who for who in loads.identities(*ids).values()}
    assert sorted(names) == ["Five", "Four", "One", "Six", "Three", "Two"], "of one person's two rows the first counts"
    assert names["Three"].nhs_number == BAD
    sexes = dict(loads.rows("patients", "patient_id, sex"))
    assert sorted(map(str, sexes.values())) == ["None", "None", "female", "indeterminate", "male", "male"]


def test_local_pseudonyms_hold_within_a_practice(loads):
    patients = "local_id,date_of_birth,sex,practice\n1,1950-01-01,f,A81001\n1,1950-01-01,f,A81002\n"
    loads.load({"patients.csv": patients, "events.csv": events(f"1,A81002,2020-01-01,{STROKE},,,")})
    (first, second) = loads.rows("patients", "patient_id")
    assert first != second
    assert loads.rows("events", "patient_id, practice") == [(*second, "A81002")]


def test_facts_are_understood_or_left_empty(loads):
    result = loads.load(
        {
            "patients.csv": """
                local_id,date_of_birth,sex,ethnicity,imd_decile,date_of_death,practice
                1,1950-01-01,Female,a,1,2020-01-01,A81001
                2,1950-01-02,FEMALE,I,0,,A81001
                3,1950-01-03,f,99,10,soon,A81001
                4,1950-01-04,unknown,Z,x,1949-01-01,A81001
            """
        }
    )
    report = result.report
    assert sorted(loads.rows("patients", "date_of_birth, sex, ethnicity, imd_decile, date_of_death")) == [
        (date(1950, 1, 1), "female", "A", 1, date(2020, 1, 1)),
        (date(1950, 1, 2), "female", None, None, None),
        (date(1950, 1, 3), "female", None, 10, None),
        (date(1950, 1, 4), None, "Z", None, date(1949, 1, 1)),
    ]
    assert report.rows(Reason.ETHNICITY_NOT_UNDERSTOOD) == 1
    assert report.rows(Reason.IMD_NOT_UNDERSTOOD) == 2
    assert report.rows(Reason.UNREADABLE_DEATH_DATE) == report.rows(Reason.DIED_BEFORE_BIRTH) == 1
    assert report.rows(Reason.SEX_NOT_UNDERSTOOD) == 0


def test_a_second_row_of_one_local_id_is_told(loads):
    patients = PATIENTS + f"    1,{JANE},1950-02-28,female,A81001\n    2,{BOB},1960-01-01,female,A81001\n"
    report = loads.load({"patients.csv": patients}).report
    assert (report.tables["patients"].duplicates, report.tables["patients"].rejected) == (1, 1)
    assert report.rows(Reason.SECOND_ROW, practice="A81001") == 1
    assert ("male",) in loads.rows("patients", "sex")


def test_registrations(loads):
    result = loads.load(
        {
            "patients.csv": PATIENTS,
            "registrations.csv": """
                local_id,practice,start_date,end_date
                1,A81001,2020-01-01,
                1,A81001,2001-01-01,2010-12-31
                2,A81001,,2015-01-01
                3,A81002,2030-01-01,
            """,
        }
    )
    jane, bob, sam = map(loads.patient, (JANE, BOB, SAM))
    rows = sorted(loads.rows("registrations"), key=str)
    assert rows == sorted(
        [
            (jane, "A81001", date(2001, 1, 1), date(2010, 12, 31)),
            (jane, "A81001", date(2020, 1, 1), None),
            (bob, "A81001", date(1960, 1, 1), date(2015, 1, 1)),
            (sam, "A81002", date(2030, 1, 1), None),
        ],
        key=str,
    )
    assert result.report.rows(Reason.NO_START_DATE) == 1
    with loads.target.database.tenant(loads.target.tenant_id) as session:
        registered = session.connection().exec_driver_sql("SELECT patient_id, registered FROM identities").all()
    assert dict(map(tuple, registered)) == {jane: True, bob: False, sam: False}


def test_without_registrations_everyone_counts_as_registered_since_birth(loads):
    report = loads.load({"patients.csv": PATIENTS}).report
    assert sorted(loads.rows("registrations", "start_date, end_date")) == [
        (date(1950, 2, 28), None), (date(1960, 1, 1), None), (date(1970, 12, 31), None),
    ]  # fmt: skip
    assert report.rows(Reason.NO_START_DATE) == 3


def test_contacts_leave_their_content_in_the_identity_store(loads):
    loads.load(
        {
            "patients.csv": """
                local_id,date_of_birth,sex,practice,telephone,mobile,email,address,postcode,next_of_kin_name,contact_recorded
                1,1950-01-01,f,A81001,020 7946 0000,,a@b.example,,XX1 1XX,Jo Bloggs,2021-05-06
                2,1950-01-01,f,A81001,,07700 900000,,,,,
            """,
            "contacts.csv": """
                local_id,practice,date,kind,relationship,name,value
                1,A81001,2022-01-01,next-of-kin,N,Al Bloggs,07700 900001
                1,A81001,,telephone,,,020 7946 0001
            """,
        }
    )
    rows = loads.rows("contacts", "kind, relationship, date, entry, patient_id")
    kinds = {row[:3] for row in rows}
    assert kinds == {
        ("telephone", None, date(2021, 5, 6)), ("email", None, date(2021, 5, 6)), ("address", None, date(2021, 5, 6)),
        ("next-of-kin", "N", date(2021, 5, 6)), ("next-of-kin", "N", date(2022, 1, 1)),
        ("telephone", None, date(2025, 11, 30)), ("mobile", None, date(2025, 11, 30)),
    }  # fmt: skip
    identities = loads.identities(*{row[4] for row in rows}).values()
    first = next(who for who in identities if who.telephone)
    assert (first.telephone, first.email, first.postcode) == ("020 7946 0000", "a@b.example", "XX1 1XX")
    assert first.contacts == (
        Contact("next-of-kin", "N", "Jo Bloggs", None),
        Contact("next-of-kin", "N", "Al Bloggs", "07700 900001"),
        Contact("telephone", None, None, "020 7946 0001"),
    )


def test_a_name_in_the_wrong_column_stays_out_of_the_record_store(loads):
    loads.load(
        {
            "patients.csv": """
                local_id,date_of_birth,sex,practice,next_of_kin_name,next_of_kin_relationship
                1,1950-01-01,f,A81001,Jo Bloggs,daughter Jo Bloggs
            """,
            "contacts.csv": """
                local_id,practice,date,kind,relationship,name,value
                1,A81001,2022-01-01,Jo Bloggs,my neighbour,,07700 900001
            """,
        }
    )
    assert set(loads.rows("contacts", "kind, relationship")) == {(None, None), ("next-of-kin", None)}


def test_file_names_are_no_patterns(loads):
    result = loads.load(
        {
            "patients.csv": PATIENTS,
            "events/a[1].csv": events(f"1,A81001,2020-01-01,{STROKE},,,"),
            "events/a1.csv": events(f"1,A81001,2021-01-01,{STROKE},,,"),
            "events/*.csv": events(f"1,A81001,2022-01-01,{STROKE},,,", "9,A81001,2020-01-01,1,,,"),
            "events/it's.csv": events(f"1,A81001,2023-01-01,{STROKE},,,"),
        }
    )
    assert sorted(day.year for (day,) in loads.rows("events", "date")) == [2020, 2021, 2022, 2023]
    assert [(f.file, f.line) for f in result.report.findings if f.severity == "rejected"] == [("events/*.csv", 3)]


def test_consultations_and_medications(loads):
    loads.load(
        {
            "patients.csv": PATIENTS,
            "medications.csv": f"""
                local_id,practice,date,code
                1,A81001,2020-01-02,{ASTHMA}
                1,A81001,2020-01-01,{ASTHMA}
            """,
            "consultations.csv": """
                local_id,practice,date,kind
                1,A81001,2020-01-02,face-to-face
                1,A81001,2020-01-02,
            """,
        }
    )
    assert loads.rows("medications", "date, code, entry") == [
        (date(2020, 1, 1), ASTHMA, 1),
        (date(2020, 1, 2), ASTHMA, 0),
    ]
    assert loads.rows("consultations", "kind, entry") == [("face-to-face", 0), (None, 1)]


def test_what_is_loaded_is_what_was_delivered_even_when_empty(loads):
    loads.load({"patients.csv": PATIENTS, "events.csv": events(), "consultations.csv": "local_id,practice,date,kind\n"})
    with loads.target.database.tenant(loads.target.tenant_id) as session:
        for state in sources(session, snapshot_current(session)):
            assert state.tables == {
                RecordTable.PATIENTS, RecordTable.REGISTRATIONS, RecordTable.EVENTS, RecordTable.CONSULTATIONS,
            }  # fmt: skip
            assert (state.source, state.records_to) == ("gp", date(2025, 11, 30))


def test_the_same_delivery_again_changes_nothing(loads):
    delivery = loads.write({"patients.csv": PATIENTS, "events.csv": events(f"1,A81001,2020-01-01,{STROKE},1,kg,")})
    first = loads.load(delivery)
    before, on_disk = loads.state(), sorted(file.path for file in loads.target.store.files())
    again = loads.load(delivery)
    assert (first.unchanged, first.snapshot, first.identities) == (False, 1, 3)
    assert (again.unchanged, again.snapshot, again.identities) == (True, None, 0)
    after = loads.state()
    untouched = ["record_snapshots", "record_sources", "record_files", "identities", "identity_terms"]
    assert {table: before[table] for table in untouched} == {table: after[table] for table in untouched}
    for table in ("record_loads", "audit_entries"):
        assert len(after[table]) == len(before[table]) + 1, "that it was delivered again is kept all the same"
    assert sorted(file.path for file in loads.target.store.files()) == on_disk


def test_rows_in_another_order_and_form_are_the_same_delivery_as_far_as_it_matters(loads, tmp_path):
    rows = [f"1,A81001,2020-01-0{day},{STROKE},1.5,kg," for day in range(1, 6)]
    loads.load({"patients.csv": PATIENTS, "events.csv": events(*rows)})
    table = pa.table(
        {
            "local_id": pa.array([1] * 5, pa.int32()),
            "practice": pa.array(["A81001"] * 5).dictionary_encode(),
            "date": [date(2020, 1, day) for day in range(1, 6)],
            "code": pa.array([STROKE] * 5),
            "value": pa.array([1.5] * 5, pa.float32()),
            "unit": ["kg"] * 5,
            "episode": [""] * 5,
        }
    )
    pq.write_table(table, tmp_path / "events.parquet")
    again = loads.load({"patients.csv": PATIENTS, "events.parquet": (tmp_path / "events.parquet").read_bytes()})
    assert again.unchanged


@pytest.mark.parametrize(
    "units",
    [
        ["kg", "it's", 'a"b', "", "\u00b5mol/l", "kg", None],
        ["kg", "a\0b", None],
        [f"unit {number}" for number in range(300)],
        [None, None],
    ],
    ids=["odd letters", "a zero byte", "many", "none"],
)
def test_texts_of_parquet_are_kept_as_they_are_however_many_and_odd(loads, units, tmp_path):
    rows = len(units)
    columns = {
        "local_id": ["1"] * rows,
        "practice": ["A81001"] * rows,
        "date": [date(2020, 1, 1)] * rows,
        "code": [ASTHMA] * rows,
        "value": [float(number) for number in range(rows)],
        "unit": pa.array(units, pa.string()),
        "episode": ["first", *[None] * (rows - 1)],
    }
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    result = loads.load({"patients.csv": PATIENTS, "events.parquet": (tmp_path / "events.parquet").read_bytes()})
    assert result.report.tables["events"].kept == rows
    found = loads.rows("events", "value, unit, episode")
    expected = [(float(number), unit or None, "first" if number == 0 else None) for number, unit in enumerate(units)]
    assert sorted(found) == expected


def test_a_new_delivery_replaces_its_practices_and_no_others(loads):
    loads.load({"patients.csv": PATIENTS, "events.csv": events(f"3,A81002,2020-01-01,{STROKE},,,")})
    kept = [file.path for file in loads.files(practices=["A81002"])]
    result = loads.load(
        {"patients.csv": f"local_id,nhs_number,date_of_birth,sex,practice\n1,{JANE},1950-02-28,female,A81001\n"}
    )
    assert (result.snapshot, list(result.practices)) == (2, ["A81001"])
    assert [file.path for file in loads.files(practices=["A81002"])] == kept
    assert loads.rows("patients", "practice") == [("A81001",), ("A81002",)]
    assert len(loads.rows("patients", snapshot=1)) == 3, "the snapshot before is still what it was"
    assert len(loads.identities(*map(loads.patient, (JANE, BOB, SAM)))) == 2


def test_a_delivery_that_runs_further_makes_a_snapshot_with_the_same_files(loads):
    loads.load({"patients.csv": PATIENTS}, manifest="records_to: 2025-10-31\n")
    result = loads.load({"patients.csv": PATIENTS}, manifest="records_to: 2025-11-30\n")
    assert (result.snapshot, result.unchanged) == (2, False)
    assert loads.files(1) == loads.files(2)


def test_identities_alone_may_change(loads):
    form = "local_id,date_of_birth,sex,practice,family_name\n1,1950-01-01,f,A81001,{}\n"
    loads.load({"patients.csv": form.format("Before")})
    result = loads.load({"patients.csv": form.format("After")})
    assert (result.snapshot, result.unchanged, result.identities) == (None, False, 1)
    ((patient,),) = loads.rows("patients", "patient_id")
    assert loads.identities(patient)[patient].family_name == "After"


def test_less_than_last_time_is_told(loads):
    def delivery(months: range, per_month: int) -> dict[str, str | bytes]:
        rows = [f"1,A81001,2025-{month:02d}-01,{STROKE},{n},," for month in months for n in range(per_month)]
        return {"patients.csv": PATIENTS, "events.csv": events(*rows)}

    loads.load(delivery(range(1, 12), 60))
    report = loads.load(delivery(range(1, 11), 60)).report
    assert list(report.completeness) == ["A81001: events of 2025-11 fell from 60 to 0."]
    assert report.practices["A81001"].months["2025-10"] == 60
    report = loads.load({"patients.csv": PATIENTS}).report
    assert "A81001: events were loaded last time and are missing now." in report.completeness


def test_records_to_may_differ_by_practice_and_come_from_whoever_loads(loads):
    manifest = "records_to:\n  A81001: 2025-11-01\n  A81002: 2025-10-01\n"
    report = loads.load({"patients.csv": PATIENTS}, manifest=manifest).report
    assert [quality.records_to for quality in report.practices.values()] == [date(2025, 11, 1), date(2025, 10, 1)]
    report = loads.load({"patients.csv": PATIENTS}, manifest="source: gp\n", records_to=date(2025, 9, 1)).report
    assert {quality.records_to for quality in report.practices.values()} == {date(2025, 9, 1)}


def test_the_report_and_the_audit_entry_are_kept_with_the_load(loads):
    who = Requester(actor="person/7", role="tenant administrator", organisation="QT1", purpose="planning")
    result = loads.load({"patients.csv": PATIENTS}, requester=who)
    with loads.target.database.tenant(loads.target.tenant_id) as session:
        load = session.exec(select(Load)).one()
        entry = session.exec(select(AuditEntry).where(AuditEntry.action == "records.load")).one()
    assert (load.id, load.snapshot, load.importer, load.source, load.actor) == (
        result.load_id, 1, "tabular", "gp", "person/7",
    )  # fmt: skip
    assert load.quality == result.report.to_json()
    assert (entry.action, entry.actor, entry.practices) == ("records.load", "person/7", ["A81001", "A81002"])
    assert entry.detail["rows"] == {"patients": 3, "registrations": 3}


def test_what_goes_with_the_load_undoes_it_when_it_fails(loads):
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    before = loads.state()
    with pytest.raises(ZeroDivisionError):
        loads.load({"patients.csv": PATIENTS}, on_commit=fail)
    assert loads.state() == before
    assert list(loads.target.store.files()) == []


def test_progress_runs_from_nothing_to_all_and_can_stop_the_load(loads):
    told: list[float] = []
    loads.load({"patients.csv": PATIENTS, "events.csv": events()}, progress=lambda done, _: told.append(done))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)

    def stop(done: float, _: str) -> None:
        if done > 0.5:
            raise Cancelled("Stopped.")

    before = loads.state()
    with pytest.raises(Cancelled):
        loads.load({"patients.csv": PATIENTS + "    7,,1999-09-09,f,A81001\n"}, progress=stop)
    assert loads.state() == before
    assert list(loads.target.store.work_folders()) == []


def test_of_two_loads_of_one_practice_at_once_one_is_refused(loads):
    meanwhile: list[object] = []

    def load_another(_: float, words: str) -> None:
        if words == "checking rows" and not meanwhile:
            meanwhile.append(None)
            thread = threading.Thread(target=lambda: meanwhile.append(loads.load({"patients.csv": PATIENTS})))
            thread.start()
            thread.join()

    with pytest.raises(Conflict, match="A8100"):
        loads.load({"patients.csv": PATIENTS + "    7,,1999-09-09,f,A81001\n"}, progress=load_another)
    assert meanwhile[1].snapshot == loads.snapshot() == 1
    assert len(loads.rows("patients")) == 3


def test_a_load_sweeps_up_what_earlier_ones_left(loads):
    left = loads.target.store.write(
        "A81001", "gp", RecordTable.PATIENTS, SCHEMAS[RecordTable.PATIENTS].columns.empty_table()
    )
    path = loads.target.store.path(left.path)
    loads.load({"patients.csv": PATIENTS})
    assert path.exists(), "it may belong to a load under way"
    os.utime(path, (0, 0))
    loads.load({"patients.csv": PATIENTS})
    assert not path.exists()
    assert len(loads.rows("patients")) == 3


def test_another_tenant_is_not_touched(loads, other_tenant):
    loads.load({"patients.csv": PATIENTS})
    with loads.target.database.tenant(other_tenant.id) as session:
        assert snapshot_current(session) == 0
        assert session.exec(select(Load)).all() == []


def test_nothing_identifying_is_in_the_record_files(loads):
    header = "local_id,nhs_number,date_of_birth,sex,practice,family_name"
    loads.load({"patients.csv": f"{header}\n1,{JANE},1950-02-28,female,A81001,Featherstone\n"})
    assert loads.identities(loads.patient(JANE))[loads.patient(JANE)].nhs_number == JANE
    for file in loads.files():
        content = Path(loads.target.store.path(file.path)).read_bytes()
        assert JANE.encode() not in content
        assert b"Featherstone" not in content
