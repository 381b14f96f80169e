"""A DuckDB of its own for one load: with limits, in a private folder, and with errors that quote nothing.

Here: opening it, running statements to their end, turning its errors into the importers' `Unreadable`. Not here: what
is asked of it.

DuckDB's own messages quote the line they stumbled on, so none of them is ever passed on. What it spills to disk lies in
the load's private folder and goes with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa

from cohortium_platform.errors import Unavailable
from cohortium_platform.ingest.limits import LoadLimits
from cohortium_plugins.importing import Unreadable

__all__ = ["Workbench", "literal", "name", "no_room", "reading", "sql_file"]

_LINE = re.compile(r"CSV Error on Line: (\d+)")
_CSV_FAULTS: Mapping[str, tuple[str, str]] = {
    "Expected Number of Columns": (
        "the row has more or fewer columns than the header",
        "Quote a value that holds a delimiter or a line's end.",
    ),
    "unterminated quote": ("a quotation mark is not closed, or stands inside a value", "Write it twice: RFC 4180."),
    "not utf-8": ("not UTF-8 text", "Save the file as UTF-8."),
    "Invalid unicode": ("not UTF-8 text", "Save the file as UTF-8."),
    "Maximum line size": ("a line longer than 2 MB", "Is a quotation mark missing?"),
    "invalid state": (
        "the lines do not end alike, or it is not RFC 4180",
        "Write the file again with one line ending.",
    ),
}
_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET python_enable_replacements = false",
    "SET streaming_buffer_size = '64MB'",
)
"""No statement reads a variable of Python's by its name; and reading goes on while a batch is being worked on."""
_NO_ROOM = ("No space left", "Out of Memory", "could not allocate", "max_temp_directory_size")


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def sql_file(path: Path) -> str:
    """A file's path as SQL. DuckDB takes *, ? and [ for a pattern: of a file called a[1].csv it would read a1.csv."""
    return literal(re.sub(r"([*?\[])", r"[\1]", str(path)))


def name(text: str) -> str:
    """A column's or table's name as SQL."""
    return '"' + text.replace('"', '""') + '"'


class Workbench:
    """A DuckDB in memory. One statement at a time; every result is taken to its end."""

    def __init__(self, folder: Path, limits: LoadLimits) -> None:
        self.folder, self.limits = folder, limits
        self._connection = duckdb.connect(
            config={
                "threads": limits.threads,
                "memory_limit": limits.memory,
                "temp_directory": str(folder / "spill"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        for setting in _SETTINGS:
            self.run(setting)

    def run(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """Run a statement for its effect."""
        self.rows(statement, parameters)

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Every row of a small result."""
        with _no_room():
            found: list[tuple[object, ...]] = self._connection.execute(statement, parameters).fetchall()
        return found

    def table(self, query: str) -> pa.Table:
        """A whole result as Arrow."""
        with _no_room():
            return self._connection.sql(query).to_arrow_table()

    def batches(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """A result piece by piece, in its order. Take it to its end, or close the workbench."""
        with _no_room():
            yield from self._connection.sql(query).to_arrow_reader(rows)

    def close(self) -> None:
        """Let go of its memory and files."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _no_room() -> Iterator[None]:
    """Tell a want of memory or disk from everything else."""
    try:
        yield
    except (duckdb.Error, OSError, pa.ArrowException) as failure:
        _refuse_no_room(failure)
        raise


def _refuse_no_room(failure: Exception) -> None:
    if any(sign in str(failure) for sign in _NO_ROOM):
        raise no_room() from None


def no_room() -> Unavailable:
    """Memory or disk is short."""
    return Unavailable(
        "There is not enough memory or disk for this load.", "Nothing was changed. Free some, and load it again."
    )


@contextmanager
def reading(shown_as: str, kind: str) -> Iterator[None]:
    """Turn what goes wrong while a delivered file is read into `Unreadable`, without a word of its content."""
    try:
        yield
    except (duckdb.Error, OSError, pa.ArrowException) as failure:
        _refuse_no_room(failure)
        raise _unreadable(str(failure), shown_as, kind) from None


def _unreadable(message: str, shown_as: str, kind: str) -> Unreadable:
    line = _LINE.search(message)
    if kind == "csv":
        after = message[line.end() :] if line else message
        for sign, (reason, advice) in _CSV_FAULTS.items():
            if sign in after:
                return Unreadable(reason, file=shown_as, line=int(line[1]) if line else None, advice=advice)
        return Unreadable("it cannot be read as CSV", file=shown_as, line=int(line[1]) if line else None)
    return Unreadable("it cannot be read as Parquet", file=shown_as, advice="Is the file whole? Send it again.")
