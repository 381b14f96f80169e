"""A delivery's rows on their way to files: every table read, every practice written.

Here: which tables a delivery gives, reading them into streams, and writing all practices' files on several threads. Not
here: one table (`streaming`), one file (`writing`), and making the files count (`pipeline`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa

from cohortium_platform.ingest.identifying import CONTACT_COLUMNS, add_contacts
from cohortium_platform.ingest.limits import LoadLimits
from cohortium_platform.ingest.parts import Part
from cohortium_platform.ingest.people import People
from cohortium_platform.ingest.progress import Step, Teller
from cohortium_platform.ingest.quality import QualityLog
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.ingest.shapes import SHAPES
from cohortium_platform.ingest.streaming import NEVER, Stream
from cohortium_platform.ingest.workbench import Workbench, literal
from cohortium_platform.ingest.writing import Written, write_bucket
from cohortium_platform.records.schema import SCHEMAS, RecordTable
from cohortium_platform.records.store import RecordStore, WrittenFile
from cohortium_plugins.importing import Severity

__all__ = ["TableWriter", "Tables", "read_tables", "write_patients"]

_FROM_TRUSTS = frozenset({RecordTable.EVENTS, RecordTable.MEDICATIONS, RecordTable.CONSULTATIONS})
_LARGE_ROWS = 8_000_000
"""A practice with more rows than this is written alone, so that threads do not multiply its memory."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The streamed tables of a delivery, read."""

    people: People
    streams: Mapping[RecordTable, Stream]


def read_tables(
    bench: Workbench, parts: Mapping[str, Sequence[Part]], people: People, log: QualityLog, teller: Teller
) -> Tables:
    """Read every table of a delivery but patients. A table counts as delivered when a file of it came, even empty."""
    folder = bench.folder / "rows"
    folder.mkdir()
    taken = {table: list(parts.get(table, ())) for table in SHAPES}
    if not people.scope.is_gp:
        taken = {table: found if table in _FROM_TRUSTS else [] for table, found in taken.items()}
        for table in parts.keys() - {*map(str, _FROM_TRUSTS), "patients"}:
            log.count(Severity.WARNING, "not taken from a trust", table, len(parts[table]))
    streams = {
        table: Stream(SHAPES[table], people, log, folder, bench.limits.values)
        for table, found in taken.items()
        if found or (people.scope.is_gp and _is_given_otherwise(table, parts))
    }
    progress = _Progress(teller, sum(part.path.stat().st_size for table in streams for part in taken[table]))
    with ExitStack() as stack:
        for table, stream in streams.items():
            stack.callback(stream.buckets.close)
            if table is RecordTable.CONTACTS:
                add_contacts(bench, stream)
            for part in taken[table]:
                stream.read(bench, part, functools.partial(progress.told, table))
                progress.ended(part)
            if table is RecordTable.REGISTRATIONS and not taken[table]:
                _register_all(stream)
    return Tables(people, streams)


def _is_given_otherwise(table: RecordTable, parts: Mapping[str, Sequence[Part]]) -> bool:
    """Whether a table that has no file is told by the patients' columns, or by their being in the delivery at all."""
    has_contacts = any(part.has(column) for part in parts["patients"] for column in CONTACT_COLUMNS)
    return table is RecordTable.REGISTRATIONS or (table is RecordTable.CONTACTS and has_contacts)


def _register_all(stream: Stream) -> None:
    """Take everyone as registered since birth, when a delivery has no registrations: it says who is there, not since
    when.
    """
    people = stream.people
    places = np.arange(len(people.patient_ids), dtype=np.int32)
    stream.add({"person": places, "day": people.born, "end": np.full(len(places), NEVER, np.int32)})
    stream.log.count(Severity.WARNING, Reason.NO_START_DATE, str(stream.shape.table), len(places))


@dataclass(slots=True)
class _Progress:
    teller: Teller
    total: int
    done: int = 0
    rows: dict[RecordTable, int] = field(default_factory=dict)

    def told(self, table: RecordTable, rows: int) -> None:
        self.rows[table] = self.rows.get(table, 0) + rows
        self.teller(Step.ROWS, self.done / max(self.total, 1), f"{self.rows[table]:,} {table}")

    def ended(self, part: Part) -> None:
        self.done += part.path.stat().st_size


def write_patients(bench: Workbench, store: RecordStore, people: People) -> Iterator[WrittenFile]:
    """Write each practice's patients, one row a person."""
    schema = SCHEMAS[RecordTable.PATIENTS].columns
    for code in people.practices:
        columns = ", ".join(name for name in schema.names)
        rows = bench.table(
            f"SELECT {columns} FROM patients WHERE is_primary AND practice = {literal(code)} ORDER BY patient_id"
        )
        yield store.write(code, people.scope.source, RecordTable.PATIENTS, rows.cast(_nullable(schema)))


def _nullable(schema: pa.Schema) -> pa.Schema:
    """The same types, for columns that DuckDB calls nullable."""
    return pa.schema([field.with_nullable(nullable=True) for field in schema])


class TableWriter:
    """Writes practices' files of every table that was delivered, on several threads. Use as a context manager.

    Registrations come first, since identities wait for them; while the rest is written, the caller's thread is free.
    """

    def __init__(self, store: RecordStore, tables: Tables, limits: LoadLimits) -> None:
        self._store, self._tables = store, tables
        self._practices = range(len(tables.people.practices))
        streams = tables.streams.values()
        largest = max((each.buckets.rows(practice) for each in streams for practice in self._practices), default=0)
        self._pool = ThreadPoolExecutor(1 if largest > _LARGE_ROWS else limits.threads, thread_name_prefix="load")
        self._running: list[Future[Written]] = []

    def start(self, *, registrations: bool) -> None:
        """Have registrations, or everything else, written."""
        for practice in self._practices:
            for table, stream in self._tables.streams.items():
                if (table is RecordTable.REGISTRATIONS) == registrations:
                    self._running.append(self._pool.submit(write_bucket, self._store, stream, practice))

    def written(self) -> Iterator[Written]:
        """What was started, as it gets ready."""
        running, self._running = self._running, []
        for future in as_completed(running):
            yield future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
