"""How fast the cancer care pack is evaluated, beside DuckDB only reading the rows that its codelists touch.

Every figure is from a warm page cache and from the files of a record store, with extracts made as after any load; what
making them costs is printed first. Prints; asserts only that the registry has
the people it should have. Run with `make bench`; `conftest.py` says how large, and how to use records made before.
"""
# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import duckdb
import pytest

from cohortium_platform.engine.control import Cancellation, EngineSettings
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.duckdb_kept_records import KeptRecords
from cohortium_platform.engine.duckdb_running import Running, lend
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.engine.explain import load_record
from cohortium_plugins.dates import add
from cohortium_plugins.explain import explain
from cohortium_plugins.model import Definition, Duration, Unit
from cohortium_plugins.status import evaluate as interpret

from .conftest import INDEX_DATE, THREADS, BenchRecords

MONTH_ENDS = [day for n in range(24) if (day := add(INDEX_DATE, Duration(-n, Unit.MONTHS))) is not None]
MEMORY = os.environ.get("BENCH_MEMORY", "3GB")
LIMITS = (("4GB", 1), ("2GB", 1), ("1GB", 1), ("500MB", 1), ("3GB", 24))
"""Limits of memory, and for how many month ends."""


def timed(work: Callable[[], object], times: int) -> float:
    """Give the median time in seconds, after one run that does not count."""
    work()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def run(
    records: BenchRecords, rules: Definition, practices: Sequence[str], days: Sequence[date], memory: str = MEMORY
) -> dict[str, int]:
    """Evaluate and fetch everything; gives how many rows each table has."""
    settings = EngineSettings(THREADS, memory, Path("/tmp"), records.extracts)  # noqa: S108
    with evaluate(rules, records, practices, days, settings=settings) as tables:
        return {str(kind): tables.fetch(kind).num_rows for kind in (Kind.RESULTS, Kind.LIST)}


def scan(records: BenchRecords, rules: Definition) -> None:
    """Read what any evaluation of the pack must read of events: four columns, of the codes on its lists."""
    codes = sorted({code for found in rules.codelists.values() for code in found.by_code})
    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.execute("SET parquet_metadata_cache = true").fetchall()
        connection.execute("CREATE TEMP TABLE codes AS SELECT unnest($1::BIGINT[]) AS code", [codes]).fetchall()
        connection.execute(
            "SELECT count(*), sum(patient_id % 7), sum(date - DATE '2000-01-01'), sum(value) "
            "FROM read_parquet($1) WHERE code IN (SELECT code FROM codes)",
            [records.files("events", records.practices)],
        ).fetchall()


def test_whole_icb(bench_records, pack_definition) -> None:
    records, rules = bench_records, pack_definition
    print(f"\n{records.said()}; {len(rules.indicators)} indicators")
    floor = timed(lambda: scan(records, rules), 3)
    print(f"  reading the rows of its codelists   {floor:8.3f} s")
    shutil.rmtree(records.extracts, ignore_errors=True)
    began = time.perf_counter()
    run(records, rules, records.practices, [INDEX_DATE])
    print(f"  with extracts still to be made      {time.perf_counter() - began:8.3f} s   once a load or codelist")
    one = timed(lambda: run(records, rules, records.practices, [INDEX_DATE]), 3)
    found = run(records, rules, records.practices, [INDEX_DATE])
    print(f"  one index date, everyone            {one:8.3f} s   {one / floor:5.2f} x reading; "
          f"{found['list']:,} in the registry, {found['results']:,} results")  # fmt: skip
    months = timed(lambda: run(records, rules, records.practices, MONTH_ENDS), 1)
    print(f"  24 month ends, everyone             {months:8.3f} s   {months / one:5.2f} x one date, "
          f"{24 * one / months:.1f} times faster than one by one")  # fmt: skip
    assert found["list"] == pytest.approx(records.people * 0.028, rel=0.15)


def test_one_practice(bench_records, pack_definition) -> None:
    records, rules = bench_records, pack_definition
    practice = records.practices[len(records.practices) // 2]
    seconds = timed(lambda: run(records, rules, [practice], [INDEX_DATE]), 9)
    with duckdb.connect() as connection:
        listed = [records.files("patients", [practice])]
        people = connection.execute("SELECT count(*) FROM read_parquet($1)", listed).fetchall()[0][0]
    print(f"\n  one practice of {people:,}: {seconds * 1000:.0f} ms")


def test_explain(bench_records, pack_definition) -> None:
    records, rules = bench_records, pack_definition
    practice = records.practices[0]
    with evaluate(rules, records, [practice], [INDEX_DATE], settings=EngineSettings(threads=THREADS)) as tables:
        patients = tables.fetch(Kind.LIST).column("patient_id").to_pylist()[:40]
    spent: dict[str, list[float]] = {"from disk": [], "one indicator": [], "all statuses": []}
    kept = KeptRecords(records.extracts, records, practice)
    if not kept.is_made:
        lent = lend(EngineSettings(threads=1))
        kept.make(Running(lent.connection, Cancellation()))
        lent.close()
    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.execute("SET parquet_metadata_cache = true").fetchall()
        load_record(connection, records, practice, patients[0], extracts=records.extracts)
        for patient in patients:
            began = time.perf_counter()
            record = load_record(connection, records, practice, patient, extracts=records.extracts)
            loaded = time.perf_counter()
            explain(rules, rules.indicators[1], record, INDEX_DATE)
            explained = time.perf_counter()
            list(interpret(rules, record, INDEX_DATE))
            for words, (start, end) in zip(
                spent, ((began, loaded), (loaded, explained), (explained, time.perf_counter())), strict=True
            ):
                spent[words].append(end - start)
    print()
    for words, seconds in spent.items():
        ordered = sorted(seconds)
        print(f"  explaining one patient, {words:14} median {ordered[len(ordered) // 2] * 1000:6.1f} ms, "
              f"95 of 100 below {ordered[int(len(ordered) * 0.95)] * 1000:6.1f} ms")  # fmt: skip


@pytest.mark.parametrize(("limit", "months"), LIMITS)
def test_memory(bench_records, limit, months) -> None:
    """Each limit in a process of its own, whose peak is that of the evaluation."""
    program = Path(__file__).with_name("evaluate_alone.py")
    asked = {"folder": str(bench_records.folder), "memory": limit, "threads": THREADS, "months": months}
    done = subprocess.run([sys.executable, program, json.dumps(asked)], capture_output=True, text=True, check=False)
    said = done.stdout.strip() or done.stderr.strip().splitlines()[-1]
    print(f"\n  --memory-limit {limit:>6}, {months:2} month ends: {said}")
    assert done.returncode == 0
