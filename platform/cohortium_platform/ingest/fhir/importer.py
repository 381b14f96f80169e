"""The FHIR R4 importer: one delivery from files to staged tables.

Here: the order of the steps, and what is judged of a delivery as a whole. Not here: any step itself.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from cohortium_platform.ingest.fhir.blocks import Block
from cohortium_platform.ingest.fhir.delivery import Manifest, base_name, find_manifest, recognises, sources_of
from cohortium_platform.ingest.fhir.reading import Budget, Source, blocks_of
from cohortium_platform.ingest.fhir.reports import UNKNOWN_TYPE, BlockReport
from cohortium_platform.ingest.fhir.resolving import resolve
from cohortium_platform.ingest.fhir.telling import tell_of_resources, tell_of_rows
from cohortium_platform.ingest.fhir.values import day
from cohortium_platform.ingest.fhir.workers import extract_all, helpers_worthwhile
from cohortium_plugins.importing import ImportOptions, Staging, Unreadable

__all__ = ["FhirImporter"]

_PRACTICE_SOURCE = "gp"


class FhirImporter:
    """Reads FHIR R4: bulk exports (NDJSON), Bundles, single resources, and folders of these.

    `processes` is how many read at once; by default as many as a delivery of its size is worth.
    """

    name = "fhir"
    title = "FHIR R4: NDJSON as bulk exports give it, Bundles, single resources (.json, .ndjson, .gz)"

    def __init__(self, processes: int | None = None) -> None:
        self._processes = processes

    def recognises(self, delivery: Path) -> bool:
        """Tell whether this is FHIR, from names and first bytes alone."""
        return recognises(delivery)

    def read(self, delivery: Path, options: ImportOptions, staging: Staging) -> None:
        """Stage the delivery. Raises `Unreadable` when it cannot be read; single bad rows become findings."""
        sources = sources_of(delivery, staging)
        manifest, sources = find_manifest(sources)
        names = {source.number: source.name for source in sources}
        with tempfile.TemporaryDirectory(prefix=".fhir-", dir=staging.directory) as folder:
            scratch = Path(folder)
            reports = self._extract(sources, scratch, options, staging)
            self._check_whole(delivery, manifest, sources, reports)
            records_to = _records_to(manifest, reports, options)
            if records_to is not None:
                staging.records_to(records_to)
            files = [names.get(number, "") for number in range(max(names) + 1)]
            with resolve(scratch, staging.directory, files, records_to) as resolution:
                tell_of_rows(resolution, staging)
        tell_of_resources(reports, staging)

    def _extract(
        self, sources: list[Source], scratch: Path, options: ImportOptions, staging: Staging
    ) -> list[BlockReport]:
        total = sum(source.size for source in sources)
        processes = self._processes or helpers_worthwhile(total)
        blocks = _blocks(sources, options, staging, total)
        registers = options.source == _PRACTICE_SOURCE
        reports = []
        for report in extract_all(blocks, scratch, registers=registers, processes=processes):
            if report.failure is not None:
                reason, line, advice = report.failure
                raise Unreadable(reason, file=report.file, line=line, advice=advice)
            reports.append(report)
        return reports

    def _check_whole(
        self, delivery: Path, manifest: Manifest | None, sources: list[Source], reports: list[BlockReport]
    ) -> None:
        """Refuse a delivery without anything to load, and one that lacks what its manifest lists."""
        if manifest is not None:
            manifest.check_complete(_resources_by_file(sources, reports))
        resources: Counter[str] = sum((report.resources for report in reports), Counter())
        if not resources:
            _refuse_nothing(delivery, reports)
        if not resources["Patient"]:
            raise Unreadable(
                "no Patient resource in the delivery",
                file=delivery.name, advice="Export Patient together with the clinical types.",
            )  # fmt: skip


def _refuse_nothing(delivery: Path, reports: list[BlockReport]) -> None:
    """Say which kind of nothing a delivery holds."""
    for report in reports:
        if report.problems:
            raise Unreadable(
                "an OperationOutcome in place of data",
                file=report.file, line=report.problems[0],
                advice="The sending server answered with an error: mend it there and export again.",
            )  # fmt: skip
        if report.is_foreign:
            raise Unreadable("not a FHIR resource: it has no resourceType", file=report.file, line=1)
    if any(report.aside for report in reports):
        kinds = {kind for report in reports for kind in report.aside} - {UNKNOWN_TYPE}
        raise Unreadable(
            "only resources of types that are not read" + (f" ({', '.join(sorted(kinds))})" if kinds else ""),
            file=delivery.name,
            advice="Export Patient, Condition, Observation, Procedure, Immunization, MedicationRequest, "
            "MedicationStatement, Medication, Encounter and Organization.",
        )
    raise Unreadable("the delivery is empty", file=delivery.name, advice="No resource stands in its files.")


def _blocks(sources: list[Source], options: ImportOptions, staging: Staging, total: int) -> Iterator[Block]:
    """Every block of every file, and progress with it."""
    budget = Budget(options.max_bytes)
    before = 0

    def told(done: int) -> None:
        staging.progress(before + done, total)

    for source in sources:
        yield from blocks_of(source, budget, told)
        before += source.size


def _resources_by_file(sources: list[Source], reports: list[BlockReport]) -> dict[str, int]:
    """Resources read or left aside, by base name of the file."""
    counts = Counter({base_name(source.name): 0 for source in sources})
    for report in reports:
        aside = sum(count for count, _ in report.aside.values())
        counts[base_name(report.file)] += report.resources.total() + aside + len(report.problems)
    return dict(counts)


def _records_to(manifest: Manifest | None, reports: list[BlockReport], options: ImportOptions) -> date | None:
    """The day to which all records run: the manifest's, else the earliest Bundle's, else what the loader was told."""
    instants = [manifest.transaction_time] if manifest else [at for report in reports for at in report.instants]
    for written in sorted(filter(None, (day(at)[0] for at in instants))):
        try:
            return date.fromisoformat(written)
        except ValueError:
            continue
    return options.records_to
