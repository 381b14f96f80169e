"""The engine beside what people would write by hand for the same seven indicators: DuckDB SQL, Polars, pandas.

All four must agree on how many members have each status. Rivals read the files that were delivered; the engine is timed
both with its extracts made and while it makes them. The engine gives more (dates, values, deciding events, a line
a member), so that its ratio is a lower bound. pandas and Polars are left out above BENCH_SLOW_PEOPLE people.
"""
# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.duckdb_running import EngineSettings
from cohortium_platform.engine.evaluated import Kind

from .conftest import INDEX_DATE, THREADS
from .rivals import INDICATORS, Counts, Inputs, pandas_counts, polars_counts, sql_counts

SLOW_PEOPLE = int(os.environ.get("BENCH_SLOW_PEOPLE", "250000"))
TIMES = 3


def timed(work: Callable[[], Counts]) -> tuple[float, Counts]:
    """Give the median time in seconds of several runs, after one that does not count, and what it found."""
    work()
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), found


@pytest.mark.filterwarnings("default")
def test_rivals(bench_records, pack_definition) -> None:
    records = bench_records
    chosen = tuple(pack_definition.indicator(name) for name in INDICATORS)
    rules = replace(pack_definition, indicators=chosen, stratifiers=())

    def engine() -> Counts:
        settings = EngineSettings(THREADS, "3GB", Path("/tmp"), records.extracts)  # noqa: S108
        with evaluate(rules, records, records.practices, [INDEX_DATE], settings=settings) as tables:
            results = tables.fetch(Kind.RESULTS)
        counted = Counter(
            zip(results.column("indicator").to_pylist(), results.column("status").to_pylist(), strict=True)
        )
        return {name: {s: n for (of, s), n in counted.items() if of == name} for name in INDICATORS}

    files = {table: records.files(table, records.practices) for table in ("patients", "registrations", "events")}
    inputs = Inputs(files, pack_definition, INDEX_DATE, THREADS)
    print(f"\n{records.said()}; {len(INDICATORS)} indicators")
    shutil.rmtree(records.extracts, ignore_errors=True)
    began = time.perf_counter()
    engine()
    print(f"  {'Cohortium, extracts to be made':34} {time.perf_counter() - began:8.2f} s")
    base, expected = timed(engine)
    print(f"  {'Cohortium, extracts made':34} {base:8.2f} s")
    rivals: dict[str, Callable[[Inputs], Counts]] = {"DuckDB SQL, a query an indicator": sql_counts}
    if records.people <= SLOW_PEOPLE:
        rivals |= {"Polars": polars_counts, "pandas": pandas_counts}
    for name, rival in rivals.items():
        seconds, found = timed(lambda rival=rival: rival(inputs))
        print(f"  {name:34} {seconds:8.2f} s   {seconds / base:6.1f} x the engine's time")
        assert {key: dict(value) for key, value in found.items()} == expected, name
