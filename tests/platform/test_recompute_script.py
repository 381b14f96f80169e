"""Results are recomputed by a script that DuckDB runs alone: the same rows, and every other row is found."""

import dataclasses
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.duckdb_script import Recomputation, recompute_script
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.engine.golden import record_files
from cohortium_platform.engine.source import RecordFiles
from cohortium_plugins.authoring import Cohort, Indicator, declined
from cohortium_plugins.entered import late_entries, standing_with_entries
from cohortium_plugins.golden import read_files
from cohortium_plugins.installed import installed_packs
from cohortium_plugins.language import events, months, patient
from cohortium_plugins.model import Code, Codelist, Definition
from cohortium_plugins.model.serialise import bind
from cohortium_plugins.record import COHORTIUM, Record, Row

ALONE = """
import importlib.util, json, sys
sys.path.append(sys.argv[1])
import duckdb
others = ["cohortium_platform", "cohortium_plugins", "pyarrow", "numpy", "sqlglot", "sqlmodel"]
connection = duckdb.connect()
with open("recompute.sql", encoding="utf-8") as script:
    compared = connection.execute(script.read()).fetchall()
found = connection.execute("SELECT found, practice, patient_id, indicator FROM differences ORDER BY ALL").fetchall()
with open("found.json", "w", encoding="utf-8") as told:  # DuckDB may draw its progress on standard output
    json.dump([[name for name in others if importlib.util.find_spec(name)], compared, found], told)
"""


@pytest.fixture(scope="module")
def only_duckdb(tmp_path_factory):
    """A folder of packages that holds DuckDB's and nothing else."""
    folder = tmp_path_factory.mktemp("packages")
    installed = Path(find_spec("duckdb").origin).parent.parent
    for place in [installed / "duckdb", *installed.glob("_duckdb.*"), *installed.glob("duckdb-*.dist-info")]:
        (folder / place.name).symlink_to(place)
    return folder


@pytest.fixture
def alone(only_duckdb):
    """Run the script of a folder by DuckDB alone; gives what was compared, and the rows that differ."""

    def run(folder):
        command = [sys.executable, "-I", "-S", "-c", ALONE, str(only_duckdb)]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, env={"HOME": os.devnull}
        )
        assert done.returncode == 0, done.stderr
        others, compared, found = json.loads((folder / "found.json").read_bytes())
        assert others == []
        return compared, [tuple(row) for row in found]

    return run


def written(folder, pack, definition, records, days):
    """Write records and the script's parts to a folder; results are the caller's to write."""
    source = record_files(records, folder)
    relative = {table: [Path(file).name for file in files] for table, files in source.tables.items()}
    practices = sorted({record.practice for record in records})
    entries = relative["events"] if any(late_entries(record, max(days)) for record in records) else []
    one = Recomputation(
        pack, definition, RecordFiles(relative, source.standings), practices, days, entries, ["results.parquet"]
    )
    (folder / "recompute.sql").write_text("".join(recompute_script([one])), encoding="utf-8")
    with evaluate(definition, source, practices, days) as tables:
        return tables.fetch(Kind.RESULTS)


def golden(pack):
    """The golden patients of a pack as a tenant without choices of its own sees them, each practice standing as one."""
    cases = [case for file in read_files(pack.golden) for case in file.cases]
    by_choice = defaultdict(list)
    for case in cases:
        by_choice[case.binding].append(case)
    records, kinds = {}, {}
    for case in max(by_choice.values(), key=len):
        kind = kinds.setdefault((case.record.missing, case.record.records_to), len(kinds))
        spells = (
            dataclasses.replace(row, practice=f"{row.practice}-{kind}") for row in case.record.rows["registrations"]
        )
        records.setdefault(
            (case.file, case.record.patient_id),
            dataclasses.replace(
                case.record,
                patient_id=len(records) + 1,
                practice=f"{case.record.practice}-{kind}",
                rows={**case.record.rows, "registrations": tuple(spells)},
            ),
        )
    busiest = Counter(case.index_date for case in cases).most_common(2)
    return list(records.values()), sorted(day for day, _ in busiest)


