"""Golden patients on the DuckDB engine: records in memory written as record files, results read back.

The server runs a pack's golden patients through this before it lists a version; tests run them through it always. Not
here: the golden patients (`cohortium_plugins.golden`).
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.evaluated import EvaluatedTables, Kind
from cohortium_platform.engine.source import RecordFiles, Standing
from cohortium_platform.records.schema import SCHEMAS, RecordTable
from cohortium_plugins.golden import Answer
from cohortium_plugins.model import Definition, Status
from cohortium_plugins.record import Member, Record, Result

__all__ = ["answer_of", "duckdb_engine", "record_files"]


def duckdb_engine(definition: Definition, records: Sequence[Record], index_dates: Sequence[date]) -> Answer:
    """Evaluate records in memory by DuckDB: an engine as `cohortium_plugins.golden.check` takes it."""
    with tempfile.TemporaryDirectory() as folder:
        source = record_files(records, Path(folder))
        practices = sorted({record.practice for record in records})
        with evaluate(definition, source, practices, list(index_dates)) as tables:
            return answer_of(tables, definition)


def answer_of(tables: EvaluatedTables, definition: Definition) -> Answer:
    """Read an engine's tables as golden patients are compared with."""
    return Answer(list(_results(tables)), list(_members(tables, definition)))


def record_files(records: Sequence[Record], folder: Path) -> RecordFiles:
    """Write records as the record store would, one file a table. Records of one practice share its standing; someone
    known at several practices has a record for each of them, which all list the same registrations.
    """
    files: dict[str, Sequence[str]] = {}
    owners: dict[tuple[str | None, int], str] = {}
    for record in records:
        for row in record.rows.get(RecordTable.REGISTRATIONS, ()):
            owners.setdefault((row.practice, record.patient_id), record.practice)
    owners.update({(record.practice, record.patient_id): record.practice for record in records})
    for table, schema in SCHEMAS.items():
        rows = [row for record in records for row in _rows(record, table, schema.columns.names, owners)]
        path = folder / f"{table}.parquet"
        # The store needs a date of birth; the language does not, and its golden patients try that too.
        columns = pa.schema([field.with_nullable(True) for field in schema.columns])  # noqa: FBT003 - pyarrow's own
        written = pa.Table.from_pylist(rows, columns)
        pq.write_table(written.sort_by([(name, "ascending") for name in schema.order]), path, store_schema=False)
        files[table] = [str(path)]
    standings = {record.practice: Standing(record.records_to, record.missing) for record in records}
    return RecordFiles(files, standings)


def _rows(
    record: Record, table: RecordTable, columns: Sequence[str], owners: Mapping[tuple[str | None, int], str]
) -> Iterator[Mapping[str, object]]:
    """Yield a record's rows; a registration only from the record that owns it, so that none is written twice."""
    if table is RecordTable.PATIENTS:
        yield {name: getattr(record, name) for name in columns}
        return
    fixed = {"patient_id": record.patient_id, "practice": record.practice}
    for row in record.rows.get(table, ()):
        found = {name: getattr(row, name, None) for name in columns}
        if table is not RecordTable.REGISTRATIONS:
            yield {**found, **fixed}
        elif owners[row.practice, record.patient_id] == record.practice:
            yield {**found, "patient_id": record.patient_id, "start_date": row.date}


def _results(tables: EvaluatedTables) -> Iterator[Result]:
    names = [field.name for field in dataclasses.fields(Result)]
    for row in tables.fetch(Kind.RESULTS).select(names).to_pylist():
        yield Result(**{**row, "status": Status(row["status"])})


def _members(tables: EvaluatedTables, definition: Definition) -> Iterator[Member]:
    names = [field.name for field in dataclasses.fields(Member) if field.name != "strata"]
    for row in tables.fetch(Kind.MEMBERS).to_pylist():
        strata = {stratifier.name: row[stratifier.name] for stratifier in definition.stratifiers}
        yield Member(**{name: row[name] for name in names}, strata=strata)
