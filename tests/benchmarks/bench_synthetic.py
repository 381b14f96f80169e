"""How fast populations are made, and in how much memory, beside writing the same columns alone in the same run.

Prints; asserts only that everything was written. Run with `make bench`; BENCH_SYNTHETIC_PEOPLE sets the size.
"""
# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path

import pyarrow.parquet as pq

from cohortium_platform.synthetic import (
    QOF_RETIREMENT,
    SUPPORT_DISCUSSED,
    Only,
    SyntheticOptions,
    synthesise,
    urban_practices,
)

PEOPLE = int(os.environ.get("BENCH_SYNTHETIC_PEOPLE", "100000"))
WORKERS = min(2, os.cpu_count() or 1)


def options(people: int, only: Only = Only.ALL) -> SyntheticOptions:
    return SyntheticOptions(
        people=people,
        practices=urban_practices(people),
        course=QOF_RETIREMENT,
        local_codes={SUPPORT_DISCUSSED: 9_000_001},
        trust="RZZ99",
        workers=WORKERS,
        only=only,
    )


def peak_mib() -> float:
    own, children = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own + WORKERS * children


def test_population(tmp_path: Path) -> None:
    began = time.perf_counter()
    made = synthesise(options(PEOPLE), tmp_path / "extract")
    taken = time.perf_counter() - began
    peak = peak_mib()
    rows = dict(made.rows)
    files = sorted((tmp_path / "extract" / "events").glob("*.parquet"))
    began, copied = time.perf_counter(), 0
    for path in files[: max(1, len(files) // 4)]:
        table = pq.read_table(path)
        pq.write_table(table, tmp_path / "copy.parquet", compression="zstd", compression_level=1)
        copied += table.num_rows
    alone = copied / (time.perf_counter() - began)
    size = sum(path.stat().st_size for path in (tmp_path / "extract").rglob("*.parquet"))
    print(
        f"\n{platform.processor() or platform.machine()}, Python {platform.python_version()}, {WORKERS} workers\n"
        f"{PEOPLE:,} people: {rows['events']:,} events in {taken:.1f} s = {rows['events'] / taken:,.0f} events/s "
        f"({sum(rows.values()) / taken:,.0f} rows/s over all tables), "
        f"{rows['events'] / made.people:.0f} events a person\n"
        f"reading and writing event files alone, one process: {alone:,.0f} events/s\n"
        f"{size / 2**20:,.0f} MiB written; peak memory at most {peak:,.0f} MiB over all processes"
    )
    assert sum(pq.ParquetFile(path).metadata.num_rows for path in files) == rows["events"]


def test_cancer_patients_only(tmp_path: Path) -> None:
    began = time.perf_counter()
    made = synthesise(options(PEOPLE, Only.CANCER), tmp_path / "extract")
    taken = time.perf_counter() - began
    print(f"\n{PEOPLE:,} people, cancer patients' rows only: {taken:.1f} s, {dict(made.rows)['events']:,} events")
    assert made.cancer > 0
