"""Dates, codings and numbers as FHIR writes them."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohortium_platform.ingest.fhir.encounters import KINDS
from cohortium_platform.ingest.fhir.extraction import CLINICAL_TYPES
from cohortium_platform.ingest.fhir.reasons import SEVERITY, WORDS, Reason
from cohortium_platform.ingest.fhir.values import birth_day, day, medicine, number, quantity, snomed
from cohortium_platform.ingest.fhir.versions import R4_TYPES

SNOMED, DMD = "http://snomed.info/sct", "https://dmd.nhs.uk"


@pytest.mark.parametrize(
    ("written", "expected", "remark"),
    [
        ("2024-02-29", "2024-02-29", None),
        ("2024-02-29T23:59:59+01:00", "2024-02-29", None),  # the day as written
        ("2024-02-29T00:30:00-05:00", "2024-02-29", None),
        ("2024-07-31T22:59:59.999Z", "2024-07-31", None),
        ("2024-07-31T23:00:00Z", "2024-08-01", None),  # midnight in London
        ("2024-01-31T23:30:00Z", "2024-01-31", None),
        ("2024-03-31T23:00:00Z", "2024-04-01", None),  # Summer Time begins on this day
        ("2024-10-27T23:00:00Z", "2024-10-27", None),  # and ends on this
        ("2024-10-26T23:00:00Z", "2024-10-27", None),
        ("2024-02-29 10:11", "2024-02-29", None),
        ("2024-02", "2024-02-01", Reason.PARTIAL_DATE),
        ("2024", "2024-01-01", Reason.PARTIAL_DATE),
        ("2023-02-29", None, Reason.BAD_DATE),
        ("2023-13-01", None, Reason.BAD_DATE),
        ("29/02/2024", None, Reason.BAD_DATE),
        ("2024-02-29x", None, Reason.BAD_DATE),
        ("20240229", None, Reason.BAD_DATE),
        ("", None, Reason.NO_DATE),
        (None, None, Reason.NO_DATE),
        (20240229, None, Reason.NO_DATE),
    ],
)
def test_the_day_of_a_date(written, expected, remark):
    assert day(written) == (expected, remark)


@given(st.integers(820_454_400, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
def test_an_instant_is_the_day_in_london(instant):
    london = instant.astimezone(zoneinfo.ZoneInfo("Europe/London")).date().isoformat()
    assert day(instant.strftime("%Y-%m-%dT%H:%M:%SZ")) == (london, None)


@pytest.mark.parametrize(
    ("written", "expected", "remark"),
    [
        ("1950-06-07", "1950-06-07", None),
        ("1950-06", "1950-06-15", Reason.PARTIAL_BIRTH_DATE),
        ("1950", "1950-07-01", Reason.PARTIAL_BIRTH_DATE),
        ("soon", None, Reason.BAD_DATE),
    ],
)
def test_a_partial_birth_date_is_the_middle(written, expected, remark):
    assert birth_day(written) == (expected, remark)


def coding(code, system=SNOMED):
    return {"system": system, "code": code}


@pytest.mark.parametrize(
    ("codings", "expected"),
    [
        ([coding("44054006")], (44054006, None)),
        ([coding("C10F.", "http://read.info/readv2"), coding("44054006"), coding("73211009")], (44054006, None)),
        ([coding("bad"), coding("44054006")], (44054006, None)),
        ([coding("44054006", "http://snomed.info/sct/83821000000107")], (44054006, None)),
        ([coding("44054006", "http://snomed.info/sct|http://snomed.info/sct/83821000000107")], (44054006, None)),
        ([coding("44054006", "http://snomed.info/sct/")], (44054006, None)),
        ([coding("44054006|20240101")], (44054006, None)),
        ([coding(" 44054006 |Diabetes mellitus type 2|")], (44054006, None)),
        ([coding(44054006)], (44054006, None)),
        ([coding("83152002:405815000=122456005")], (83152002, Reason.EXPRESSION)),
        ([coding("=== 83152002 |Oophorectomy| : 405815000 = 122456005")], (83152002, Reason.EXPRESSION)),
        ([coding("421720008+7946007")], (None, Reason.BAD_SNOMED)),
        ([coding("12345")], (None, Reason.BAD_SNOMED)),
        ([coding("1234567890123456789")], (None, Reason.BAD_SNOMED)),
        ([coding("044054006")], (None, Reason.BAD_SNOMED)),
        ([coding(None)], (None, Reason.BAD_SNOMED)),
        ([coding("44054006", DMD)], (None, Reason.NO_SNOMED)),
        ([{"code": "44054006"}], (None, Reason.NO_SNOMED)),
        ([], (None, Reason.NO_SNOMED)),
    ],
)
def test_the_snomed_ct_coding(codings, expected):
    assert snomed({"coding": codings}) == expected


@pytest.mark.parametrize("system", [SNOMED, DMD, "https://dmd.nhs.uk/"])
def test_medicines_may_be_coded_in_either(system):
    assert medicine({"coding": [coding("106258", "http://rxnorm"), coding("319740004", system)]}) == (319740004, None)


@pytest.mark.parametrize(
    ("written", "expected"),
    [(5, 5.0), (5.5, 5.5), ("5.4", 5.4), ("<5", 5.0), (" >= 90 ", 90.0), ("trace", None), (True, None), (None, None),
     (1e999, None), ([], None), ("5 to 6", None)],
)  # fmt: skip
def test_numbers(written, expected):
    assert number(written) == expected


def test_a_unit_is_what_people_write_else_its_code():
    assert quantity({"value": 1, "unit": "mmHg", "code": "mm[Hg]"}) == (1.0, "mmHg")
    assert quantity({"value": 1, "code": "mm[Hg]"}) == (1.0, "mm[Hg]")
    assert quantity({"unit": " "}) == (None, None)


def test_every_reason_has_words_of_its_own_and_a_severity():
    assert set(WORDS) == set(Reason) == set(SEVERITY)
    assert len(set(WORDS.values())) == len(WORDS)


def test_resource_types_of_r4():
    assert len(R4_TYPES) > 145
    assert {"Patient", "ServiceRequest", "MedicationStatement"} <= R4_TYPES


def test_the_first_and_last_year():
    assert day("0001-01-01")[0] == date.min.isoformat()
    assert day("9999-12-31T23:59:59Z")[0] == "9999-12-31"


def test_the_operator_s_page_lists_every_reason_kind_and_type():
    page = (Path(__file__).parents[2] / "docs" / "operator" / "fhir-import.md").read_text()
    listed = {line.strip("| ") for line in page.splitlines() if line.startswith("| ") and line.count("|") == 2}
    assert set(WORDS.values()) <= listed
    assert [kind for kind in KINDS if kind not in page] == []
    assert [kind for kind in CLINICAL_TYPES if f"| {kind} |" not in page] == []
