"""The exporters of the platform's own distribution, through the same door as anyone else's."""

from __future__ import annotations

from collections.abc import Sequence

from cohortium_platform.exporting.counts import CountsCsvExporter, FhirSummaryExporter
from cohortium_platform.exporting.parquet import ParquetExporter
from cohortium_plugins.exporting import Exporter
from cohortium_plugins.hookspecs import hookimpl

__all__ = ["exporters"]


@hookimpl
def exporters() -> Sequence[Exporter]:
    """Give the exporters of rows as Parquet, and of suppressed counts as CSV and FHIR."""
    return [ParquetExporter(), CountsCsvExporter(), FhirSummaryExporter()]
