"""Deliveries that cannot be read: each is refused with its file, its line and what to do, never with its content."""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from io import BytesIO

import pytest

from cohortium_platform.ingest.fhir import blocks, reading
from cohortium_plugins.importing import Severity, Unreadable

WORD = "Zqxjkv"
PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1950-01-02", "name": [{"family": WORD}]}
LINE = json.dumps(PATIENT, separators=(",", ":")).encode() + b"\n"
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "login", "diagnostics": WORD}]}


@pytest.fixture
def refusal(stage_fhir):
    """The words with which a delivery is refused."""

    def stage(files, **options):
        with pytest.raises(Unreadable) as refused:
            stage_fhir(files, **options)
        assert WORD not in str(refused.value)
        return str(refused.value)

    return stage


def zipped():
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("p.ndjson", LINE)
    return stream.getvalue()


HOSTILE = [
    (
        "p.ndjson",
        LINE * 2 + b'{"resourceType":"Patient",' + WORD.encode() + b"\n",
        "p.ndjson, line 3: not JSON (at character 27).",
    ),
    ("p.ndjson", LINE + LINE[:-20], "p.ndjson, line 2: not JSON"),
    ("p.ndjson", b"resourceType,id\n", "p.ndjson, line 1: not JSON"),
    (
        "p.json",
        b'{\n  "resourceType": "Patient",\n  "id": "' + WORD.encode() + b'",\n  oops\n}',
        "p.json, line 4: not JSON",
    ),
    ("p.json", json.dumps(PATIENT, indent=1).encode()[:-3], "p.json, line"),
    ("p.json", json.dumps(PATIENT, indent=1).encode() + b"\n{}", "p.json, line 11: not JSON"),
    ("p.ndjson", LINE + b"[" + LINE.strip() + b"]\n", "p.ndjson, line 2: not a FHIR resource, which is a JSON object."),
    ("p.json", b"[\n" + LINE + b"]", "p.json, line 1: a JSON array, not a FHIR resource. Give a Bundle"),
    (
        "p.ndjson",
        LINE + b'{"id":"1","family":"' + WORD.encode() + b'"}\n',
        "p.ndjson, line 2: not a FHIR resource: it has no resourceType.",
    ),
    ("p.json", b'{"id":"1"}', "p.json, line 1: not a FHIR resource: it has no resourceType."),
    (
        "p.json",
        b'{"entry":[{"resource":{"resourceType":"Patient"}}]}',
        "p.json, line 1: not a FHIR resource: it has no",
    ),
    ("p.ndjson", LINE + b'{"resourceType":7}\n', "p.ndjson, line 2: not a FHIR resource: it has no resourceType."),
    (
        "p.ndjson",
        LINE + b'{"resourceType":"Patient","id":"a","id":"b"}\n',
        "p.ndjson, line 2: a JSON object with one key twice.",
    ),
    (
        "p.ndjson",
        b'{"resourceType":"Patient","id":"\\u0022\\u0022","x":{"y":1,"y":2}}\n',
        "p.ndjson, line 1: a JSON object with one key twice",
    ),
    (
        "p.json",
        b'{"resourceType":"Patient",\n"id":"a",\n"id":"b"}',
        "p.json, line 3: a JSON object with one key twice.",
    ),
    (
        "p.json",
        b'{"resourceType":"Patient","name":[\n{"family":"a","family":"b"}]}',
        "p.json, line 1: a JSON object with one key twice.",
    ),
    (
        "p.json",
        b'{"resourceType":"Bundle","type":"collection","entry":[\n{"resource":{},\n"resource":{}}]}',
        "p.json, line 2: a JSON object with one key twice.",
    ),
    (
        "p.ndjson",
        LINE + b'{"resourceType":"Observation","valueInteger":NaN}\n',
        "p.ndjson, line 2: NaN or Infinity, which JSON does not have.",
    ),
    (
        "p.json",
        b'{"resourceType":"Observation",\n"valueInteger":-Infinity}',
        "p.json, line 2: NaN or Infinity, which JSON does not have.",
    ),
    (
        "p.ndjson",
        LINE + LINE.replace(b'"p"', b'"\xe9"'),
        "p.ndjson, line 2: not UTF-8 text. FHIR's JSON is UTF-8: save it as that.",
    ),
    ("p.json", json.dumps(PATIENT, indent=1).encode().replace(b'"p"', b'"\xe9"'), "p.json, line 3: not UTF-8 text."),
    ("p.json", LINE.decode().encode("utf-16"), "p.json, line 1: not UTF-8 text."),
    ("p.ndjson", LINE.decode().encode("utf-16-le"), "p.ndjson, line 1: not UTF-8 text."),
    ("p.ndjson", LINE.decode().encode("utf-32"), "p.ndjson, line 1: not UTF-8 text."),
    (
        "p.ndjson",
        b'{"resourceType":"Patient","id":"\\ud800"}\n',
        "p.ndjson, line 1: JSON nested too deeply, or with text that is not",
    ),
    (
        "p.json",
        b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}',
        "p.json, line 1: JSON nested too deeply, or with text",
    ),
    (
        "p.ndjson",
        LINE + b'{"resourceType":"Patient","x":' + b"[" * 5000 + b"]" * 5000 + b"}\n",
        "p.ndjson, line 2: JSON nested too deeply",
    ),
    (
        "p.ndjson",
        LINE + b'{"resourceType":"Patient","x":' + b"[" * 500 + b"]" * 500 + b"}\n",
        "p.ndjson, line 2: JSON nested too deeply",
    ),
    (
        "p.json",
        b'{"resourceType":"Patient",\n"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        "p.json, line 2: JSON nested too deeply",
    ),
    ("p.ndjson.gz", gzip.compress(LINE * 999)[:-20], "p.ndjson.gz, line "),
    ("p.ndjson.gz", gzip.compress(LINE)[:-8] + b"\0" * 8, "p.ndjson.gz, line 1: damaged gzip. Send the file again."),
    ("p.ndjson.gz", LINE, "p.ndjson.gz, line 1: named .gz and not gzip. Send the file again."),
    ("p.ndjson.gz", gzip.compress(gzip.compress(LINE)), "p.ndjson.gz, line 1: gzip inside gzip. Pack the file once."),
    ("p.ndjson", zipped(), "p.ndjson, line 1: a packed archive. Unpack it, and give the folder."),
    ("p.zip", zipped(), "p.zip: a packed archive. Unpack it, and give the folder."),
    ("p.xml", b'<Patient xmlns="http://hl7.org/fhir"/>', "p.xml: XML, not JSON. Ask for FHIR as JSON or NDJSON."),
    ("p.json", b'\n<?xml version="1.0"?><Patient/>', "p.json, line 1: XML, not JSON. Ask for FHIR as JSON or NDJSON."),
    (
        "p.ndjson",
        b"<!DOCTYPE html><html><body>Sign in",
        "p.ndjson, line 1: a web page, not data. A server's sign-in or error page",
    ),
    ("p.ndjson", b"", "delivery-0: the delivery is empty."),
    ("p.ndjson", b"\n \n", "delivery-0: the delivery is empty."),
    ("readme.txt", b"hello", "delivery-0: the delivery is empty. A FHIR delivery is .ndjson or .json files"),
    ("p.json", b'{"resourceType":"Bundle","type":"collection"}', "delivery-0: the delivery is empty."),
    (
        "p.ndjson",
        b'{"resourceType":"Claim"}\n{"resourceType":"Zqxjkv"}\n',
        "delivery-0: only resources of types that are not read (Claim). Export Patient,",
    ),
    (
        "p.ndjson",
        b'{"resourceType":"Condition","id":"1"}\n',
        "delivery-0: no Patient resource in the delivery. Export Patient together",
    ),
    (
        "p.ndjson",
        LINE + json.dumps(OUTCOME).encode(),
        "p.ndjson, line 2: an OperationOutcome in place of data. The sending server answered",
    ),
    ("p.json", json.dumps(OUTCOME, indent=2).encode(), "p.json, line 1: an OperationOutcome in place of data."),
    (
        "OperationOutcome.ndjson",
        json.dumps(OUTCOME).encode(),
        "OperationOutcome.ndjson, line 1: an OperationOutcome in place of data.",
    ),
]


