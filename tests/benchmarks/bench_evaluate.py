"""How fast the cancer care pack is evaluated, beside DuckDB only reading the columns that any evaluation must read.

Prints; asserts only that everyone expected is in the registry. Run with `make bench`; BENCH_EVALUATE_PRACTICES sets the
number of practices of 10,000 people with 150 events each (10 make the 100,000 people of the other figures).
"""
# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest

from cohortium_pack_cancer_care import indicator_packs
from cohortium_platform.engine import duckdb_compile
from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.evaluated import EvaluatedTables, Kind
from cohortium_platform.engine.explain import load_record
from cohortium_platform.engine.source import RecordFiles
from cohortium_plugins.dates import add
from cohortium_plugins.explain import explain
from cohortium_plugins.model import Definition, Duration, Unit
from cohortium_plugins.model.serialise import bind

PRACTICES = int(os.environ.get("BENCH_EVALUATE_PRACTICES", "10"))
PEOPLE, EVENTS, CANCER = 10_000, 150, 0.028
THREADS = min(2, os.cpu_count() or 1)
INDEX_DATE = date(2025, 12, 31)
MONTH_ENDS = [day for n in range(24) if (day := add(INDEX_DATE, Duration(-n, Unit.MONTHS))) is not None]

# Events: 5,000 codes that no list holds, in unequal numbers; of each list of the pack a few for one person in ten; the
# registry's own list for 2.8 in a hundred. Sorted by code, as the record store does.
_PEOPLE = """
    CREATE OR REPLACE TEMP TABLE people AS
    SELECT (hash($practice || i) >> 1)::BIGINT AS patient_id, $practice AS practice,
        DATE '1930-01-01' + (random() * 34000)::INTEGER AS date_of_birth,
        CASE WHEN random() < 0.5 THEN 'male' ELSE 'female' END AS sex, 'A' AS ethnicity,
        (1 + floor(random() * 10))::TINYINT AS imd_decile, NULL::DATE AS date_of_death,
        i < $people * $cancer AS has_cancer
    FROM range($people::BIGINT) AS r(i)
"""
_EVENTS = """
    SELECT patient_id, practice, date, code, value, NULL::VARCHAR AS unit, NULL::VARCHAR AS episode, 'gp' AS source,
        (row_number() OVER (PARTITION BY patient_id ORDER BY date, code))::INTEGER AS entry
    FROM (
        SELECT patient_id, practice, DATE '2010-01-01' + (random() * 5800)::INTEGER AS date,
            (1000 + floor(5000 * pow(random(), 3)))::BIGINT AS code,
            CASE WHEN random() < 0.4 THEN round(random() * 100, 1) END AS value
        FROM people, range($events::BIGINT)
        UNION ALL
        SELECT patient_id, practice, DATE '2022-01-01' + (random() * 1400)::INTEGER, code, round(20 + random() * 20, 1)
        FROM people, (
            SELECT DISTINCT ON (list) code FROM lists WHERE list <> 'cancer-diagnosis' ORDER BY list, hash(code)
        ) AS l
        WHERE hash(patient_id::VARCHAR || l.code) % 10 = 0
        UNION ALL
        SELECT patient_id, practice, DATE '2004-01-01' + (random() * 7900)::INTEGER, code, NULL
        FROM people, (SELECT code FROM lists WHERE list = 'cancer-diagnosis' ORDER BY hash(code) LIMIT 2)
        WHERE has_cancer
    ) ORDER BY code, patient_id, date
"""


def definition() -> Definition:
    return bind(indicator_packs()[0].definition)


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("records")
    register = definition().codelists["cancer-diagnosis"].by_code
    lists = [
        (name, code.code)
        for name, found in definition().codelists.items()
        for code in found.codes
        if name == "cancer-diagnosis" or code.code not in register
    ]
    began = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TEMP TABLE lists AS SELECT unnest($1::VARCHAR[]) AS list, unnest($2::BIGINT[]) AS code",
            [[name for name, _ in lists], [code for _, code in lists]],
        ).fetchall()
        connection.execute("SELECT setseed(0.5)").fetchall()
        for number in range(PRACTICES):
            _write_practice(connection, root, f"Y{number:05}")
    size = sum(path.stat().st_size for path in root.rglob("*.parquet"))
    print(f"\n{PRACTICES * PEOPLE:,} people, {size / 2**20:,.0f} MiB, made in {time.perf_counter() - began:.0f} s")
    return root


