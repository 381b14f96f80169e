"""FHIR goes the same way as any other delivery, once its importer has staged it."""

from __future__ import annotations

from datetime import date

import pytest

from cohortium_platform.ingest import DeliveryRefused
from cohortium_plugins.importing import ImportOptions

NHS, ODS, SNOMED = (
    "https://fhir.nhs.uk/Id/nhs-number",
    "https://fhir.nhs.uk/Id/ods-organization-code",
    "http://snomed.info/sct",
)
JANE = "9990000018"
PRACTICE = {"resourceType": "Organization", "id": "o", "identifier": [{"system": ODS, "value": "A81001"}]}
PATIENT = {
    "resourceType": "Patient", "id": "p", "birthDate": "1950-02-28", "gender": "female",
    "identifier": [{"system": NHS, "value": JANE}],
    "name": [{"family": "Smith", "given": ["Jane"]}],
    "telecom": [{"system": "phone", "value": "020 7946 0000", "use": "home"}],
    "generalPractitioner": [{"reference": "Organization/o"}],
}  # fmt: skip


def condition(date_: str, code: str = "22298006", subject: str = "p", **more: object) -> dict[str, object]:
    return {
        "resourceType": "Condition", "id": f"c{date_}{code}", "subject": {"reference": f"Patient/{subject}"},
        "onsetDateTime": date_, "code": {"coding": [{"system": SNOMED, "code": code}]}, **more,
    }  # fmt: skip


def test_a_bulk_export_is_loaded(loads, write_fhir):
    delivery = write_fhir(
        {
            "Patient.ndjson": [PATIENT],
            "Organization.ndjson": [PRACTICE],
            "Condition.ndjson": [condition("2020-01-01"), condition("2020-02-01", subject="nobody")],
        }
    )
    result = loads.load(delivery, records_to=date(2025, 11, 30))
    jane = loads.patient(JANE)
    assert (result.importer, result.practices, result.snapshot) == ("fhir", ["A81001"], 1)
    assert loads.rows("events", "patient_id, practice, date, code, source") == [
        (jane, "A81001", date(2020, 1, 1), 22298006, "gp")
    ]
    assert loads.rows("registrations", "patient_id, start_date, end_date") == [(jane, date(1950, 2, 28), None)]
    assert loads.rows("contacts", "kind") == [("telephone",)]
    assert loads.identities(jane)[jane].name == "SMITH, Jane"
    rejected = [finding for finding in result.report.findings if finding.severity == "rejected"]
    assert [(finding.file, finding.line) for finding in rejected] == [("Condition.ndjson", 2)]
    assert result.report.tables["events"].rejected == 1
    assert loads.load(delivery, records_to=date(2025, 11, 30)).unchanged


def test_bad_fhir_is_refused_and_nothing_changes(loads, write_fhir):
    before = loads.state()
    with pytest.raises(DeliveryRefused, match=r"Condition\.ndjson, line 2"):
        loads.load(
            write_fhir({"Patient.ndjson": [PATIENT], "Condition.ndjson": b'{"resourceType":"Condition"}\n{"a":\n'})
        )
    assert loads.state() == before


def test_a_practice_may_be_named_by_whoever_loads(loads, write_fhir):
    patient = {key: value for key, value in PATIENT.items() if key != "generalPractitioner"}
    options = ImportOptions(practice="A81002", records_to=date(2025, 11, 30))
    result = loads.load(write_fhir([patient]), practice=options.practice, records_to=options.records_to)
    assert result.practices == ["A81002"]
