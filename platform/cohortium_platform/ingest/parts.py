"""One file of staged or delivered rows, as SQL: where its rows are, what its columns are called, which line is which.

Here: `Part`, and the SQL of its columns as text, day, code or number. Not here: running it (`workbench`), and what the
values mean.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from cohortium_platform.ingest.workbench import Workbench, literal, name, reading, sql_file
from cohortium_plugins.importing import EXTRACT_COLUMNS, DeliveredFile, Unreadable

__all__ = ["Part", "delivered_part", "staged_part"]

_NATURAL = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_REAL = frozenset({"double", "float"})
_DAY = frozenset({"date32[day]"})
_BLOCK_BYTES = 2**20
_LINE_FEED, _RETURN = b"\n\r"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one table in one file.

    `columns` gives for a column of the extract the file's columns that may hold it; `types` the Arrow type of each of
    the file's columns (all text in CSV). `file` is None when the file says itself, in its columns `file` and `line`,
    where each row came from.
    """

    table: str
    path: Path
    file: str | None
    format: Literal["csv", "parquet"]
    header: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    types: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","
    date_format: str | None = None
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def shown_as(self) -> str:
        """What findings call the file."""
        return self.file or self.path.name

    @property
    def relation(self) -> str:
        """The rows, for a FROM clause; in the file's order."""
        path = sql_file(self.path)
        if self.format == "parquet":
            return f"read_parquet({path})"
        columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in self.header)
        return (
            f"read_csv({path}, auto_detect = false, header = true, delim = {literal(self.delimiter)}, quote = '\"', "
            f"escape = '\"', strict_mode = true, null_padding = false, columns = {{{columns}}})"
        )

    @property
    def numbered(self) -> tuple[str, str]:
        """The rows for a FROM clause, and the expression of a row's number from 0 in it."""
        if self.format == "parquet":
            return f"read_parquet({sql_file(self.path)}, file_row_number = true)", "file_row_number"
        return self.relation, "row_number() OVER () - 1"

    def has(self, column: str) -> bool:
        """Whether the file has a column that may hold this one of the extract."""
        return bool(self.columns.get(column))

    def text(self, column: str) -> str:
        """A column as text; empty is NULL."""
        found = [self._as_text(each) for each in self.columns.get(column, ())]
        if not found:
            return "NULL::VARCHAR"
        text = found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"
        replaced = self.values.get(column)
        if not replaced:
            return text
        cases = " ".join(f"WHEN {literal(given)} THEN {literal(meant)}" for given, meant in replaced.items())
        return f"CASE {text} {cases} ELSE {text} END"

    def given(self, column: str) -> str:
        """Whether a column says anything. Numbers and days are not written out as text for that."""
        if self._is_natural(column, _NATURAL | _REAL | _DAY):
            return f"{name(self.columns[column][0])} IS NOT NULL"
        return f"{self.text(column)} IS NOT NULL"

    def day(self, column: str) -> str:
        """A column as DATE, NULL where it is none. A time of day is cut off."""
        if self._is_natural(column, _DAY):
            return name(self.columns[column][0])
        if self.date_format is None:
            return f"try_cast({self.text(column)} AS DATE)"
        return f"try_strptime({self.text(column)}, {literal(self.date_format)})::DATE"

    def whole(self, column: str) -> str:
        """A column as BIGINT, NULL where it is not digits and nothing else: 1.5E+10 is a spreadsheet's, not a code."""
        if self._is_natural(column, _NATURAL):
            return f"try_cast({name(self.columns[column][0])} AS BIGINT)"
        text = self.text(column)
        return f"if(try_cast({text} AS BIGINT)::VARCHAR = {text}, try_cast({text} AS BIGINT), NULL)"

    def number(self, column: str) -> str:
        """A column as DOUBLE, NULL where it is no number."""
        if self._is_natural(column, _NATURAL | _REAL):
            return f"{name(self.columns[column][0])}::DOUBLE"
        return f"try_cast({self.text(column)} AS DOUBLE)"

    def lines(self, bench: Workbench, rows: Sequence[int]) -> list[tuple[str, int]]:
        """File and line of rows, counted from 0, in the order asked for."""
        if not rows:
            return []
        if self.file is None:
            return self._said(bench, rows)
        if self.format == "parquet":
            return [(self.file, row + 1) for row in rows]
        lines = csv_lines(self.path, self.delimiter, max(rows))
        return [(self.file, lines.get(row, row + 2)) for row in rows]

    def _said(self, bench: Workbench, rows: Sequence[int]) -> list[tuple[str, int]]:
        wanted = ", ".join(str(row) for row in rows)
        with reading(self.shown_as, self.format):
            found = bench.rows(
                f"SELECT file_row_number, file::VARCHAR, line::BIGINT FROM read_parquet({sql_file(self.path)}, "
                f"file_row_number = true) WHERE file_row_number IN ({wanted})"
            )
        said = {row: (str(file), int(str(line))) for row, file, line in found}
        return [said[row] for row in rows]

    def _as_text(self, column: str) -> str:
        if self.format == "csv":  # the reader gives NULL for what is empty
            return name(column)
        return f"nullif({name(column)}::VARCHAR, '')"

    def _is_natural(self, column: str, types: frozenset[str]) -> bool:
        found = self.columns.get(column, ())
        return len(found) == 1 and self.types.get(found[0]) in types and column not in self.values