@pytest.mark.parametrize(  # named without their bytes, in which archives note the time
    ("name", "data", "words"), HOSTILE, ids=[f"{name}-{n}" for n, (name, *_) in enumerate(HOSTILE)]
)
def test_what_cannot_be_read(refusal, name, data, words):
    assert refusal({name: data}).startswith(words)


def test_a_truncated_gzip_names_the_line_it_ends_at(refusal):
    packed = zlib.compressobj(level=0, wbits=31)  # stored, so that the first lines can be unpacked
    data = packed.compress(LINE * 100_000) + packed.flush()
    words = refusal({"p.ndjson.gz": data[: len(data) // 2]})
    assert words.startswith("p.ndjson.gz, line ")
    assert words.endswith(": truncated gzip. Send the file again.")
    assert 40_000 < int(words.split("line ")[1].split(":")[0]) < 60_000


OTHER_RELEASES = [
    ({"resourceType": "Condition", "assertedDate": "2020-01-01"}, "STU3"),
    ({"resourceType": "Condition", "clinicalStatus": "active"}, "STU3"),
    ({"resourceType": "Condition", "verificationStatus": "confirmed"}, "STU3"),
    ({"resourceType": "MedicationRequest", "context": {"reference": "Encounter/1"}}, "STU3"),
    ({"resourceType": "MedicationStatement", "taken": "y"}, "STU3"),
    ({"resourceType": "Immunization", "notGiven": False}, "STU3"),
    ({"resourceType": "Procedure", "notDone": False}, "STU3"),
    ({"resourceType": "Observation", "comment": "words"}, "STU3"),
    ({"resourceType": "Patient", "animal": {}}, "STU3"),
    ({"resourceType": "ProcedureRequest"}, "STU3"),
    ({"resourceType": "ReferralRequest"}, "STU3"),
    ({"resourceType": "CapabilityStatement", "fhirVersion": "3.0.1"}, "STU3"),
    (
        {
            "resourceType": "Patient",
            "meta": {"profile": ["https://fhir.nhs.uk/STU3/StructureDefinition/CareConnect-GPC-Patient-1"]},
        },
        "STU3",
    ),
    (
        {
            "resourceType": "Bundle",
            "type": "collection",
            "meta": {"profile": ["https://fhir.nhs.uk/STU3/StructureDefinition/GPConnect-StructuredRecord-Bundle-1"]},
        },
        "STU3",
    ),
    ({"resourceType": "Patient", "careProvider": []}, "DSTU2"),
    ({"resourceType": "Encounter", "class": "ambulatory"}, "DSTU2"),
    ({"resourceType": "MedicationOrder"}, "DSTU2"),
    ({"resourceType": "Conformance"}, "DSTU2"),
    ({"resourceType": "Encounter", "class": [{"coding": []}]}, "R5"),
    ({"resourceType": "Encounter", "actualPeriod": {}}, "R5"),
    ({"resourceType": "Procedure", "occurrenceDateTime": "2020-01-01"}, "R5"),
    ({"resourceType": "MedicationRequest", "medication": {"concept": {}}}, "R5"),
    ({"resourceType": "MedicationStatement", "medication": {"concept": {}}}, "R5"),
    ({"resourceType": "Condition", "participant": []}, "R5"),
    ({"resourceType": "Transport"}, "R5"),
    ({"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"}, "R5"),
]


@pytest.mark.parametrize(("resource", "release"), OTHER_RELEASES)
def test_another_release_is_refused_with_advice(refusal, resource, release):
    words = refusal([PATIENT, resource])
    assert words.startswith(f"export.ndjson, line 2: FHIR {release}, not R4. Ask the sender for an FHIR R4")


def test_r4_and_r4b_are_read(stage_fhir):
    statements = [{"resourceType": "CapabilityStatement", "fhirVersion": version} for version in ("4.0.1", "4.3.0")]
    assert stage_fhir([PATIENT, *statements]).rows("patients", "local_id") == [("p",)]


def bundle(kind, *entries, **elements):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)} | elements


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (bundle("history", {"resource": PATIENT}), "line 1: a Bundle of type history. Ask for the current records"),
        (bundle("transaction-response", {"response": {"status": "404 Not Found", "outcome": OUTCOME}}),
         "line 5: an OperationOutcome in place of data."),
        (bundle("searchset", {"resource": OUTCOME}), "line 5: an OperationOutcome in place of data."),
        (bundle("collection", 7), "line 5: an entry that is not a JSON object."),
        (bundle("collection", {"resource": 7}), "line 5: a Bundle that does not have the shape of FHIR R4."),
        (bundle("searchset", {"resource": PATIENT}, link=7), "line 1: a Bundle that does not have"),
        ({"resourceType": "Bundle", "entry": {"resource": PATIENT}}, "line 1: a Bundle that does not have"),
    ],
)  # fmt: skip
def test_bundles_that_are_not_records(refusal, document, words):
    assert refusal({"b.json": document}).startswith("b.json, " + words)
    assert "Bundle" in words or refusal({"b.ndjson": [document]}).startswith("b.ndjson, line 1: ")


