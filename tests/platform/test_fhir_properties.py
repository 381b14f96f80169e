"""What must hold of any delivery: order does not matter, nothing crashes, and no finding quotes a record."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohortium_platform.ingest.fhir import FhirImporter, scratch
from cohortium_platform.ingest.fhir.blocks import Block
from cohortium_platform.ingest.fhir.extraction import extract
from cohortium_plugins.importing import EXTRACT_COLUMNS, ImportOptions, Unreadable

FIXTURES = Path(__file__).parent / "fhir_fixtures"
SNOMED = "http://snomed.info/sct"
NHS = "https://fhir.nhs.uk/Id/nhs-number"
WORD = "Zqxjkv"
"""Stands for content of a record."""


class Quiet:
    """A staging area that keeps what it is told."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.told = directory, []

    def finding(self, severity, reason, *, file, line=None, table=""):
        self.told.append((severity, reason, table))
        del file, line

    def records_to(self, day, *, practice=None):
        self.told.append((day, practice))

    def progress(self, done_bytes, total_bytes):
        pass


def fixture_resources() -> list[dict[str, object]]:
    resources = [
        json.loads(line)
        for path in sorted((FIXTURES / "bulk").glob("*.ndjson"))
        for line in path.read_text().splitlines()
    ]
    for name in ("transaction.json", "searchset.json"):
        resources += [entry["resource"] for entry in json.loads((FIXTURES / name).read_text())["entry"]]
    return [resource for resource in resources if resource["resourceType"] != "OperationOutcome"]


def stage(files: dict[str, bytes], **options: object) -> tuple[dict[str, list[tuple[object, ...]]], list[object]]:
    """Stage files; the rows of each table and what was told, both without order and place."""
    with TemporaryDirectory() as folder:
        delivery, staged = Path(folder) / "delivery", Path(folder) / "staged"
        delivery.mkdir()
        staged.mkdir()
        for name, data in files.items():
            (delivery / name).write_bytes(data)
        quiet = Quiet(staged)
        FhirImporter(1).read(delivery, ImportOptions(**options), quiet)
        tables = {}
        for table in EXTRACT_COLUMNS:
            rows = [row for path in staged.glob(f"{table}-*") for row in pq.read_table(path).to_pylist()]
            kept = [tuple(value for name, value in row.items() if name not in ("file", "line")) for row in rows]
            tables[table] = sorted(kept, key=repr)
        return tables, sorted(quiet.told, key=repr)


codes = st.sampled_from(["44054006", "254837009", "27113001", "bad"])
days = st.sampled_from(["2020-01-02", "2021-03", "2022-05-06T23:30:00Z", "never"])
people = st.sampled_from(["a", "b", "c", "gone"])
times = st.sampled_from([None, "2024-01-01T00:00:00Z", "2024-02-01T00:00:00+01:00"])


@st.composite
def clinical(draw: st.DrawFn, number: int) -> dict[str, object]:
    subject = {"reference": f"Patient/{draw(people)}"}
    code = {"coding": [{"system": SNOMED, "code": draw(codes)}]}
    made = {"id": f"r{number}", "subject": subject, "code": code}
    kind = draw(st.sampled_from(["Condition", "Observation", "Procedure", "MedicationRequest"]))
    when = draw(days)
    if kind == "Condition":
        return made | {"resourceType": kind, "recordedDate": when}
    if kind == "Observation":
        value = {"valueInteger": 5} if draw(st.booleans()) else {}
        return made | {"resourceType": kind, "status": "final", "effectiveDateTime": when} | value
    if kind == "Procedure":
        return made | {
            "resourceType": kind,
            "status": draw(st.sampled_from(["completed", "not-done"])),
            "performedDateTime": when,
        }
    medicine = {"reference": draw(st.sampled_from(["Medication/m", "Medication/gone"]))}
    return made | {"resourceType": kind, "intent": "order", "authoredOn": when, "medicationReference": medicine}


@st.composite
def deliveries(draw: st.DrawFn) -> list[dict[str, object]]:
    resources = [draw(clinical(number)) for number in range(draw(st.integers(0, 12)))]
    # Versions of one resource, told apart by their dates alone.
    versions = draw(st.lists(times.filter(bool), unique=True, max_size=2))
    resources += [draw(clinical(99)) | {"meta": {"lastUpdated": at}} for at in versions]
    resources.append(
        {"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": SNOMED, "code": "319740004"}]}}
    )
    for name, number in (("a", "9990000018"), ("b", "9990000026"), ("c", None)):
        identifier = [{"system": NHS, "value": number}] if number else []
        person = {"resourceType": "Patient", "id": name, "birthDate": "1950-01-02", "identifier": identifier}
        gp = draw(st.sampled_from(["Organization/o", "Organization/gone"]))
        resources.append(person | {"generalPractitioner": [{"reference": gp}]})
    organisation = {"resourceType": "Organization", "id": "o"}
    code = {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "Y99901"}
    return [*resources, organisation | {"identifier": [code]}]


