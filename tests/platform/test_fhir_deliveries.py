"""Whole deliveries in each of the shapes that senders use."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import date

import pyarrow.parquet as pq
import pytest

from cohortium_platform.ingest.fhir import FhirImporter, workers
from cohortium_plugins.importing import EXTRACT_COLUMNS, Severity

ADA, BEN, CAT = "pat-ada", "pat-ben", "pat-cat"


@pytest.fixture
def bulk(fhir_fixtures):
    return fhir_fixtures / "bulk"


def test_a_bulk_export_becomes_every_table_of_the_extract(stage_fhir, bulk):
    staged = stage_fhir(bulk)
    assert staged.rows("patients", "local_id", "nhs_number", "practice", "sex", "ethnicity") == [
        (ADA, "9990000018", "Y99901", "female", "G"),
        (BEN, "9990000026", "Y99902", "male", "Z"),
        (CAT, "9990000034", "Y99901", "indeterminate", None),
    ]
    assert sorted(staged.rows("events", "local_id", "date", "code", "value", "unit", "episode"), key=str) == sorted(
        [
            (ADA, date(2024, 1, 15), 254837009, None, None, "first"),
            (BEN, date(2009, 10, 1), 44054006, None, None, None),
            (ADA, date(2024, 8, 1), 75367002, None, None, None),
            (ADA, date(2024, 8, 1), 72313002, 132.0, "mmHg", None),
            (ADA, date(2024, 8, 1), 1091811000000102, 81.0, "mm[Hg]", None),
            (ADA, date(2024, 8, 6), 8517006, None, None, None),
            (BEN, date(2023, 12, 31), 60621009, 27.4, "kg/m2", None),
            (ADA, date(2024, 9, 10), 401123009, None, None, None),
            (ADA, date(2024, 10, 23), 955651000000100, None, None, None),
            (ADA, date(2024, 10, 23), 40085011000001101, None, None, None),
        ],
        key=str,
    )
    assert sorted(staged.rows("medications", "local_id", "date", "code")) == [
        (ADA, date(2019, 2, 3), 319740004),
        (ADA, date(2024, 5, 1), 39113611000001102),
        (ADA, date(2024, 10, 23), 40085011000001101),
        (ADA, date(2024, 12, 2), 319740004),
        (BEN, date(2024, 5, 2), 319740004),
    ]
    assert staged.rows("consultations", "local_id", "date", "kind") == [
        (ADA, date(2024, 8, 6), "telephone"),
        (BEN, date(2024, 8, 8), "home-visit"),
    ]
    assert staged.rows("registrations", "local_id", "practice", "start_date", "end_date") == [
        (ADA, "Y99901", None, None),
        (BEN, "Y99902", "2015-04-01", None),
        (CAT, "Y99901", None, None),
    ]
    assert staged.run_to == date(2025, 2, 28)


def test_staged_columns_are_those_of_the_extract(stage_fhir, bulk):
    staged = stage_fhir(bulk)
    for table, columns in EXTRACT_COLUMNS.items():
        names = pq.read_schema(staged.directory / f"{table}-fhir.parquet").names
        assert names[-2:] == ["file", "line"]
        assert set(names[:-2]) <= set(columns)


def test_every_row_says_where_it_stood(stage_fhir, bulk):
    staged = stage_fhir(bulk)
    assert (254837009, "1.Condition.ndjson", 1) in staged.rows("events", "code", "file", "line")
    assert staged.rows("patients", "file", "line") == [("Patient.000.ndjson", line) for line in (1, 2, 3)]


def test_what_is_wrong_with_a_bulk_export_is_told_with_its_place(stage_fhir, bulk):
    staged = stage_fhir(bulk)
    told = [(each.severity, each.reason, each.file, each.line) for each in staged.findings]
    warning, rejected = Severity.WARNING, Severity.REJECTED
    assert told == [
        (warning, "its date is only a month or a year, and was taken as the first day of it", "1.Condition.ndjson", 4),
        (rejected, "no SNOMED CT coding", "1.Condition.ndjson", 5),
        (
            warning,
            "the birth date is only a month or a year, and was taken as the middle of it",
            "Patient.000.ndjson",
            2,
        ),
        (
            warning,
            "the birth date is only a month or a year, and was taken as the middle of it",
            "Patient.000.ndjson",
            3,
        ),
        (warning, "its death notification was removed: taken as alive", "Patient.000.ndjson", 3),
        (warning, "entered in error, of type Observation: 1", "Observation.ndjson", 3),
        (warning, "entered in error, of type Condition: 1", "1.Condition.ndjson", 3),
        (warning, "a refuted diagnosis, of type Condition: 1", "1.Condition.ndjson", 2),
        (warning, "stated as not done, of type Procedure: 1", "Procedure.ndjson", 2),
        (warning, "stated as not done, of type Immunization: 1", "Immunization.ndjson", 2),
        (warning, "cancelled or a draft, of type MedicationRequest: 1", "MedicationRequest.ndjson", 2),
        (warning, "cancelled or a draft, of type Encounter: 1", "Encounter.ndjson", 2),
        (warning, "resources left aside, of type AllergyIntolerance: 1", "AllergyIntolerance.ndjson", 1),
    ]


def test_a_synthea_transaction_bundle(stage_fhir, fhir_fixtures):
    staged = stage_fhir(fhir_fixtures / "transaction.json", practice="Y99909")
    person = "0b7d5c9e-1c1a-4d5f-8d63-000000000001"
    assert staged.rows("patients", "local_id", "nhs_number", "date_of_birth", "date_of_death", "practice") == [
        (person, None, "1962-11-05", "2023-03-04", None)
    ]
    assert staged.rows("events", "local_id", "date", "code") == [
        (person, date(2011, 2, 3), 444814009),
        (person, date(2020, 2, 3), 266919005),
    ]
    assert staged.rows("consultations", "local_id", "kind") == [(person, "face-to-face")]
    assert staged.rows("medications", "code") == []
    assert staged.reasons() == ["no SNOMED CT coding"] * 3  # RxNorm, CVX and LOINC
    assert [each.line for each in staged.findings if each.severity is Severity.REJECTED] == [209, 229, 301]


def test_lines_of_a_pretty_bundle_are_those_of_its_entries(stage_fhir, fhir_fixtures):
    written = (fhir_fixtures / "transaction.json").read_text().splitlines()
    staged = stage_fhir(fhir_fixtures / "transaction.json")
    for code, line in staged.rows("events", "code", "line"):
        assert '"fullUrl"' in written[line]
        following = "\n".join(written[line : line + 60])
        assert str(code) in following


def test_a_searchset_of_a_server(stage_fhir, fhir_fixtures):
    staged = stage_fhir(fhir_fixtures / "searchset.json")
    assert staged.rows("patients", "nhs_number", "nhs_number_status", "practice") == [("9912003890", "01", "Y99903")]
    assert staged.rows("events", "code", "value", "practice") == [(27113001, 3.2, "Y99903")]
    assert staged.run_to == date(2025, 3, 1)
    assert "the sending server reported problems, records may be missing: 1" in staged.reasons(Severity.WARNING)


def test_a_mixture_of_shapes_in_sub_folders_plain_and_packed(stage_fhir, fhir_fixtures, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(fhir_fixtures / "bulk", mixed / "bulk")
    (mixed / "bulk" / "manifest.json").unlink()
    for path in sorted((mixed / "bulk").glob("*.ndjson"))[::2]:
        (path.parent / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    shutil.copy(fhir_fixtures / "transaction.json", mixed / "one.json")
    (mixed / "two.json.gz").write_bytes(gzip.compress((fhir_fixtures / "searchset.json").read_bytes()))
    (mixed / "README.txt").write_text("about")
    staged = stage_fhir(mixed)
    assert len(staged.rows("patients", "local_id")) == 5
    assert len(staged.rows("events", "code")) == 13
    assert ("not a FHIR file by its name, or a link: not read", "README.txt") in [
        (each.reason, each.file) for each in staged.findings
    ]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("name", ["x.json", "x.ndjson", "x.jsonl"])
def test_a_bundle_on_one_line(stage_fhir, fhir_fixtures, separators, name):
    bundle = json.loads((fhir_fixtures / "transaction.json").read_text())
    staged = stage_fhir({name: json.dumps(bundle, separators=separators).encode()})
    assert len(staged.rows("events", "code")) == 2
    assert staged.rows("patients", "line") == [(1,)]


@pytest.mark.parametrize("name", ["Patient.json", "Patient.ndjson"])
def test_a_single_resource_pretty_or_not(stage_fhir, bulk, name):
    patient = json.loads((bulk / "Patient.000.ndjson").read_text().splitlines()[0])
    for indent in (None, 2):
        staged = stage_fhir({name: json.dumps(patient, indent=indent).encode()})
        assert staged.rows("patients", "family_name") == [("Testwell",)]


def test_lines_named_json(stage_fhir, bulk):
    staged = stage_fhir({"all.json": b"".join(path.read_bytes() for path in sorted(bulk.glob("*.ndjson")))})
    assert len(staged.rows("patients", "local_id")) == 3


def test_a_bundle_whose_type_comes_last(stage_fhir, fhir_fixtures):
    bundle = json.loads((fhir_fixtures / "searchset.json").read_text())
    turned = {key: bundle[key] for key in reversed(bundle)}
    assert stage_fhir({"b.json": turned}).rows("events", "code") == [(27113001,)]


def test_a_list_resource_is_not_a_bundle(stage_fhir, bulk):
    patient = json.loads((bulk / "Patient.000.ndjson").read_text().splitlines()[0])
    listed = {"resourceType": "List", "status": "current", "entry": [{"item": {"reference": "Condition/1"}}]}
    staged = stage_fhir({"list.json": listed, "tsil.json": dict(reversed(listed.items())), "patient.json": patient})
    assert "resources left aside, of type List: 2" in staged.reasons(Severity.WARNING)


def test_a_bundle_within_a_bundle(stage_fhir, fhir_fixtures):
    inner = json.loads((fhir_fixtures / "searchset.json").read_text())
    outer = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}]}
    assert stage_fhir({"b.json": outer}).rows("events", "code") == [(27113001,)]


def test_byte_order_mark_windows_lines_and_blank_lines_are_tolerated(stage_fhir, bulk):
    data = (bulk / "Patient.000.ndjson").read_bytes().replace(b"\n", b"\r\n\r\n")
    staged = stage_fhir({"p.ndjson": b"\xef\xbb\xbf" + data, "p.ndjson.gz": gzip.compress(b"\xef\xbb\xbf" + data)})
    assert staged.rows("patients", "file", "line") == [("p.ndjson.gz", 1), ("p.ndjson.gz", 3), ("p.ndjson.gz", 5)]


def test_gzip_of_several_members_without_the_name(stage_fhir, bulk):
    members = [gzip.compress(line + b"\n") for line in (bulk / "Patient.000.ndjson").read_bytes().splitlines()]
    assert len(stage_fhir({"p.ndjson": b"".join(members) + b"\0" * 100}).rows("patients", "local_id")) == 3


def test_the_last_line_needs_no_end(stage_fhir, bulk):
    staged = stage_fhir({"p.ndjson": (bulk / "Patient.000.ndjson").read_bytes().rstrip()})
    assert len(staged.rows("patients", "local_id")) == 3


def test_records_run_to_the_earliest_bundle_else_to_what_the_loader_was_told(stage_fhir, fhir_fixtures, bulk):
    bundle = json.loads((fhir_fixtures / "searchset.json").read_text())
    earlier = bundle | {"timestamp": "2025-02-27T23:59:00+00:00"}
    assert stage_fhir({"a.json": bundle, "b.json": earlier}).run_to == date(2025, 2, 27)
    patients = (bulk / "Patient.000.ndjson").read_bytes()
    assert stage_fhir({"p.ndjson": patients}).run_to is None
    assert stage_fhir({"p.ndjson": patients}, records_to=date(2025, 1, 1)).run_to == date(2025, 1, 1)


def test_a_trust_s_word_on_registration_does_not_count(stage_fhir, bulk):
    staged = stage_fhir(bulk, source="RXX")
    assert staged.rows("registrations", "practice") == []
    assert {practice for (practice,) in staged.rows("patients", "practice")} == {None}
    assert {practice for (practice,) in staged.rows("events", "practice")} == {None}


def test_two_processes_stage_what_one_does(stage_fhir, bulk):
    one, two = stage_fhir(bulk), stage_fhir(bulk, processes=2)
    for path in one.directory.iterdir():
        assert pq.read_table(path).equals(pq.read_table(two.directory / path.name))
    assert one.findings == two.findings


def test_a_helper_that_ends_early_is_told(stage_fhir, bulk, monkeypatch):
    monkeypatch.setattr(workers.sys, "executable", "/bin/false")
    with pytest.raises(ChildProcessError, match="a process that reads FHIR ended with 1"):
        stage_fhir(bulk, processes=2)


def test_helpers_are_started_for_what_is_worth_them():
    assert workers.helpers_worthwhile(1_000) == 1
    assert workers.helpers_worthwhile(10**9) >= 1


def test_progress_reaches_the_end(stage_fhir, bulk):
    steps = stage_fhir(bulk).steps
    total = sum(path.stat().st_size for path in bulk.glob("*.ndjson"))
    assert steps == sorted(steps)
    assert steps[-1] == (total, total)


def test_what_is_recognised(fhir_fixtures, write_fhir, tmp_path):
    recognises = FhirImporter().recognises
    assert recognises(fhir_fixtures / "bulk")
    assert recognises(fhir_fixtures / "transaction.json")
    assert recognises(write_fhir({"p.xml": b'<Patient xmlns="http://hl7.org/fhir"/>'}, "xml"))
    assert recognises(write_fhir({"p.json.gz": gzip.compress(b'{"resourceType":"Patient"}')}, "packed"))
    assert not recognises(write_fhir({"patients.csv": b"local_id\n", "notes.json": b'{"a": 1}'}, "tabular"))
    assert not recognises(write_fhir({"notes.json": b'{"a": 1}'}, "other"))
    assert not recognises(write_fhir({"damaged.json.gz": b"\x1f\x8b\x00\x00"}, "damaged"))
    (tmp_path / "none").mkdir()
    assert not recognises(tmp_path / "none")
