"""A DuckDB connection for one evaluation: its statements run to the end, and what it tells when one fails.

Opening a DuckDB takes as long as reading a practice, and reading a long statement as long as planning it. So one DuckDB
is kept while nobody uses it, emptied, and statements are kept as they were parsed. Not here: what statements say.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

import duckdb
import pyarrow as pa

from cohortium_platform.engine.control import Cancellation, EngineSettings
from cohortium_platform.errors import Cancelled, CohortiumError, Unavailable

__all__ = ["DO_NOT_FORESEE", "FORESEE", "Lent", "Running", "lend"]

_STATEMENTS_KEPT = 256


class Lent:
    """A DuckDB in memory that one evaluation has for itself, and a connection to it (`connection`) that holds all that
    the evaluation makes.
    """

    def __init__(self, instance: duckdb.DuckDBPyConnection, memory_limit: str | None) -> None:
        self._instance, self._memory_limit = instance, memory_limit
        self.connection = instance.cursor()

    def give_back(self) -> None:
        """Throw away what was made, and keep the empty DuckDB for the next one that asks for as much memory."""
        self.connection.close()
        if _emptied(self._instance):
            _idle.keep(self._memory_limit, self._instance)
        else:
            self._instance.close()

    def close(self) -> None:
        """Throw it away as a whole, after something went wrong."""
        self.connection.close()
        self._instance.close()


class _Idle:
    """The one DuckDB that is kept while nobody uses it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: tuple[str | None, duckdb.DuckDBPyConnection] | None = None

    def take(self, memory_limit: str | None) -> duckdb.DuckDBPyConnection | None:
        """Take the one with this limit, if there is one."""
        with self._lock:
            if self._kept is None or self._kept[0] != memory_limit:
                return None
            found = self._kept[1]
            self._kept = None
            return found

    def keep(self, memory_limit: str | None, instance: duckdb.DuckDBPyConnection) -> None:
        """Keep this one, and close the one kept before."""
        with self._lock:
            former, self._kept = self._kept, (memory_limit, instance)
        if former is not None:
            former[1].close()


_idle = _Idle()
_of_parents: list[_Idle] = []


def _leave_to_parent() -> None:
    """After a fork a DuckDB has lost its threads: neither use it nor close it."""
    global _idle  # noqa: PLW0603 - there is one a process
    _of_parents.append(_idle)
    _idle = _Idle()


os.register_at_fork(after_in_child=_leave_to_parent)


def _emptied(instance: duckdb.DuckDBPyConnection) -> bool:
    """Bring settings back; one that has spilled to disk holds on to its folder, and cannot be used again."""
    try:
        instance.execute("SET temp_directory = ''").fetchall()
        instance.execute(FORESEE).fetchall()
    except duckdb.Error:
        return False
    return True


def lend(settings: EngineSettings) -> Lent:
    """Lend a DuckDB, in memory, that loads no extensions: the one kept, or a new one."""
    instance = _idle.take(settings.memory_limit)
    if instance is None:
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": "",
        }
        if settings.memory_limit is not None:
            config["memory_limit"] = settings.memory_limit
        instance = duckdb.connect(config=config)
    if settings.threads is None:
        instance.execute("RESET threads").fetchall()
    else:
        instance.execute("SET threads = $1", [settings.threads]).fetchall()
    if settings.temporary is not None:
        instance.execute("SET temp_directory = $1", [str(settings.temporary)]).fetchall()
    return Lent(instance, settings.memory_limit)


class _Parsed:
    """Statements as DuckDB parsed them, by their text: those used last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[str, duckdb.Statement] = OrderedDict()

    def of(self, connection: duckdb.DuckDBPyConnection, text: str) -> duckdb.Statement:
        """Give a statement, parsed now if it was not before."""
        with self._lock:
            if text in self._kept:
                self._kept.move_to_end(text)
                return self._kept[text]
        (made,) = connection.extract_statements(text)
        with self._lock:
            self._kept[text] = made
            while len(self._kept) > _STATEMENTS_KEPT:
                self._kept.popitem(last=False)
        return made


_parsed = _Parsed()

FORESEE = "SET disabled_optimizers = ''"
DO_NOT_FORESEE = "SET disabled_optimizers = 'statistics_propagation,join_order,build_side_probe_side'"


class Running:
    """Runs statements to their end, since an unfinished result would own the connection. `keep`: whether statements are
    kept as they were parsed, which no two threads may run at once.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, cancellation: Cancellation, *, keep: bool = True) -> None:
        self.connection, self.cancellation, self._keep = connection, cancellation, keep

    def foresee(self, *, outcomes: bool) -> None:
        """Let DuckDB use what it knows of a table's values to foresee outcomes, or not.

        Reading files needs it. For compiled rules it is off: in DuckDB 2.0.0 it refuses, for some contents of a table,
        a comparison whose outcome it foresees while one side is unknown ("BindBuiltinScalarFunction did not
        return..."). Joins are then made as they are written: lists of rows stay where they are.
        """
        self.run(FORESEE if outcomes else DO_NOT_FORESEE)

    def in_one_thread(self) -> None:
        """Work in one thread from here on: for few people, sharing the work out costs more than it gives."""
        self.run("SET threads = 1")

    def run(self, statement: str, parameters: Sequence[object] = (), *, again: bool = True) -> list[tuple[object, ...]]:
        """Run a statement and give its rows; keep it parsed if it may come `again`. Raises `Cancelled`,
        `Unavailable` when a file cannot be read or memory is short, and `CohortiumError` without content of records.
        """
        with self._told():
            parsed = _parsed.of(self.connection, statement) if again and self._keep else statement
            return self.connection.execute(parsed, list(parameters) or None).fetchall()

    def table(self, query: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Run a query and give its rows as Arrow columns. Raises as `run` does."""
        with self._told():
            return self.connection.sql(query, params=list(parameters) or None).to_arrow_table()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what went wrong, without quoting any row."""
        if self.cancellation.cancelled:
            raise Cancelled("The evaluation was cancelled.")
        try:
            yield
        except duckdb.InterruptException:
            raise Cancelled("The evaluation was cancelled.") from None
        except (duckdb.IOException, duckdb.InvalidInputException) as failure:
            raise Unavailable("A file of records or results cannot be read.", "See the service's log.") from failure
        except duckdb.OutOfMemoryException:
            raise Unavailable(
                "An evaluation needs more memory than it may use.", "Raise COHORTIUM_MEMORY_LIMIT, or evaluate later."
            ) from None
        except duckdb.Error as failure:
            raise CohortiumError(f"DuckDB refused a statement of the engine ({type(failure).__name__}).") from None