def csv_lines(path: Path, delimiter: str, last: int) -> Mapping[int, int]:
    """The line on which each row begins, up to row `last` (from 0), or nothing when row n stands on line n + 2: a value
    may hold a line's end, and empty lines are no rows.
    """
    if _is_plain(path, last + 2):
        return {}
    lines: dict[int, int] = {}
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        counted = _Counted(file)
        rows = csv.reader(counted, delimiter=delimiter)
        next(rows, None)
        begins = counted.lines + 1
        for values in rows:
            if values:
                lines[len(lines)] = begins
            if len(lines) > last:
                break
            begins = counted.lines + 1
    return lines


def _is_plain(path: Path, until: int) -> bool:
    """Whether a CSV file has neither quotation marks nor empty lines up to a line, so that a line is a row."""
    lines, end = 0, b""
    with path.open("rb") as file:
        while lines <= until and (block := file.read(_BLOCK_BYTES)):
            read = np.frombuffer(end + block, np.uint8)
            ends = read == _LINE_FEED
            empty = (ends[1:] & ends[:-1]).any() or (ends[2:] & ends[:-2] & (read[1:-1] == _RETURN)).any()
            if empty or b'"' in block:
                return False
            lines, end = lines + block.count(b"\n"), block[-2:]
    return True


class _Counted:
    """Lines of a file, counted."""

    def __init__(self, file: io.TextIOBase | io.TextIOWrapper) -> None:
        self._file, self.lines = file, 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.lines += 1
        return line


def delivered_part(file: DeliveredFile) -> Part:
    """A file that is read where it lies."""
    types = _types(file.path, file.file) if file.format == "parquet" else {}
    return Part(
        table=file.table,
        path=file.path,
        file=file.file,
        format=file.format,
        header=file.header,
        columns=file.columns,
        types=types,
        delimiter=file.delimiter,
        date_format=file.date_format,
        values=file.values,
    )


def staged_part(path: Path) -> Part:
    """A file that an importer staged: `<table>-<anything>.parquet`, with the columns `file` and `line`."""
    table = path.name.partition("-")[0]
    types = _types(path, path.name)
    if table not in EXTRACT_COLUMNS or not {"file", "line"} <= types.keys():
        raise Unreadable(
            "the importer staged a file of an unknown table, or without the columns `file` and `line`", file=path.name
        )
    columns = {column: (column,) for column in EXTRACT_COLUMNS[table] if column in types}
    return Part(table=table, path=path, file=None, format="parquet", header=tuple(types), columns=columns, types=types)


def _types(path: Path, file: str) -> dict[str, str]:
    with reading(file, "parquet"):
        schema = pq.read_schema(path)
    return {field.name: str(field.type) for field in schema}
