"""What the platform's tests share: deliveries made on the spot, what an importer staged of them, and loading them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from textwrap import dedent

import duckdb
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from cohortium_platform.identities import Identity, open_many
from cohortium_platform.identities.pseudonyms import pseudonym_of_nhs_number
from cohortium_platform.ingest import LoadOptions, LoadResult, LoadTarget, load
from cohortium_platform.ingest.fhir import FhirImporter
from cohortium_platform.records import RecordFile, RecordStore, RecordTable, files, snapshot_current
from cohortium_plugins.importing import ImportOptions, Severity


@dataclass(frozen=True)
class Finding:
    severity: Severity
    reason: str
    file: str
    line: int | None
    table: str


@dataclass
class Staged:
    """A staging folder, and what was said about the delivery."""

    directory: Path
    findings: list[Finding] = field(default_factory=list)
    run_to: date | None = None
    steps: list[tuple[int, int]] = field(default_factory=list)

    def finding(self, severity: Severity, reason: str, *, file: str, line: int | None = None, table: str = "") -> None:
        self.findings.append(Finding(severity, reason, file, line, table))

    def records_to(self, day: date, *, practice: str | None = None) -> None:
        assert practice is None
        self.run_to = day

    def progress(self, done_bytes: int, total_bytes: int) -> None:
        self.steps.append((done_bytes, total_bytes))

    def rows(self, table: str, *columns: str) -> list[tuple[object, ...]]:
        """Rows of a staged table, some columns of each; none when nothing was staged for it."""
        found = [
            row for path in sorted(self.directory.glob(f"{table}-*.parquet")) for row in pq.read_table(path).to_pylist()
        ]
        return [tuple(row[column] for column in columns) for row in found]

    def reasons(self, severity: Severity = Severity.REJECTED) -> list[str]:
        return [finding.reason for finding in self.findings if finding.severity is severity]


def lines(resources: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(resource, separators=(",", ":")).encode() + b"\n" for resource in resources)


@pytest.fixture
def fhir_fixtures() -> Path:
    return Path(__file__).parent / "fhir_fixtures"


@pytest.fixture
def write_fhir(tmp_path: Path) -> Callable[..., Path]:
    """Write a delivery: a list of resources becomes NDJSON, an object a document, bytes stay as they are."""

    def write(files: dict[str, object] | list[dict[str, object]], folder: str = "delivery") -> Path:
        root = tmp_path / folder
        root.mkdir()
        for name, content in ({"export.ndjson": files} if isinstance(files, list) else files).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, list):
                path.write_bytes(lines(content))
            else:
                path.write_bytes(content if isinstance(content, bytes) else json.dumps(content, indent=2).encode())
        return root

    return write


@pytest.fixture
def stage_fhir(tmp_path: Path, write_fhir: Callable[..., Path]) -> Callable[..., Staged]:
    """Stage a delivery of FHIR, given as a path or as what `write_fhir` takes."""
    count = iter(range(1_000_000))

    def stage(delivery: object, processes: int = 1, **options: object) -> Staged:
        number = next(count)
        path = delivery if isinstance(delivery, Path) else write_fhir(delivery, f"delivery-{number}")
        staged = Staged(tmp_path / f"staged-{number}")
        staged.directory.mkdir()
        try:
            FhirImporter(processes).read(path, ImportOptions(**options), staged)
        finally:
            assert not list(staged.directory.glob(".*")), "scratch files are left"
        return staged

    return stage


@dataclass(frozen=True)
class Directory:
    """An `OrganisationDirectory` of practices, each with the day it opened."""

    opened: Mapping[str, date]

    def practices(self, on: date) -> frozenset[str]:
        return frozenset(code for code, opened in self.opened.items() if opened <= on)

    def places_of(self, practice: str, on: date) -> frozenset[str]:  # noqa: ARG002 - loading asks for no places
        return frozenset()

    def pcns_of(self, practice: str, on: date) -> frozenset[str]:  # noqa: ARG002 - the same
        return frozenset()

    def successors(self, code: str, on: date) -> frozenset[str]:  # noqa: ARG002 - the same
        return frozenset({code})


RECORDS_TO = date(2025, 11, 30)


@dataclass
class Loads:
    """One tenant that deliveries are loaded into, and looking at what came of them."""

    target: LoadTarget
    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    def write(self, files: dict[str, str | bytes], manifest: str | None = None) -> Path:
        """Write a delivery; a file's text is its lines, and a missing manifest says records_to alone."""
        root = self.folder / f"delivery{next(self.numbers)}"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else dedent(content).lstrip("\n").encode())
        (root / "extract.yaml").write_text(manifest or f"records_to: {RECORDS_TO}\n")
        return root

    def load(self, delivery: Path | dict[str, str | bytes], manifest: str | None = None, **how: object) -> LoadResult:
        path = delivery if isinstance(delivery, Path) else self.write(delivery, manifest)
        names = {name: how.pop(name) for name in list(how) if name in {f.name for f in fields(ImportOptions)}}
        return load(self.target, path, ImportOptions(**names), LoadOptions(**how))

    def state(self) -> dict[str, list[tuple[object, ...]]]:
        """Everything a load may change: rows of every table of the tenant, but the times."""
        with self.target.database.tenant(self.target.tenant_id) as session:
            return {
                table: sorted(map(str, session.exec(text(f"SELECT * FROM {table}")).all()))
                for table in [
                    "record_snapshots", "record_loads", "record_sources", "record_files",
                    "identities", "identity_terms", "audit_entries",
                ]
            }  # fmt: skip

    def snapshot(self) -> int:
        with self.target.database.tenant(self.target.tenant_id) as session:
            return snapshot_current(session)

    def files(self, snapshot: int | None = None, **which: object) -> list[RecordFile]:
        with self.target.database.tenant(self.target.tenant_id) as session:
            return list(files(session, snapshot_current(session) if snapshot is None else snapshot, **which))

    def rows(self, table: str, columns: str = "*", snapshot: int | None = None) -> list[tuple[object, ...]]:
        """Rows of a table of the record store, in the order of practice, source and file."""
        paths = [str(self.target.store.path(file.path)) for file in self.files(snapshot, tables=[RecordTable(table)])]
        if not paths:
            return []
        with duckdb.connect() as connection:
            return connection.execute(f"SELECT {columns} FROM read_parquet($paths)", {"paths": paths}).fetchall()

    def patient(self, nhs_number: str) -> int:
        return pseudonym_of_nhs_number(self.target.keys, nhs_number)

    def identities(self, *patients: int) -> dict[int, Identity]:
        with self.target.database.tenant(self.target.tenant_id) as session:
            return open_many(session, self.target.keys, patients)


@pytest.fixture
def loads(database, settings, tenant, tenant_keys, tmp_path) -> Loads:
    """A tenant with the practices A81001, A81002 and A81003; A81009 opens after the records end."""
    old, new = date(2000, 1, 1), date(2025, 12, 1)
    directory = Directory({"A81001": old, "A81002": old, "A81003": old, "A81009": new})
    store = RecordStore(settings.store_root, tenant.id)
    return Loads(LoadTarget(database, tenant.id, store, tenant_keys, directory), tmp_path)
