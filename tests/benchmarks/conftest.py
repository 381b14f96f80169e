"""Records that benchmarks of the engine share: a synthetic ICB, generated and loaded as any other.

BENCH_PEOPLE says how many people (100,000 unless told; the full size is 1,800,000), BENCH_DENSITY how many events each.
BENCH_RECORDS names the folder of a tenant in a record store that was made before (one load a practice and source), so
that a large one need not be made each time.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import duckdb
import pytest

from cohortium_platform.engine.source import Standing
from cohortium_platform.records import RecordStore
from cohortium_platform.synthetic import QOF_RETIREMENT, SUPPORT_DISCUSSED, SyntheticOptions, synthesise
from cohortium_plugins.importing import ImportOptions
from cohortium_plugins.model import Code
from cohortium_plugins.model.serialise import bind
from cohortium_tenants.demo import NORTH_LONDON, build_demo_tenant, demo_practices
from cohortium_tenants.loading import LoadOptions, load_delivery

INDEX_DATE = date(2025, 11, 30)
PEOPLE = int(os.environ.get("BENCH_PEOPLE", "100000"))
DENSITY = float(os.environ.get("BENCH_DENSITY", "172"))
MADE = os.environ.get("BENCH_RECORDS")
LOCAL_CODE = 9_000_001
THREADS = min(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class BenchRecords:
    """A record store's files, read from its folder: `records/PRACTICE/SOURCE/TABLE-....parquet`."""

    folder: Path

    @property
    def extracts(self) -> Path:
        """Where evaluations keep extracts."""
        return self.folder / "extracts"

    @cached_property
    def practices(self) -> list[str]:
        """Every practice."""
        return sorted(path.name for path in (self.folder / "records").iterdir())

    def files(self, table: str, practices: Sequence[str]) -> Sequence[str]:
        """Give the files with these practices' rows of a table."""
        return [path for practice in practices for path in self._by_practice[practice] if f"/{table}-" in path]

    def registration_files(self, practices: Sequence[str]) -> Sequence[str]:
        """Give every file of registrations."""
        del practices
        return self.files("registrations", self.practices)

    def standing(self, practice: str) -> Standing:
        """Every practice's records run to the index date."""
        del practice
        return Standing(INDEX_DATE)

    @cached_property
    def _by_practice(self) -> dict[str, list[str]]:
        root = self.folder / "records"
        return {name: sorted(str(path) for path in (root / name).rglob("*.parquet")) for name in self.practices}

    @cached_property
    def people(self) -> int:
        """How many patients there are."""
        return self._rows("patients")

    @cached_property
    def events(self) -> int:
        """How many events there are."""
        return self._rows("events")

    def _rows(self, table: str) -> int:
        with duckdb.connect() as connection:
            listed = self.files(table, self.practices)
            return connection.execute("SELECT count(*) FROM read_parquet($1)", [listed]).fetchall()[0][0]

    def said(self) -> str:
        """The machine and the records, for the head of a benchmark's lines."""
        size = sum(path.stat().st_size for path in (self.folder / "records").rglob("*.parquet"))
        return (
            f"{platform.machine()}, {os.cpu_count()} processors, DuckDB {duckdb.__version__}, {THREADS} threads, "
            f"load {os.getloadavg()[0]:.1f}; {self.people:,} people of {len(self.practices)} practices, "
            f"{self.events:,} events, {size / 2**20:,.0f} MiB"
        )


@pytest.fixture(scope="session")
def pack_definition():
    """The cancer care pack's rules, with the one list filled that a tenant fills."""
    from cohortium_pack_cancer_care import indicator_packs  # noqa: PLC0415 - only some benchmarks need the pack

    definition = bind(indicator_packs()[0].definition)
    support = definition.codelists[SUPPORT_DISCUSSED]
    filled = support.extended((Code(LOCAL_CODE, "Support discussed (local)", local=True),))
    return type(definition)(
        {**definition.codelists, SUPPORT_DISCUSSED: filled},
        definition.parameters,
        definition.cohorts,
        definition.indicators,
        definition.stratifiers,
    )


@pytest.fixture(scope="session")
def bench_records(request, tmp_path_factory) -> BenchRecords:
    """A tenant's records: those made before, or generated and loaded now."""
    if MADE is not None:
        return BenchRecords(Path(MADE))
    settings, database, key_encryption = (
        request.getfixturevalue(name) for name in ("settings", "database", "key_encryption")
    )
    tenant = build_demo_tenant(database, key_encryption, NORTH_LONDON, NORTH_LONDON.practices_for(PEOPLE))
    extract = tmp_path_factory.mktemp("population") / "extract"
    began = time.perf_counter()
    options = SyntheticOptions(
        people=PEOPLE, practices=demo_practices(NORTH_LONDON, NORTH_LONDON.practices_for(PEOPLE)), density=DENSITY,
        course=QOF_RETIREMENT, local_codes={SUPPORT_DISCUSSED: LOCAL_CODE}, workers=THREADS, records_to=INDEX_DATE,
    )  # fmt: skip
    synthesise(options, extract)
    made = time.perf_counter()
    load_delivery(database, settings, key_encryption, tenant.id, extract, ImportOptions(), LoadOptions())
    print(f"\ngenerated in {made - began:.0f} s, loaded in {time.perf_counter() - made:.0f} s")  # noqa: T201
    store = RecordStore(settings.store_root, tenant.id)
    return BenchRecords(store.path("records/x").parent.parent)
