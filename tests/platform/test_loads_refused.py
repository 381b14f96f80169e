"""Bad deliveries: a clear error that names file and line and no record, and a tenant left as it was."""
# ruff: noqa: E501 - tables of cases, one a line

from __future__ import annotations

import gzip
import io
import os
import resource
import zlib
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohortium_platform.errors import BadInput, Unavailable
from cohortium_platform.ingest import DeliveryRefused, LoadLimits
from cohortium_plugins.importing import DeliveredFile, Severity, Unreadable

NAME = "Featherstonehaugh"
PATIENTS = f"local_id,date_of_birth,sex,practice,family_name\n1,1950-01-01,f,A81001,{NAME}\n"
EVENTS = "local_id,practice,date,code\n"
ROW = "1,A81001,2020-01-01,22298006\n"
ONE = {"patients.csv": PATIENTS}


def parquet(rows: int = 3, **columns: object) -> bytes:
    out = io.BytesIO()
    table = {
        "local_id": ["1"] * rows,
        "practice": ["A81001"] * rows,
        "date": ["2020-01-01"] * rows,
        "code": [22298006] * rows,
    }
    pq.write_table(pa.table(table | columns), out)
    return out.getvalue()


def gzipped(text: str) -> bytes:
    return gzip.compress(text.encode())


