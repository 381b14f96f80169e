"""How fast a FHIR bulk export is staged, beside bare `orjson.loads` of the same lines in the same run.

Prints; asserts only that everything was staged. Run with `make bench`.
"""

from __future__ import annotations

import os
import platform
import random
import resource
import time
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from cohortium_platform.ingest.fhir import FhirImporter
from cohortium_plugins.importing import ImportOptions, Severity

PATIENTS = int(os.environ.get("BENCH_FHIR_PATIENTS", "3000"))
PER_PATIENT = 80
SNOMED = "http://snomed.info/sct"
CORE = "https://fhir.hl7.org.uk/StructureDefinition/"


class Sink:
    """A staging folder that counts its findings."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.findings = directory, 0

    def finding(self, severity: Severity, reason: str, *, file: str, line: int | None = None, table: str = "") -> None:
        del severity, reason, file, line, table
        self.findings += 1

    def records_to(self, day: date, *, practice: str | None = None) -> None:
        del day, practice

    def progress(self, done_bytes: int, total_bytes: int) -> None:
        del done_bytes, total_bytes


def coded(code: int, display: str, system: str = SNOMED) -> dict[str, object]:
    return {"coding": [{"system": system, "code": str(code), "display": display}], "text": display}


def meta(profile: str) -> dict[str, object]:
    return {"versionId": "1", "lastUpdated": "2025-03-04T05:06:07.000+00:00", "profile": [CORE + profile]}


def patient(draw: random.Random, number: str) -> dict[str, object]:
    return {
        "resourceType": "Patient",
        "id": number,
        "meta": meta("UKCore-Patient"),
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": f"999{draw.randrange(10**7):07d}"}],
        "name": [{"use": "official", "family": "Example", "given": ["Pat"], "prefix": ["Mx"]}],
        "telecom": [{"system": "phone", "value": "01632 960000", "use": "home"}],
        "gender": draw.choice(["male", "female"]),
        "birthDate": f"19{draw.randrange(30, 99)}-0{draw.randrange(1, 10)}-11",
        "address": [{"line": ["1 Example Street"], "city": "Exampletown", "postalCode": "ZZ99 9ZZ"}],
        "generalPractitioner": [{"reference": "Organization/practice"}],
    }


def observation(draw: random.Random, subject: dict[str, str], when: str) -> dict[str, object]:
    found: dict[str, object] = {
        "resourceType": "Observation",
        "id": str(uuid.UUID(int=draw.getrandbits(128))),
        "meta": meta("UKCore-Observation"),
        "status": "final",
        "category": [coded(0, "Laboratory", "http://terminology.hl7.org/CodeSystem/observation-category")],
        "code": coded(draw.choice([1000731000000107, 1022431000000105, 60621009, 1005671000000105]), "A measurement"),
        "subject": subject,
        "encounter": {"reference": f"Encounter/{uuid.UUID(int=draw.getrandbits(128))}"},
        "effectiveDateTime": when + "T10:11:12+01:00",
        "issued": when + "T10:11:12.000+01:00",
    }
    if draw.random() < 0.25:
        pressure = {"unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
        found["code"] = coded(75367002, "Blood pressure")
        found["component"] = [
            {"code": coded(271649006, "Systolic"), "valueQuantity": {"value": draw.randrange(90, 180), **pressure}},
            {"code": coded(271650006, "Diastolic"), "valueQuantity": {"value": draw.randrange(50, 110), **pressure}},
        ]
    else:
        found["valueQuantity"] = {"value": round(draw.uniform(3, 90), 1), "unit": "mmol/L"}
    return found


def others(draw: random.Random, subject: dict[str, str], when: str) -> dict[str, object]:
    number = str(uuid.UUID(int=draw.getrandbits(128)))
    kind = draw.choice(
        ["Condition", "MedicationRequest", "MedicationRequest", "Encounter", "Procedure", "Immunization"]
    )
    about = {"resourceType": kind, "id": number, "meta": meta("UKCore-" + kind), "subject": subject}
    if kind == "Condition":
        active = "http://terminology.hl7.org/CodeSystem/condition-clinical"
        status = {"clinicalStatus": {"coding": [{"system": active, "code": "active"}]}}
        return about | status | {"code": coded(44054006, "Type 2 diabetes"), "onsetDateTime": when}
    if kind == "MedicationRequest":
        medicine = coded(319740004, "A tablet", "https://dmd.nhs.uk")
        return about | {
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": medicine,
            "authoredOn": when,
        }
    if kind == "Encounter":
        act = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
        return about | {"status": "finished", "class": act, "period": {"start": when}}
    if kind == "Procedure":
        return about | {"status": "completed", "code": coded(165079009, "A procedure"), "performedDateTime": when}
    vaccine = coded(40085011000001101, "A vaccine", "https://dmd.nhs.uk")
    about["patient"] = about.pop("subject")
    return about | {"status": "completed", "vaccineCode": vaccine, "occurrenceDateTime": when}


def lines() -> Iterator[bytes]:
    draw = random.Random(20250304)  # noqa: S311 - a benchmark's data, not a secret
    practice = {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "Y99999"}
    yield orjson.dumps({"resourceType": "Organization", "id": "practice", "identifier": [practice]})
    for _ in range(PATIENTS):
        number = str(uuid.UUID(int=draw.getrandbits(128)))
        yield orjson.dumps(patient(draw, number))
        subject = {"reference": f"Patient/{number}"}
        for _ in range(PER_PATIENT - 1):
            when = f"20{draw.randrange(10, 25)}-0{draw.randrange(1, 10)}-{draw.randrange(10, 29)}"
            make = observation if draw.random() < 0.55 else others
            yield orjson.dumps(make(draw, subject, when))


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    with (folder / "export.ndjson").open("wb") as stream:
        for line in lines():
            stream.write(line + b"\n")
    return folder


def cpu_seconds() -> float:
    """Processor time of this process and of those it started and saw end."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


@pytest.mark.parametrize("processes", [1, 2])
def test_bulk_export(export: Path, tmp_path: Path, processes: int) -> None:
    data = (export / "export.ndjson").read_bytes()
    written = data.splitlines()
    start = time.process_time()
    for line in written:
        orjson.loads(line)
    bare = time.process_time() - start
    start, spent = time.perf_counter(), cpu_seconds()
    FhirImporter(processes).read(export, ImportOptions(), Sink(tmp_path))
    seconds, spent = time.perf_counter() - start, cpu_seconds() - spent
    count = len(written)
    print(  # noqa: T201 - a benchmark prints
        f"\n{platform.machine()} {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}), Python "
        f"{platform.python_version()}: {count:,} resources, {len(data) / 2**20:.0f} MiB, {processes} process(es)\n"
        f"  staged in {seconds:.2f} s: {count / seconds:,.0f} resources/s; {count / spent:,.0f} a second of one core\n"
        f"  bare orjson.loads: {count / bare:,.0f} a second of one core; staging takes {spent / bare:.1f} times as long"
    )
    staged = {path.name: pq.read_metadata(path).num_rows for path in tmp_path.glob("*.parquet")}
    assert staged["patients-fhir.parquet"] == PATIENTS
    assert staged["events-fhir.parquet"] > count / 2
