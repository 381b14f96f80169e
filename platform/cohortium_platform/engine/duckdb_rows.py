"""Rows of people as lists: for each person, the rows of each codelist in their order, as frames look at them.

Rows come from DuckDB sorted, and become lists where they stand: grouping them there took ten times as long. Not here:
which rows are read (`duckdb_records`), and what frames do with them (`duckdb_frames`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cohortium_platform.engine.duckdb_frames import rows_column

__all__ = ["Lists"]


class Lists:
    """The lists of `people` persons, whose numbers count from 1, by the number of their codelist."""

    def __init__(self, people: int) -> None:
        self.people = people
        self._columns: dict[int, pa.Array] = {}
        self._later: list[pa.Table] = []

    def add(self, read: pa.Table, fields: Mapping[int, Sequence[str]]) -> None:
        """Take over rows that were read, sorted by codelist, person and their order: of each codelist these fields."""
        columns = {name: _whole(read, name) for name in read.column_names}
        kinds, persons = columns["codelist"].to_numpy(), columns["pid"].to_numpy()
        for number, names in fields.items():
            start, end = (int(place) for place in np.searchsorted(kinds, [number, number + 1]))
            counts = np.bincount(persons[start:end], minlength=self.people + 1)
            offsets = np.zeros(self.people + 1, dtype=np.int32)
            np.cumsum(counts[1:], out=offsets[1:])
            rows = pa.StructArray.from_arrays([columns[name].slice(start, end - start) for name in names], names=names)
            self._columns[number] = pa.ListArray.from_arrays(pa.array(offsets), rows)

    def note_later(self, read: pa.Table, last: object) -> None:
        """Keep the days of rows after the last index date."""
        self._later.append(read.select(["pid", "date"]).filter(pc.greater(read.column("date"), pa.scalar(last))))

    @property
    def later(self) -> pa.Table | None:
        """Person and day of rows after the last index date, where they were kept."""
        return pa.concat_tables(self._later) if self._later else None

    def table(self) -> pa.Table:
        """Give a row a person with all lists."""
        columns = {rows_column(number): column for number, column in sorted(self._columns.items())}
        return pa.table({"pid": pa.array(np.arange(1, self.people + 1, dtype=np.int64)), **columns})


def _whole(rows: pa.Table, name: str) -> pa.Array:
    chunks = rows.column(name).chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], rows.schema.field(name).type)
