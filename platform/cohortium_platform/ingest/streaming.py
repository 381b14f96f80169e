"""Reading the rows of one table, checking them, and putting each into its practice's bucket.

Here: registrations, events, medications, consultations and contacts, each file once and in columns. Not here: the query
(`shapes`), patients themselves (`people`), and what becomes of a bucket (`writing`).

DuckDB gives each row's patient as a hash, its values, and one small number that says what is wrong with it; numpy does
the rest, a million rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cohortium_platform.ingest.buckets import Buckets, Columns
from cohortium_platform.ingest.index import REJECTED, UNKNOWN, Places
from cohortium_platform.ingest.limits import ValueRange
from cohortium_platform.ingest.parts import Part
from cohortium_platform.ingest.people import People
from cohortium_platform.ingest.quality import QualityLog, RowFinding
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.ingest.shapes import FAULTS, VALUE_FAULT, Shape
from cohortium_platform.ingest.telling import EXAMPLES
from cohortium_platform.ingest.workbench import Workbench, reading
from cohortium_plugins.importing import Severity

__all__ = ["NEVER", "Stream"]

NEVER = 2**31 - 1
"""The day of what has none."""
_BATCH_ROWS = 2**20
_DAYS_TO_1900 = -25_567


class _Found(NamedTuple):
    """Rows of a batch about which there is something to say."""

    severity: Severity
    reason: Reason
    rows: NDArray[np.intp]


@dataclass(slots=True)
class Stream:
    """One table of a delivery on its way into buckets. `texts` gives the number that stands for each text."""

    shape: Shape
    people: People
    log: QualityLog
    folder: Path
    values: Sequence[ValueRange]
    texts: dict[str, dict[str, int]] = field(init=False)
    buckets: Buckets = field(init=False)
    _until: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        self.buckets = Buckets(self.folder / str(self.shape.table), self.shape.columns())
        self.texts = {text: {} for text in self.shape.texts}
        same = self.people.until.min() == self.people.until.max()
        self._until = self.people.until[:1] if same else self.people.until

    def read(self, bench: Workbench, part: Part, told: Callable[[int], None]) -> None:
        """Read one file's rows; `told` hears how many rows each batch had."""
        index, first = self.people.index_for(part), 0
        listed: list[tuple[_Found, list[int]]] = []
        for batch in self._batches(bench, part):
            columns = self._columns(batch)
            columns["person"] = index.find(columns["person"])
            fault = batch.column("fault").to_numpy(zero_copy_only=False)
            found = self._take(columns, fault)
            listed += [(each, (each.rows[: self.log.room] + first).tolist()) for each in found]
            first += batch.num_rows
            told(batch.num_rows)
        self._list(bench, part, listed)

    def add(self, columns: Columns) -> None:
        """Add rows whose patients are known by place, and with which nothing is wrong."""
        self.log.read(str(self.shape.table), len(columns["person"]))
        self.buckets.append(self.people.practice_index[columns["person"]], columns)

    def numbers_of(self, text: str, values: pa.Array) -> NDArray[np.int32]:
        """The numbers that stand for texts of a column; new ones are given out as they come."""
        known = self.texts[text]
        if values.null_count == len(values):
            return np.full(len(values), -1, dtype=np.int32)
        encoded = values.dictionary_encode()
        numbers = [known.setdefault(word, len(known)) for word in encoded.dictionary.to_pylist()]
        places = encoded.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
        standing: NDArray[np.int32] = np.array([*numbers, -1], np.int32)[places]
        return standing

    def _batches(self, bench: Workbench, part: Part) -> Iterator[pa.RecordBatch]:
        with reading(part.shown_as, part.format):
            yield from bench.batches(self.shape.query(part, self.people), _BATCH_ROWS)

    def _columns(self, batch: pa.RecordBatch) -> Columns:
        shape = self.shape
        columns: Columns = {"person": _values(batch.column("person"), 0), "day": _days(batch.column("day"))}
        if shape.end:
            columns["end"] = _days(batch.column("ends"))
        if shape.code:
            columns["code"] = _values(batch.column("code"), 0)
        if shape.value:
            columns["value"] = _values(batch.column("value"), np.nan)
        for text in shape.texts:
            columns[text] = self.numbers_of(text, batch.column(text))
        return columns

    def _take(self, columns: Columns, fault: NDArray[np.uint8]) -> list[_Found]:
        """Count what is wrong with a batch's rows, and put the good ones into their buckets."""
        person: Places = columns["person"]
        bad = (fault > 0) & (fault < VALUE_FAULT)
        found = [
            _Found(
                Severity.WARNING if number == VALUE_FAULT else Severity.REJECTED,
                FAULTS[number - 1],
                np.flatnonzero(fault == number),
            )
            for number in (np.unique(fault[fault > 0]).tolist() if fault.any() else ())
        ]
        for missing, reason in ((UNKNOWN, Reason.DANGLING), (REJECTED, Reason.REJECTED_PATIENT)):
            found.append(_Found(Severity.REJECTED, reason, np.flatnonzero((person == missing) & ~bad)))
        bad |= person < 0
        if self.shape.end:
            backwards = ~bad & (columns["end"] < columns["day"]) & (columns["day"] != NEVER)
            found.append(_Found(Severity.REJECTED, Reason.ENDS_BEFORE_START, np.flatnonzero(backwards)))
            bad |= backwards
        found += self._remark(columns, ~bad)
        found = [each for each in found if len(each.rows)]
        self._count(found, person)
        if bad.any():
            columns = {name: values[~bad] for name, values in columns.items()}
        self.buckets.append(self.people.practice_index[columns["person"]], columns)
        return found

    def _remark(self, columns: Columns, good: NDArray[np.bool_]) -> list[_Found]:
        """Find what is odd about rows that are kept, and put right what must be."""
        person, day = np.maximum(columns["person"], 0), columns["day"]
        born = self.people.born[person]
        until = self._until if len(self._until) == 1 else self._until[person]
        found: list[_Found] = []

        def remark(reason: Reason, rows: NDArray[np.bool_]) -> None:
            found.append(_Found(Severity.WARNING, reason, np.flatnonzero(rows & good)))

        undated = day == NEVER
        if undated.any():
            if self.shape.end:
                remark(Reason.NO_START_DATE, undated)
            columns["day"] = day = np.where(undated, born if self.shape.end else until, day).astype(np.int32)
        if not self.shape.end:
            remark(Reason.BEFORE_BIRTH, day < born)
            remark(Reason.BEFORE_1900, day < _DAYS_TO_1900)
        remark(Reason.FUTURE_DATE, day > until)
        if self.shape.value:
            impossible = self._impossible(columns["code"], columns["value"])
            if impossible.any():
                remark(Reason.IMPOSSIBLE_VALUE, impossible)
                columns["value"] = np.where(impossible, np.nan, columns["value"])
        return found

    def _impossible(self, code: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.bool_]:
        impossible = np.zeros(len(value), dtype=np.bool_)
        for values in self.values:
            outside = (value < values.low) | (value > values.high)
            if values.codes and outside.any():
                outside &= np.isin(code, np.array(sorted(values.codes), np.int64))
            impossible |= outside
        return impossible

    def _count(self, found: Sequence[_Found], person: Places) -> None:
        """Count rows by reason and, where the patient is known, by practice."""
        table = str(self.shape.table)
        self.log.read(table, len(person))
        for severity, reason, rows in found:
            whose = person[rows]
            counts = np.bincount(self.people.practice_index[whose[whose >= 0]])
            for practice in np.flatnonzero(counts).tolist():
                self.log.count(severity, reason, table, int(counts[practice]), self.people.practices[practice])
            self.log.count(severity, reason, table, int((whose < 0).sum()))

    def _list(self, bench: Workbench, part: Part, found: Sequence[tuple[_Found, list[int]]]) -> None:
        """List rows left out, as many as there is room for, and examples of those only remarked upon.

        A file's lines are looked for once, since that can mean reading it again.
        """
        examples: dict[Reason, int] = {}
        listed: list[tuple[Severity, Reason, int]] = []
        for (severity, reason, _), rows in sorted(found, key=lambda each: each[0].severity):
            room = self.log.room - len(listed)
            if severity is Severity.WARNING:
                room = min(room, EXAMPLES - examples.get(reason, 0))
                examples[reason] = examples.get(reason, 0) + len(rows)
            listed += [(severity, reason, row) for row in rows[: max(room, 0)]]
        where = part.lines(bench, [row for _, _, row in listed])
        for (severity, reason, _), (file, line) in zip(listed, where, strict=True):
            self.log.place(RowFinding(severity, str(reason), part.table, file, line))


def _values(values: pa.Array, absent: float) -> NDArray[Any]:
    """Numbers of a column; `absent` where there is none."""
    filled = values.fill_null(absent) if values.null_count else values
    array: NDArray[Any] = filled.to_numpy(zero_copy_only=False)
    return array


def _days(days: pa.Array) -> NDArray[np.int32]:
    """Days from 1970-01-01; `NEVER` where there is none."""
    return _values(days.view(pa.int32()), NEVER)