def _write_practice(connection: duckdb.DuckDBPyConnection, root: Path, practice: str) -> None:
    folder = root / practice
    folder.mkdir()
    who = {"practice": practice, "people": PEOPLE, "cancer": CANCER}
    connection.execute(_PEOPLE, who).fetchall()
    tables = {
        "patients": "SELECT * EXCLUDE (has_cancer) FROM people ORDER BY patient_id",
        "registrations": "SELECT patient_id, practice, DATE '2001-01-01' AS start_date, NULL::DATE AS end_date "
        "FROM people ORDER BY patient_id",
        "events": _EVENTS.replace("$events", str(EVENTS)),
        "consultations": "SELECT patient_id, practice, DATE '2024-01-01' + (random() * 700)::INTEGER AS date, "
        "'face-to-face' AS kind, 'gp' AS source, i::INTEGER AS entry FROM people, range(8) AS r(i) ORDER BY patient_id",
        "contacts": "SELECT patient_id, practice, DATE '2020-01-01' AS date, 'telephone' AS kind, "
        "NULL::VARCHAR AS relationship, 'gp' AS source, 0 AS entry FROM people ORDER BY patient_id",
        "medications": "SELECT patient_id, practice, DATE '2025-01-01' AS date, 1::BIGINT AS code, 'gp' AS source, "
        "0 AS entry FROM people ORDER BY code, patient_id",
    }
    for table, query in tables.items():
        connection.execute(f"COPY ({query}) TO '{folder / table}.parquet' (COMPRESSION zstd)").fetchall()


def source(root: Path, practices: list[str]) -> RecordFiles:
    return RecordFiles({
        table: [str(root / practice / f"{table}.parquet") for practice in practices]
        for table in ("patients", "registrations", "events", "consultations", "contacts", "medications")
    })  # fmt: skip


def timed(work: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def evaluated(root: Path, practices: list[str], days: list[date], rules: Definition) -> EvaluatedTables:
    settings = EngineSettings(threads=THREADS, memory_limit="6GB", temporary=root)
    return evaluate(rules, source(root, practices), practices, days, settings=settings)


def test_bench_evaluate(records: Path) -> None:
    practices = sorted(path.name for path in records.iterdir() if path.name.startswith("Y"))
    rules = definition()
    began = time.perf_counter()
    program = duckdb_compile.compiled(rules, frozenset(), stale=False)
    program.everything(8)
    print(f"{platform.machine()}, {THREADS} threads, DuckDB {duckdb.__version__}; "
          f"compiling {len(rules.indicators)} indicators {time.perf_counter() - began:.2f} s")  # fmt: skip
    floor = timed(lambda: _read_only(records, practices), 3)
    cases = [
        ("one practice, one date", practices[:1], [INDEX_DATE], 7),
        (f"{len(practices)} practices, one date", practices, [INDEX_DATE], 5),
        (f"{len(practices)} practices, {len(MONTH_ENDS)} dates", practices, MONTH_ENDS, 1),
    ]
    for words, some, days, times in cases:
        found: dict[str, int] = {}

        def work(some: list[str] = some, days: list[date] = days, found: dict[str, int] = found) -> None:
            with evaluated(records, some, days, rules) as tables:
                found.update({kind.value: tables.fetch(kind).num_rows for kind in (Kind.RESULTS, Kind.LIST)})

        work()  # the program for this amount is compiled
        seconds = timed(work, times)
        people = len(some) * PEOPLE
        print(f"  {words:28} {seconds:6.2f} s  {people * len(days) / seconds:12,.0f} people and dates a second  "
              f"{found['results']:,} results  {seconds / floor:.1f} x reading code and patient of {len(practices)} "
              "practices")  # fmt: skip
        assert found["list"] == pytest.approx(people * CANCER, rel=0.05)
    print(
        f"  reading alone {floor:.2f} s; most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MiB"
    )


def _read_only(root: Path, practices: list[str]) -> None:
    files = [str(root / practice / "events.parquet") for practice in practices]
    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.execute("SELECT sum(hash(code)), sum(patient_id % 7) FROM read_parquet($1)", [files]).fetchall()


def test_bench_explain(records: Path) -> None:
    practices = sorted(path.name for path in records.iterdir() if path.name.startswith("Y"))
    rules, files = definition(), source(records, practices)
    with evaluated(records, practices[:1], [INDEX_DATE], rules) as tables:
        patients = tables.fetch(Kind.LIST).column("patient_id").to_pylist()[:40]
    one = source(records, practices[:1])
    with duckdb.connect(config={"threads": THREADS}) as connection:
        spent = [[], []]
        for patient in patients:
            began = time.perf_counter()
            record = load_record(connection, one, practices[0], patient)
            loaded = time.perf_counter()
            for indicator in rules.indicators[:3]:
                explain(rules, indicator, record, INDEX_DATE)
            spent[0].append(loaded - began)
            spent[1].append((time.perf_counter() - loaded) / 3)
    assert files.tables
    for words, seconds in zip(("loading one patient's record", "explaining one indicator"), spent, strict=True):
        ordered = sorted(seconds)
        print(f"  {words:30} median {ordered[len(ordered) // 2] * 1000:5.1f} ms, "
              f"95 of 100 below {ordered[int(len(ordered) * 0.95)] * 1000:5.1f} ms")  # fmt: skip
