"""What the platform's tests share: deliveries of FHIR made on the spot, and what an importer staged of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cohortium_plugins.importing import ImportOptions, Severity

from cohortium_platform.ingest.fhir import FhirImporter


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
        found = [row for path in sorted(self.directory.glob(f"{table}-*.parquet")) for row in pq.read_table(path).to_pylist()]
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