CASES = {
    "empty file": ({"events.csv": b""}, "events.csv: it is empty."),
    "no header": ({"events.csv": ROW}, "events.csv, line 1: column local_id is missing."),
    "a column missing": ({"events.csv": "local_id,date\n"}, "events.csv, line 1: column code is missing."),
    "two columns of one name": ({"events.csv": "local_id,date,code,Code\n"}, "events.csv, line 1: two columns are called 'code'."),
    "empty first line": ({"events.csv": b"\n" + EVENTS.encode()}, "events.csv, line 1: its first line names no columns."),
    "fewer values": ({"events.csv": EVENTS + ROW + f"{NAME},A81001\n" + ROW}, "events.csv, line 3: the row has more or fewer columns"),
    "more values": ({"events.csv": EVENTS + ROW * 2 + f"1,A81001,2020-01-01,1,{NAME},7\n"}, "events.csv, line 4: the row has more or"),
    "more values in patients": ({"patients.csv": PATIENTS + f"2,1950-01-01,f,A81001,{NAME},x\n"}, "patients.csv, line 3: the row has more"),
    "open quotation": ({"events.csv": EVENTS + ROW + f'"{NAME},A81001,2020-01-01,1\n'}, "events.csv, line 3: a quotation mark is not closed"),
    "quotation inside": ({"events.csv": EVENTS + f'"{NAME}"x,A81001,2020-01-01,1\n'}, "events.csv, line 2: a quotation mark is not"),
    "latin-1": ({"events.csv": EVENTS.encode() + ROW.encode() + f"Zo\xe9 {NAME},A81001,2020-01-01,1\n".encode("latin-1")}, "events.csv, line 3: not UTF-8 text."),
    "latin-1 header": ({"events.csv": "local_id,date,code,pr\xe9nom\n".encode("latin-1")}, "events.csv, line 1: it is not UTF-8 text."),
    "utf-16": ({"events.csv": (EVENTS + ROW).encode("utf-16")}, "events.csv: it is UTF-16 text, not UTF-8."),
    "a workbook": ({"events.csv": b"PK\x03\x04" + b"x" * 99}, "events.csv: it is a zip archive or a workbook, not CSV."),
    "binary": ({"events.csv": os.urandom(99).replace(b"P", b"Q") + b"\0"}, "events.csv: it is not text."),
    "gzip named csv": ({"events.csv": gzipped(EVENTS)}, "events.csv: it is compressed by gzip."),
    "parquet named csv": ({"events.csv": parquet()}, "events.csv: it is a Parquet file."),
    "csv named gz": ({"events.csv.gz": EVENTS + ROW}, "events.csv.gz: it is not gzip, or damaged."),
    "truncated gzip": ({"events.csv.gz": gzipped(EVENTS + ROW * 999)[:-9]}, "events.csv.gz: it is cut short."),
    "damaged gzip": ({"events.csv.gz": gzipped(EVENTS + ROW)[:-8] + b"\0" * 8}, "events.csv.gz: it is not gzip, or damaged."),
    "damaged second member": ({"events.csv.gz": gzipped(EVENTS) + gzipped(ROW)[:-4]}, "events.csv.gz: it is cut short."),
    "csv named parquet": ({"events.parquet": EVENTS + ROW}, "events.parquet: it is not a Parquet file."),
    "empty parquet": ({"events.parquet": b""}, "events.parquet: it is empty."),
    "parquet cut short": ({"events.parquet": parquet()[:-20]}, "events.parquet: it is cut short or damaged."),
    "parquet of nested values": ({"events.parquet": parquet(value=[[1.0]] * 3)}, "events.parquet: column 'value' is nested."),
    "parquet without a column": ({"events.parquet": parquet().replace(b"code", b"kode")}, "events.parquet, line 1: column code is missing."),
    "a very old patient": ({"patients.csv": PATIENTS + f"2,1825-01-01,f,A81001,{NAME}\n"}, "patients.csv, line 3: the dates of birth and death make a person of more than 130 years."),
    "old at death": ({"patients.csv": PATIENTS.replace("sex,", "sex,date_of_death,").replace("f,", "f,,") + f"2,1800-01-01,f,1931-01-01,A81001,{NAME}\n"}, "patients.csv, line 3: the dates of birth and death make"),
    "no practice": ({"patients.csv": "local_id,date_of_birth,sex\n1,1950-01-01,f\n"}, "patients.csv, line 1: nothing says which practice it is of."),
    "nobody left": ({"patients.csv": "local_id,date_of_birth,sex,practice\n1,x,f,A81001\n"}, ": no patient of it can be kept."),
    "no patients": ({"patients.csv": "local_id,date_of_birth,sex,practice\n"}, ": no patient of it can be kept."),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_delivery_is_refused_and_nothing_changes(loads, case):
    loads.load(ONE)
    before, files = loads.state(), sorted(file.path for file in loads.target.store.files())
    content, said = CASES[case]
    with pytest.raises(DeliveryRefused) as refused:
        loads.load({**ONE, **content})
    assert said in refused.value.message
    assert refused.value.advice
    whole = str(refused.value) + repr(refused.value.__cause__)
    assert NAME not in whole
    assert "22298006" not in whole
    assert loads.state() == before
    assert sorted(file.path for file in loads.target.store.files()) == files
    assert list(loads.target.store.work_folders()) == []


def test_someone_of_130_is_believed(loads):
    assert loads.load({"patients.csv": PATIENTS.replace("1950-01-01", "1895-11-30")}).snapshot == 1


def bomb(times: int) -> bytes:
    """Gzip of one row a great many times."""
    machine = zlib.compressobj(9, wbits=31)
    out = machine.compress(EVENTS.encode())
    block = b"," * 2**20
    return out + b"".join(machine.compress(block) for _ in range(times)) + machine.flush()


def test_a_gzip_bomb_is_refused_before_it_fills_the_disk(loads):
    with pytest.raises(DeliveryRefused, match="unfolds to more than 200 times its size"):
        loads.load({**ONE, "events.csv.gz": bomb(100)})
    with pytest.raises(DeliveryRefused, match="unfolds to more than 1,000,000 bytes"):
        loads.load({**ONE, "events.csv.gz": bomb(3)}, max_bytes=1_000_000)


def test_a_parquet_file_that_claims_no_end_of_rows_is_refused(loads):
    rows = 3_000_000
    table = {
        name: pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), ["1"])
        for name in ("local_id", "date", "code")
    }
    out = io.BytesIO()
    pq.write_table(pa.table(table), out)
    assert len(out.getvalue()) < 50_000
    with pytest.raises(DeliveryRefused, match="unfolds to more than 5,000,000 bytes"):
        loads.load({**ONE, "events.parquet": out.getvalue()}, max_bytes=5_000_000)


def test_large_files_count_against_the_limit_as_they_are(loads):
    with pytest.raises(DeliveryRefused, match=r"events\.csv: with it the delivery unfolds to more than 2,000 bytes"):
        loads.load({**ONE, "events.csv": EVENTS + ROW * 100}, max_bytes=2000)


