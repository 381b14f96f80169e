"""The cancer care pack on Spark in local mode beside DuckDB, over the same files: seconds and their ratio.

The first run on Spark starts Java and compiles it; the others find it warm. Prints; asserts only that both engines give
the same counts. Run with `make bench`; `conftest.py` says how large, and how to use records made before.
"""
# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from cohortium_platform.engine import duckdb, spark
from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.evaluated import EvaluatedTables, Kind

from .conftest import INDEX_DATE, THREADS

SHARES = (0.2, 1.0)
MEMORY = "4GB"


def counted(evaluate: Callable[..., EvaluatedTables], *asked: object) -> tuple[float, Counter[tuple[str, str]]]:
    """Evaluate and fetch everything; gives the seconds, and how many people have each status of each indicator."""
    settings = EngineSettings(threads=THREADS, memory_limit=MEMORY, temporary=Path("/tmp"))  # noqa: S108
    began = time.perf_counter()
    with evaluate(*asked, settings=settings) as tables:
        results, _ = tables.fetch(Kind.RESULTS), tables.fetch(Kind.LIST)
    seconds = time.perf_counter() - began
    return seconds, Counter(zip(results["indicator"].to_pylist(), results["status"].to_pylist(), strict=True))


def test_spark(bench_records, pack_definition) -> None:
    print(f"\n{bench_records.said()}")
    compare("first, with the start of Java", bench_records, pack_definition, bench_records.practices[:1], 1)
    for share in SHARES:
        some = bench_records.practices[: max(1, round(share * len(bench_records.practices)))]
        compare(f"{share:4.0%} of the practices", bench_records, pack_definition, some, 2)


def compare(words: str, records: object, rules: object, practices: Sequence[str], times: int) -> None:
    """Run both, and print the better time of each."""
    asked = (rules, records, practices, [INDEX_DATE])
    runs = {name: [counted(engine.evaluate, *asked) for _ in range(times)]
            for name, engine in (("spark", spark), ("duckdb", duckdb))}  # fmt: skip
    best = {name: min(seconds for seconds, _ in done) for name, done in runs.items()}
    assert runs["spark"][0][1] == runs["duckdb"][0][1]
    members = sum(runs["spark"][0][1].values()) // len(rules.indicators)
    print(f"  {words:30} {members:>7,} members   Spark {best['spark']:7.2f} s   DuckDB {best['duckdb']:6.2f} s   "
          f"ratio {best['spark'] / best['duckdb']:6.1f}")  # fmt: skip
