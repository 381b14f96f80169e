"""FHIR deliveries loaded whole: from files to a tenant's record store, identities and quality report."""

from __future__ import annotations

import shutil
from datetime import date

import pytest

from cohortium_platform.errors import CohortiumError
from cohortium_plugins.importing import Severity

ADA, BEN, CAT = "9990000018", "9990000026", "9990000034"


@pytest.fixture
def bulk(fhir_fixtures, tmp_path):
    """The bulk export, of practices that the tenant has."""
    folder = tmp_path / "bulk"
    shutil.copytree(fhir_fixtures / "bulk", folder)
    for path in folder.iterdir():
        path.write_text(path.read_text().replace("Y99901", "A81001").replace("y99902", "A81002"))
    return folder


def test_a_bulk_export_is_recognised_and_loaded(loads, bulk):
    result = loads.load(bulk)
    assert (result.importer, result.source, sorted(result.practices)) == ("fhir", "gp", ["A81001", "A81002"])
    ada, ben, cat = (loads.patient(number) for number in (ADA, BEN, CAT))
    people = loads.rows("patients", "patient_id, practice, date_of_birth, sex, ethnicity, date_of_death")
    assert set(people) == {
        (ada, "A81001", date(1951, 3, 9), "female", "G", None),
        (ben, "A81002", date(1940, 6, 15), "male", "Z", date(2024, 11, 18)),
        (cat, "A81001", date(1988, 7, 1), "indeterminate", None, None),
    }
    events = set(loads.rows("events", "patient_id, date, code, value, episode"))
    assert (ada, date(2024, 1, 15), 254837009, None, "first") in events
    assert (ada, date(2024, 8, 1), 72313002, 132.0, None) in events
    assert len(events) == 10
    assert len(loads.rows("medications")) == 5
    assert set(loads.rows("consultations", "patient_id, kind")) == {(ada, "telephone"), (ben, "home-visit")}
    registered = loads.rows("registrations", "patient_id, practice, start_date, end_date")
    assert set(registered) == {
        (ada, "A81001", date(1951, 3, 9), None),
        (ben, "A81002", date(2015, 4, 1), None),
        (cat, "A81001", date(1988, 7, 1), None),
    }


def test_identities_and_contacts_of_a_bulk_export(loads, bulk):
    loads.load(bulk)
    ada = loads.patient(ADA)
    contacts = loads.rows("contacts", "date, kind, relationship")
    recorded = date(2025, 2, 3)
    assert set(contacts) >= {(recorded, kind, None) for kind in ("telephone", "mobile", "email", "address")}
    assert (date(2020, 7, 8), "next-of-kin", "N") in contacts
    (identity,) = loads.identities(ada).values()
    assert (identity.family_name, identity.given_name, identity.postcode) == ("Testwell", "Ada Mary", "ZZ99 3WZ")
    assert identity.telephone == "01632 960001"


def test_the_quality_report_of_a_bulk_export(loads, bulk):
    report = loads.load(bulk).report
    assert report.rows("no SNOMED CT coding", table="events") == 1
    assert report.rows("the registration has no start date: taken to start at birth") == 2
    assert report.tables["events"].kept == 10
    assert {practice.records_to for practice in report.practices.values()} == {date(2025, 2, 28)}
    places = [(each.file, each.line) for each in report.findings if each.severity is Severity.REJECTED]
    assert places == [("1.Condition.ndjson", 5)]


def test_loading_it_again_changes_nothing(loads, bulk):
    first = loads.load(bulk)
    before = loads.rows("events")
    again = loads.load(bulk)
    assert first.snapshot is not None
    assert again.unchanged
    assert loads.rows("events") == before


def test_uk_core_s_baby_whose_nhs_number_fails_its_check_digit_is_warned_of(loads, fhir_fixtures):
    with pytest.raises(CohortiumError, match="the practice is not one of this tenant's"):
        loads.load(fhir_fixtures / "searchset.json", practice="A81003")
    delivery = loads.folder / "known.json"
    delivery.write_text((fhir_fixtures / "searchset.json").read_text().replace("Y99903", "A81003"))
    report = loads.load(delivery).report
    assert report.rows("the NHS number fails its check digit: known by a local pseudonym") == 1
    assert report.tables["patients"].kept == 1
    assert len(loads.rows("events")) == 1


def test_a_synthea_bundle_needs_a_practice_and_a_date(loads, fhir_fixtures):
    with pytest.raises(CohortiumError, match="nothing says to which date the records run"):
        loads.load(fhir_fixtures / "transaction.json", practice="A81001")
    result = loads.load(fhir_fixtures / "transaction.json", practice="A81001", records_to=date(2025, 1, 1))
    assert result.report.tables["events"].kept == 2
    assert loads.rows("patients", "practice, date_of_death") == [("A81001", date(2023, 3, 4))]


def test_a_trust_s_fhir_is_filed_under_the_practice_of_registration(loads, bulk, tmp_path):
    loads.load(bulk)
    summary = tmp_path / "trust.ndjson"
    lines = (bulk / "Patient.000.ndjson").read_text().splitlines()[:1]
    lines += (bulk / "Procedure.ndjson").read_text().splitlines()[:1]
    summary.write_text("\n".join(lines).replace("401123009", "720006006"))
    loads.load(summary, source="RXX", records_to=date(2025, 2, 1))
    filed = loads.rows("events", "practice, code, source")
    assert ("A81001", 720006006, "RXX") in filed


@pytest.mark.parametrize("name", ["Patient.000.ndjson", "1.Condition.ndjson"])
def test_a_refused_delivery_leaves_the_tenant_unchanged(loads, bulk, name):
    before = loads.state()
    (bulk / name).write_bytes((bulk / name).read_bytes()[:-40])
    with pytest.raises(CohortiumError, match=f"{name}, line [0-9]+: not JSON"):
        loads.load(bulk)
    assert loads.state() == before