@given(deliveries(), st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_order_of_lines_and_files_changes_nothing(resources, data):
    def written(some: list[dict[str, object]]) -> bytes:
        return b"".join(json.dumps(each).encode() + b"\n" for each in some)

    plain = stage({"all.ndjson": written(resources)})
    shuffled = data.draw(st.permutations(resources))
    cut = data.draw(st.integers(1, len(shuffled)))
    bundle = {"type": "collection", "entry": [{"resource": each} for each in shuffled[cut:]], "resourceType": "Bundle"}
    files = {"b.ndjson": written(shuffled[:cut]), "a.json": json.dumps(bundle, indent=1).encode()}
    assert stage(files) == plain


def spots(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """The path to every element of a resource."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from spots(child, (*path, key))


def changed(resource: dict[str, object], path: tuple[object, ...], new: object) -> dict[str, object]:
    """The resource with one element replaced."""
    made = copy.deepcopy(resource)
    holder = made
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = new
    return made


STRANGE = [
    WORD,
    7,
    -1.5,
    True,
    None,
    [],
    {},
    [WORD],
    {WORD: WORD},
    [[]],
    [None],
    [{WORD: 1}],
    WORD * 500,
    "2024",
]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: repr(value)[:20])
def test_no_element_of_any_shape_crashes_or_is_quoted(strange, tmp_path, monkeypatch):
    """Every element of every fixture replaced by something strange, one at a time."""
    readable = []
    with monkeypatch.context() as patched:
        patched.setattr(scratch.pq, "write_table", lambda *_, **__: None)  # thousands of files, to be thrown away
        for mutant in mutants(strange):
            (report,) = extract([Block(0, "x.ndjson", json.dumps(mutant).encode())], tmp_path, registers=True)
            if report.failure is None:
                readable.append(mutant)
            else:
                assert WORD not in repr(report.failure)
                assert report.failure[0].startswith(("FHIR ", "not a FHIR resource", "JSON nested"))
    assert len(readable) > 500
    tables, told = stage({"all.ndjson": b"".join(json.dumps(each).encode() + b"\n" for each in readable)})
    assert tables["patients"]
    assert WORD not in repr(told)


def mutants(strange: object) -> Iterator[dict[str, object]]:
    """The fixtures with one element changed, each under an id of its own."""
    for resource in fixture_resources():
        for number, path in enumerate(spots(resource)):
            mutant = changed(resource, path, strange)
            if path == ("id",):
                mutant.pop("identifier", None)  # one id for people of different NHS numbers is rightly refused
            else:
                mutant["id"] = f"{resource['id']}-{number}"
            yield mutant


def test_no_finding_quotes_any_value_of_the_records():
    """Every text of the fixtures' records is searched for in everything that is said of them."""
    resources = fixture_resources()
    texts = set()
    for resource in resources:
        for path in spots(resource):
            value = resource
            for key in path:
                value = value[key]
            if isinstance(value, str | int | float) and not isinstance(value, bool) and path != ("resourceType",):
                texts.add(str(value))
    quotable = {text for text in texts if len(text) > 3 and not text.isalpha()}
    assert len(quotable) > 150
    _, told = stage({"all.ndjson": b"".join(json.dumps(each).encode() + b"\n" for each in resources)})
    said = repr(told)
    assert told
    assert [text for text in quotable if text in said] == []


def refusal_of(data: bytes) -> str:
    """The words with which a file is refused; none when it is staged."""
    try:
        stage({"x.json": data})
    except Unreadable as refused:
        return str(refused)
    return ""


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_refused_with_the_file(data):
    assert refusal_of(data).startswith(("x.json", "delivery: "))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_damaged_bundle_is_staged_or_refused_with_its_line(position):
    data = bytearray((FIXTURES / "transaction.json").read_bytes())
    data[position % len(data)] ^= 0x15
    words = refusal_of(bytes(data))
    assert not words or words.startswith(("x.json, line ", "delivery: "))