@pytest.mark.parametrize("pack", installed_packs().values(), ids=list(installed_packs()))
def test_every_result_of_a_pack_is_recomputed_by_duckdb_alone(pack, tmp_path, alone):
    records, days = golden(pack)
    results = written(tmp_path, pack.id, bind(pack.definition, {}, {}), records, days)
    pq.write_table(results, tmp_path / "results.parquet")
    count = results.num_rows
    assert count > 10_000
    assert len(set(results.column("status").to_pylist())) == 6
    assert alone(tmp_path) == ([[pack.id, 2, count, count, 0]], [])
    shown = results.column("status").to_pylist()
    shown[7] = "met" if shown[7] != "met" else "due"
    altered = results.set_column(results.column_names.index("status"), "status", pa.array(shown))
    pq.write_table(altered.filter(pc.not_equal(altered.column("patient_id"), 5)), tmp_path / "results.parquet")
    _, found = alone(tmp_path)
    row = tuple(results.slice(7, 1).select(["practice", "patient_id", "indicator"]).to_pylist()[0].values())
    of_five = results.filter(pc.equal(results.column("patient_id"), 5)).num_rows
    assert found.count(("only in results", *row)) == 1
    assert len(found) == 2 + of_five


# --- entries made in Cohortium after the day that records run to ------------------------------------------------------

DAY = date(2025, 6, 30)
LISTS = {
    name: Codelist(name, name, "made for this test", "1", (Code(number, name),))
    for number, name in enumerate(("illness", "review", "declined", "ended"), 1)
}
ILL = Cohort(
    "ill",
    title="Ill",
    members=patient.is_registered & events("illness").exists & ~events("ended").exists,
    since=events("illness").earliest().date,
)
INDICATORS = (
    Indicator("yearly", title="", cohort=ILL, met=events("review").latest(), every=months(12), source="x",
              adjustments=[declined("declined")]),
    Indicator("young", title="", cohort=ILL, applies=patient.age < 50, met=events("review").exists,
              due=events("illness").latest().date + months(3), source="x"),
    Indicator("lately", title="", cohort=ILL, met=events("illness").in_last(months(1)).exists, source="x"),
)  # fmt: skip
DEFINITION = Definition(LISTS, (), (ILL,), INDICATORS, ())


def ill(number, *entered, practice="Y1", records_to=date(2025, 6, 1), born=date(1980, 7, 10)):
    own = (Row(date(2025, 1, 5), code=1, entry=0), Row(date(2024, 7, 4), code=2, entry=1))
    made = (Row(day, code=code, entry=n, source=COHORTIUM) for n, (day, code) in enumerate(entered))
    spell = Row(date(2010, 1, 1), practice=practice)
    rows = {"events": (*own, *made), "registrations": (spell,)}
    return Record(number, practice, born, "female", rows=rows, records_to=records_to)


RECORDS = [
    ill(1),
    ill(2, (date(2025, 6, 20), 2)),
    ill(3, (date(2025, 7, 8), 3)),
    ill(4, (date(2025, 5, 8), 2)),
    ill(5, (date(2025, 7, 20), 4)),
    ill(6, (date(2025, 7, 8), 2), practice="Y2", records_to=None),
    ill(7, (date(2025, 7, 8), 2), (date(2025, 7, 15), 3), born=date(1975, 7, 10)),
]


def test_late_entries_decide_what_they_decide(tmp_path, alone):
    results = written(tmp_path, "made-up", DEFINITION, RECORDS, [date(2025, 5, 31), DAY])
    decided = {
        (record.patient_id, indicator.name): standing_with_entries(DEFINITION, indicator, record, DAY)
        for record in RECORDS
        for indicator in INDICATORS
    }
    assert {number for (number, _), found in decided.items() if found.record.records_to is None} >= {2, 3, 5, 7}
    rows = []
    for row in results.to_pylist():
        found = decided[row["patient_id"], row["indicator"]].result if row["index_date"] == DAY else None
        said = {} if found is None else {**dataclasses.asdict(found), "status": str(found.status), "index_date": DAY}
        rows.append({**row, **{name: value for name, value in said.items() if name in row}})
    expected = pa.Table.from_pylist(rows, results.schema)
    assert expected != results
    pq.write_table(expected, tmp_path / "results.parquet")
    assert alone(tmp_path) == ([["made-up", 2, len(rows), len(rows), 0]], [])
    pq.write_table(results, tmp_path / "results.parquet")
    assert {row[2] for row in alone(tmp_path)[1]} == {3, 5, 6, 7}