def test_bundles_in_bundles_in_bundles(refusal):
    document = PATIENT
    for _ in range(6):
        document = bundle("collection", {"resource": document})
    assert refusal({"b.json": document}).startswith("b.json, line 5: Bundles nested too deeply.")


def test_a_delivery_larger_than_allowed(refusal):
    assert refusal({"p.ndjson": LINE * 50}, max_bytes=1_000).startswith(
        "p.ndjson: the delivery unpacks to more than 1,000 bytes. Split it by practice"
    )
    assert "more than 1,000 bytes" in refusal({"p.ndjson.gz": gzip.compress(LINE * 50)}, max_bytes=1_000)


def test_a_gzip_bomb(refusal):
    bomb = gzip.compress(b" " * (80 * 2**20))
    assert refusal({"p.ndjson.gz": bomb}).startswith(
        "p.ndjson.gz: gzip that unpacks to far more than health records do."
    )


def test_a_line_without_end(refusal, monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINE", 2**20)
    monkeypatch.setattr(reading, "_PIECE", 2**19)
    data = LINE + b'{"resourceType":"Patient","id":"' + b"x" * 2**21
    assert refusal({"p.ndjson": data}).startswith("p.ndjson, line 2: a line longer than 1 MiB. Send NDJSON")


def test_a_long_line_among_others(refusal, monkeypatch):
    monkeypatch.setattr(blocks, "MAX_LINE", 2**20)
    data = LINE + b'{"resourceType":"Patient","id":"' + b"x" * 2**20 + b'"}\n' + LINE
    assert refusal({"p.ndjson": data}).startswith("p.ndjson, line 2: a line longer than 1 MiB.")


def test_a_document_too_large_to_hold(refusal, monkeypatch):
    monkeypatch.setattr(reading, "_MAX_DOCUMENT", 2**20)
    assert refusal({"b.json": b'{\n"resourceType":"Bundle","x":"' + b"x" * 2**20}).startswith(
        "b.json, line 1: a JSON document longer than 1 MiB. Send NDJSON with one resource a line"
    )


def manifest(*files, **elements):
    output = [
        {"type": "Patient", "url": f"https://example.org/files/{name}?x=1", "count": count} for name, count in files
    ]
    return {"transactionTime": "2025-02-28T23:00:00Z", "requiresAccessToken": False, "output": output} | elements


def test_a_manifest_that_lists_more_than_came(refusal, stage_fhir):
    whole = {"Patient.1.ndjson": LINE * 2, "Patient.2.ndjson": LINE}
    missing = {"m.json": manifest(("Patient.1.ndjson", 2), ("Patient.2.ndjson", 1), ("Patient.3.ndjson", 1))} | whole
    assert refusal(missing).startswith("m.json: 1 of the files that the manifest lists are missing. Fetch them")
    short = {"m.json": manifest(("Patient.1.ndjson", 3), ("Patient.2.ndjson", 1))} | whole
    assert refusal(short).startswith("Patient.1.ndjson: holds 2 resources where the manifest says 3. Fetch it again")
    complete = {
        "m.json": manifest(("Patient.1.ndjson", 2), ("Patient.2.ndjson", None), ("none.ndjson", 0)),
        "none.ndjson": b"",
    }
    assert stage_fhir(complete | whole).run_to.isoformat() == "2025-02-28"
    renamed = {"m.json": manifest(("a1b2c3", 9))} | whole
    assert stage_fhir(renamed).run_to.isoformat() == "2025-02-28"


def test_a_manifest_whose_parts_are_wrong(refusal):
    assert refusal({"m.json": b'{"transactionTime": 7, "output": 7}', "p.ndjson": LINE}).startswith(
        "m.json, line 1: not a bulk export's manifest."
    )


def test_problems_where_an_export_puts_them_are_told(stage_fhir):
    files = {
        "m.json": manifest(
            ("p.ndjson", 1), error=[{"url": "https://example.org/e1.ndjson"}], deleted=[{"url": "https://x/d.ndjson"}]
        ),
        "p.ndjson": LINE,
        "e1.ndjson": [OUTCOME, OUTCOME],
        "d.ndjson": [bundle("transaction", {"request": {"method": "DELETE", "url": "Patient/7"}})],
    }
    told = [(each.reason, each.file) for each in stage_fhir(files).findings]
    assert ("the sending server reported problems, records may be missing: 2", "e1.ndjson") in told


def test_a_document_of_another_kind_among_the_records_is_left_aside(stage_fhir):
    staged = stage_fhir({"p.ndjson": LINE, "about.json": {"generator": WORD, "entries": [1]}})
    assert ("not a FHIR resource: left aside", "about.json") in [(each.reason, each.file) for each in staged.findings]


def test_deletions_and_missing_pages_are_told(stage_fhir):
    page = bundle("searchset", {"resource": PATIENT}, link=[{"relation": "next", "url": "https://example.org/2"}])
    gone = bundle("transaction", {"request": {"method": "DELETE", "url": "Patient/7"}})
    told = stage_fhir({"a.json": page, "b.json": gone}).reasons(Severity.WARNING)
    assert "deletions left aside, since a load replaces all records of its source: 1" in told
    assert "pages of a search of which the last is missing: records may be missing" in told


def test_a_link_out_of_the_folder_is_not_followed(stage_fhir, write_fhir, tmp_path):
    (tmp_path / "other.ndjson").write_bytes(LINE.replace(b'"p"', b'"q"'))
    folder = write_fhir({"p.ndjson": LINE})
    (folder / "q.ndjson").symlink_to(tmp_path / "other.ndjson")
    assert stage_fhir(folder).rows("patients", "local_id") == [("p",)]


def test_the_first_bad_line_is_the_one_named_with_two_processes(refusal, monkeypatch):
    monkeypatch.setattr(reading, "_PIECE", 2**12)
    data = LINE * 500 + b"bad\n" + LINE * 500 + b"worse\n" + LINE * 500
    assert refusal({"p.ndjson": data}, processes=2).startswith("p.ndjson, line 501: not JSON")


def test_nothing_there(stage_fhir, tmp_path):
    with pytest.raises(Unreadable, match="gone: there is no such file or folder"):
        stage_fhir(tmp_path / "gone")
