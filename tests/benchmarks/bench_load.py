"""How fast deliveries are loaded, beside DuckDB only sorting and copying the same events in the same run.

Prints; asserts only that everything was loaded. Run with `make bench`; BENCH_LOAD_PEOPLE sets the size (about 170
events a person). The time is of the whole load: every table, every check, pseudonyms, sealed identities, fsync, commit.
"""
# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from cohortium_platform.database import Database
from cohortium_platform.ingest import LoadLimits, LoadOptions, LoadResult, LoadTarget, load
from cohortium_platform.keys import KeyEncryption
from cohortium_platform.records import RecordStore
from cohortium_platform.settings import Settings
from cohortium_platform.synthetic import SyntheticOptions, synthesise, urban_practices
from cohortium_tenants.keys import open_keys
from cohortium_tenants.tenants import create_tenant

PEOPLE = int(os.environ.get("BENCH_LOAD_PEOPLE", "60000"))
MEMORY = os.environ.get("BENCH_LOAD_MEMORY", "2GB")
THREADS = min(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class Everything:
    """A directory that knows the population's practices."""

    codes: frozenset[str]

    def practices(self, on: date) -> frozenset[str]:
        return self.codes if on else frozenset()


@dataclass
class Steps:
    """Notes when each step began, and the most memory seen."""

    at: list[tuple[float, str]] = field(default_factory=list)

    def __call__(self, _: float, words: str) -> None:
        step, _, _ = words.partition(":")
        if not self.at or self.at[-1][1] != step:
            self.at.append((time.perf_counter(), step))

    def lines(self) -> Iterator[str]:
        for (began, step), (ended, _) in pairwise(self.at):
            yield f"    {step:32} {ended - began:7.2f} s"


@pytest.fixture(scope="module")
def extract(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("population")
    practices = urban_practices(PEOPLE)
    synthesise(SyntheticOptions(people=PEOPLE, practices=practices, workers=THREADS), folder / "gp")
    return folder / "gp"


def extract_folder(extract: Path) -> Path:
    found = [path.parent for path in extract.rglob("extract.yaml")]
    return found[0]


def as_csv(extract: Path, to: Path) -> Path:
    to.mkdir()
    (to / "extract.yaml").write_bytes((extract / "extract.yaml").read_bytes())
    with duckdb.connect() as connection:
        for folder in sorted(path for path in extract.iterdir() if path.is_dir()):
            connection.execute(
                f"COPY (FROM read_parquet('{folder}/*.parquet')) TO '{to / folder.name}.csv' (HEADER)"
            ).fetchall()
    return to


def baseline(events: str, to: Path) -> tuple[float, float]:
    """Seconds, and seconds of CPU, that DuckDB takes to read, sort and write the events, with nothing checked."""
    with duckdb.connect(config={"threads": THREADS, "memory_limit": MEMORY}) as connection:
        began, cpu = time.perf_counter(), time.process_time()
        connection.execute(
            f"COPY (SELECT * FROM {events} ORDER BY practice, code, local_id, date) TO '{to}' "
            "(FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()
        taken = time.perf_counter() - began, time.process_time() - cpu
    to.unlink()
    return taken


def run(
    database: Database, settings: Settings, key_encryption: KeyEncryption, delivery: Path
) -> tuple[LoadResult, Steps]:
    tenant = create_tenant(database, key_encryption, slug=f"bench-{delivery.name}", name="Bench", ods_code="QT9")
    with database.tenant(tenant.id) as session:
        keys = open_keys(session, key_encryption)
    practices = frozenset(practice.code for practice in urban_practices(PEOPLE))
    store = RecordStore(settings.store_root, tenant.id)
    target, steps = LoadTarget(database, tenant.id, store, keys, Everything(practices)), Steps()
    how = LoadOptions(limits=LoadLimits(MEMORY, THREADS), progress=steps)
    result = load(target, delivery, how=how)
    return result, steps


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_load(database, settings, key_encryption, extract, tmp_path, form) -> None:
    delivery = extract_folder(extract)
    events = f"read_parquet('{delivery}/events/*.parquet')"
    if form == "csv":
        delivery = as_csv(delivery, tmp_path / "csv")
        events = f"read_csv('{delivery}/events.csv')"
    bare, bare_cpu = baseline(events, tmp_path / "bare.parquet")
    cpu = time.process_time()
    result, steps = run(database, settings, key_encryption, delivery)
    cpu = time.process_time() - cpu
    rows = {table: counts.read for table, counts in result.report.tables.items()}
    assert result.report.tables["events"].rejected == 0
    assert result.snapshot == 1
    size = sum(path.stat().st_size for path in delivery.rglob("*") if path.is_file())
    rate, bare_rate = rows["events"] / result.seconds, rows["events"] / bare
    print(
        f"\n{platform.processor() or platform.machine()}, {THREADS} threads, {MEMORY} for DuckDB; "
        f"load {os.getloadavg()[0]:.1f} while it ran"
    )
    print(f"{form}: {PEOPLE:,} people, {sum(rows.values()):,} rows, {size / 1e6:,.0f} MB")
    print(
        f"  loaded whole          {result.seconds:7.2f} s  {rate:12,.0f} events/s   ({cpu:.1f} s of this process' CPU)"
    )
    print(*steps.lines(), sep="\n")
    print(f"  most memory           {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:7.2f} GiB")
    print(f"  DuckDB sorts events   {bare:7.2f} s  {bare_rate:12,.0f} events/s  ({bare_cpu:.1f} s CPU)")
    print(f"  ratio                 {rate / bare_rate:7.2f}    by CPU {bare_cpu / cpu:.2f}")