def test_links_are_not_followed(loads, tmp_path):
    (tmp_path / "elsewhere.csv").write_text(EVENTS)
    delivery = loads.write(ONE)
    (delivery / "events.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(DeliveryRefused, match=r"events\.csv: it is a link"):
        loads.load(delivery)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("source: gp\n", "nothing says to which date the records run"),
        (f"records_to: {datetime.now(UTC).date() + timedelta(2)}\n", "still to come"),
        ("records_to: 30/11/2025\n", "extract.yaml: records_to is not a date"),
        ("records_to: 2025-11-30\nsauce: gp\n", "extract.yaml: extract.yaml has 'sauce', which is none of"),
        ("records_to: [\n", "extract.yaml, line 2: it is not YAML"),
        ("a: &a [1]\nb: *a\n", "extract.yaml: it is not YAML, or has aliases"),
        ("- 1\n", "extract.yaml: the file is not a list of names with values"),
        ("records_to: 2025-11-30\nsource: cohortium\n", "the source is neither"),
        ("records_to: 2025-11-30\nsource: ../../x\n", "the source is neither"),
        ("records_to: 2025-11-30\nmapping: ../mapping.yaml\n", "there is no mapping file"),
        ("records_to: 2025-11-30\nmapping: {delimiter: x}\n", "delimiter is none of"),
        ("records_to: 2025-11-30\nmapping: {tables: {people: {}}}\n", "tables has 'people', which is none of"),
        ("records_to: 2025-11-30\nmapping: {tables: {events: {columns: {kode: x}}}}\n", "tables.events has 'kode'"),
        ("records_to: 2025-11-30\nmapping: {tables: {patients: {columns: {local_id: nr}}}}\n", "names 'nr', which is no column of it"),
        ("records_to: 2025-11-30\nmapping: {date_format: \"%d'; DROP\"}\n", "date_format is not a date format"),
    ],
)  # fmt: skip
def test_a_manifest_that_says_too_little_or_wrongly_is_refused(loads, manifest, said):
    before = loads.state()
    with pytest.raises(DeliveryRefused) as refused:
        loads.load(ONE, manifest=manifest)
    assert said in refused.value.message
    assert refused.value.advice
    assert loads.state() == before


def test_delivery_and_loader_must_not_contradict_each_other(loads):
    with pytest.raises(DeliveryRefused, match="its source is RX1, and it is loaded as RX2"):
        loads.load(ONE, manifest="source: RX1\nrecords_to: 2025-11-30\n", source="RX2")
    with pytest.raises(DeliveryRefused, match="A81002 is not one that the delivery says it holds"):
        loads.load(ONE, manifest="practice: A81001\nrecords_to: 2025-11-30\n", practice="A81002")


def test_a_practice_counts_from_the_day_it_opened(loads):
    patients = PATIENTS + "2,1950-01-01,f,A81009,x\n"
    assert list(loads.load({"patients.csv": patients}).practices) == ["A81001"]


def test_practices_the_manifest_does_not_name_are_left_out(loads):
    patients = PATIENTS + "2,1950-01-01,f,A81002,x\n"
    report = loads.load({"patients.csv": patients}, manifest="practices: [A81001]\nrecords_to: 2025-11-30\n").report
    assert report.tables["patients"].rejected == 1
    assert list(report.practices) == ["A81001"]


def test_rows_without_a_practice_need_local_ids_that_tell_people_apart(loads):
    patients = "local_id,date_of_birth,sex,practice\n1,1950-01-01,f,A81001\n{},1950-01-01,f,A81002\n"
    events = "local_id,date,code\n1,2020-01-01,22298006\n"
    loads.load({"patients.csv": patients.format(2), "events.csv": events})
    assert loads.rows("events", "practice") == [("A81001",)]
    with pytest.raises(DeliveryRefused, match=r"events\.csv: the rows name no practice"):
        loads.load({"patients.csv": patients.format(1), "events.csv": events})


def test_what_nobody_can_read_is_refused_with_what_could(loads, tmp_path):
    with pytest.raises(BadInput, match="There is no file or folder nowhere"):
        loads.load(tmp_path / "nowhere")
    (tmp_path / "strange").mkdir()
    with pytest.raises(BadInput, match="No importer recognises strange"):
        loads.load(tmp_path / "strange")
    with pytest.raises(BadInput, match="Those installed: fhir, tabular"):
        loads.load(tmp_path / "strange", importer="hl7v2")
    with pytest.raises(DeliveryRefused, match="no file of it is named for a table"):
        loads.load(tmp_path / "strange", importer="tabular")


