"""Rows under pseudonyms as a Parquet file that says of what it is."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from cohortium_plugins.exporting import Export, ExportLevel

__all__ = ["ParquetExporter"]


class ParquetExporter:
    """A Parquet file whose metadata names registry, version, definition and index date."""

    name = "parquet"
    title = "Parquet, for analysis"
    level = ExportLevel.PSEUDONYMISED
    suffix = ".parquet"
    media_type = "application/vnd.apache.parquet"

    def write(self, export: Export, file: Path) -> None:
        """Write it."""
        rows = pq.read_table(export.rows).select(list(export.columns))
        about = {
            "registry": export.registry,
            "version": export.version,
            "definition_hash": export.definition_hash,
            "index_date": export.index_date.isoformat(),
            "level": export.level.value,
        }
        pq.write_table(rows.replace_schema_metadata(about), file, compression="zstd")
