"""The exporters of the platform's own distribution, through the same door as anyone else's."""

from __future__ import annotations

from collections.abc import Sequence

from cohortium_platform.exporting.parquet import ParquetExporter
from cohortium_plugins.exporting import Exporter
from cohortium_plugins.hookspecs import hookimpl

__all__ = ["exporters"]


@hookimpl
def exporters() -> Sequence[Exporter]:
    """Give the exporter of Parquet files."""
    return [ParquetExporter()]