class Importer:
    """An importer made for one test, which counts as one of the platform's own."""

    __module__ = "cohortium_platform.made_up"
    name = title = "made up"

    def __init__(self, read):
        self._read = read

    def recognises(self, delivery):
        return delivery.is_dir()

    def read(self, delivery, _, staging):
        self._read(delivery, staging)


def stage(staging, table: str, **columns: object) -> None:
    pq.write_table(pa.table(columns), staging.directory / f"{table}-x.parquet")


STAGED = {
    "local_id": ["1"],
    "date_of_birth": [date(1950, 1, 1)],
    "sex": ["female"],
    "practice": ["A81001"],
    "file": ["p.json"],
    "line": [7],
}


def test_an_importers_rows_are_placed_where_it_says(loads):
    def read(_, staging):
        stage(staging, "patients", **STAGED)
        stage(
            staging,
            "events",
            local_id=["1", "9"],
            practice=["A81001"] * 2,
            date=["2020-01-01"] * 2,
            code=["22298006"] * 2,
            file=["a.json", "b.json"],
            line=[3, 44],
        )
        staging.finding(Severity.REJECTED, "not final", file="c.json", line=5, table="events")
        staging.records_to(date(2025, 11, 30))

    report = loads.load(ONE, importer=Importer(read)).report
    assert [(f.reason, f.file, f.line) for f in report.findings if f.severity == "rejected"] == [
        ("not final", "c.json", 5), ("no patient of the delivery has this local_id", "b.json", 44),
    ]  # fmt: skip
    assert (report.tables["events"].read, report.tables["events"].rejected) == (3, 2)


def test_an_error_that_an_importer_finds_refuses_the_delivery(loads):
    def read(_, staging):
        stage(staging, "patients", **STAGED)
        staging.finding(Severity.ERROR, "not R4", file="c.json", line=5)

    with pytest.raises(DeliveryRefused, match=r"c\.json, line 5: not R4"):
        loads.load(ONE, importer=Importer(read))


@pytest.mark.parametrize(("table", "columns"), [("people", STAGED), ("patients", {"local_id": ["1"]})])
def test_an_importer_that_stages_something_else_is_refused(loads, table, columns):
    with pytest.raises(DeliveryRefused, match="staged a file of an unknown table"):
        loads.load(ONE, importer=Importer(lambda _, staging: stage(staging, table, **columns)))


def test_an_importer_may_leave_files_where_they_lie(loads):
    def read(delivery, staging):
        path = delivery / "patients.csv"
        columns = {name: (name,) for name in ("local_id", "date_of_birth", "sex", "practice")}
        staging.delivered(DeliveredFile("patients", path, "patients.csv", "csv", (*columns, "family_name"), columns))
        staging.records_to(date(2025, 11, 30), practice="A81001")

    assert loads.load(ONE, importer=Importer(read)).practices == ["A81001"]


def test_an_importers_own_refusal_is_passed_on(loads):
    def read(*_):
        raise Unreadable("STU3, not R4", file="bundle.json", line=1, advice="Export R4.")

    with pytest.raises(DeliveryRefused, match=r"bundle\.json, line 1: STU3, not R4\. Export R4\."):
        loads.load(ONE, importer=Importer(read))


@pytest.mark.parametrize("bytes_a_file", [1_000, 30_000, 400_000])
def test_a_full_disk_changes_nothing(loads, bytes_a_file):
    rows = [f"1,A81001,{date(2000, 1, 1) + timedelta(n * 7919 % 9000)},{n * 104_729 % 10**9}\n" for n in range(50_000)]
    delivery = loads.write({**ONE, "events.csv": EVENTS + "".join(rows)})
    before = loads.state()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, limits[1]))
    try:
        with pytest.raises(Unavailable, match="not enough memory or disk"):
            loads.load(delivery)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert loads.state() == before
    assert list(loads.target.store.work_folders()) == []
    assert loads.load(delivery).snapshot == 1


def test_too_little_memory_changes_nothing(loads):
    before = loads.state()
    patients = "local_id,date_of_birth,sex,practice,address\n" + "".join(
        f"{n},1950-01-01,f,A81001,{'x' * 200}\n" for n in range(20_000)
    )
    with pytest.raises(Unavailable, match="not enough memory or disk"):
        loads.load({"patients.csv": patients}, limits=LoadLimits(memory="1MB", threads=1))
    assert loads.state() == before
