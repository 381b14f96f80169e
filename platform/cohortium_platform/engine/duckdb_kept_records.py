"""A practice's rows once more in patient order, kept beside the extracts: what one patient's page reads.

Record files are sorted by code, so that one patient's rows lie in every group of them, and reading them means looking
at a million others. Here all tables of a practice but patients and registrations stand in one file in patient order, of
which a reader opens one group of rows. It is about as large as the files it is made from. Another load makes another;
nothing stands on it, as on no extract. Not here: when it is made (`tasks`), and reading it (`explain`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.engine.duckdb_records import largest_first
from cohortium_platform.engine.duckdb_running import Running
from cohortium_platform.engine.source import RecordSource
from cohortium_platform.records.store import EXTRACT_SOURCES, safe_name

__all__ = ["TABLES", "KeptRecords"]

TABLES = ("events", "medications", "consultations", "contacts")
"""The tables whose rows are kept; a row says by its place here (`of`) which it is from."""

_FORMAT = b"1"
_GROUP = 32_768
"""Rows in a group: fewer make a file larger and slower to open, more make a patient's slower to read."""

_ROWS: Mapping[str, str] = {
    "events": """
        SELECT patient_id, 0::TINYINT AS of, date, code, value, unit, episode, NULL::VARCHAR AS kind,
            NULL::VARCHAR AS relationship, source, entry
        FROM read_parquet($1, hive_partitioning = false) WHERE practice = $2
    """,
    "medications": """
        SELECT patient_id, 1::TINYINT AS of, date, code, NULL::DOUBLE AS value, NULL::VARCHAR AS unit,
            NULL::VARCHAR AS episode, NULL::VARCHAR AS kind, NULL::VARCHAR AS relationship, source, entry
        FROM read_parquet($1, hive_partitioning = false) WHERE practice = $2
    """,
    "consultations": """
        SELECT patient_id, 2::TINYINT AS of, date, NULL::BIGINT AS code, NULL::DOUBLE AS value, NULL::VARCHAR AS unit,
            NULL::VARCHAR AS episode, kind, NULL::VARCHAR AS relationship, source, entry
        FROM read_parquet($1, hive_partitioning = false) WHERE practice = $2
    """,
    "contacts": """
        SELECT patient_id, 3::TINYINT AS of, date, NULL::BIGINT AS code, NULL::DOUBLE AS value, NULL::VARCHAR AS unit,
            NULL::VARCHAR AS episode, kind, relationship, source, entry
        FROM read_parquet($1, hive_partitioning = false) WHERE practice = $2
    """,
}
_SORTED_BY = [(column, "ascending") for column in ("patient_id", "of", "date", "entry")]


class KeptRecords:
    """The file of one practice, which is told by the record files it is made from."""

    def __init__(self, folder: Path, source: RecordSource, practice: str) -> None:
        self._practice, self._folder = practice, folder
        self._files = {table: found for table in TABLES if (found := source.files(table, [practice]))}
        named = [practice, sorted((table, sorted(files)) for table, files in self._files.items())]
        digest = hashlib.sha256(b"records" + _FORMAT + orjson.dumps(named)).hexdigest()
        self._place = folder / safe_name(practice) / digest[:32]

    @property
    def file(self) -> str:
        """Columns: patient_id, of, and those of any of `TABLES`."""
        return str(self._place / "records.parquet")

    @property
    def is_made(self) -> bool:
        """Whether it is there."""
        return self._place.is_dir()

    def discard(self) -> None:
        """Throw away one that cannot be read."""
        shutil.rmtree(self._place, ignore_errors=True)

    def make(self, running: Running) -> None:
        """Make it whole, under its name; someone else's that came first is as good. Raises as `Running.table`."""
        if not self._files:
            return
        part = self._folder / f".{uuid4().hex}"
        part.mkdir(mode=0o700, parents=True)
        try:
            rows = pa.concat_tables(
                running.table(_ROWS[table], [largest_first(files), self._practice])
                for table, files in self._files.items()
            )
            pq.write_table(
                rows.sort_by(_SORTED_BY),
                part / "records.parquet",
                row_group_size=_GROUP,
                compression="zstd",
                store_schema=False,
                write_statistics=["patient_id"],
            )
            named = sorted(path for files in self._files.values() for path in files)
            (part / EXTRACT_SOURCES).write_bytes(orjson.dumps(named))
            self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(OSError):
                part.rename(self._place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
