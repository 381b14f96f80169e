"""A DuckDB connection for one evaluation: its limits, its statements run to the end, and how it is stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import duckdb
import pyarrow as pa

from cohortium_platform.errors import Cancelled, CohortiumError, Unavailable

__all__ = ["Cancellation", "EngineSettings", "Running", "connect"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What one evaluation may use: threads (None: all), memory as DuckDB writes sizes (None: most of it), and where it
    may spill what does not fit (None: nowhere).
    """

    threads: int | None = None
    memory_limit: str | None = None
    temporary: Path | None = None


class Cancellation:
    """Lets another thread stop an evaluation: the statement that runs is interrupted, and no other begins."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cancelled = False
        self._connection: duckdb.DuckDBPyConnection | None = None

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._cancelled

    def cancel(self) -> None:
        """Ask it to stop."""
        with self._lock:
            self._cancelled = True
            if self._connection is not None:
                self._connection.interrupt()

    @contextmanager
    def watching(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupt this connection when asked to, for the length of the block."""
        with self._lock:
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None


def connect(settings: EngineSettings) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB of its own, in memory, that loads no extensions."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "temp_directory": "" if settings.temporary is None else str(settings.temporary),
    }
    if settings.threads is not None:
        config["threads"] = str(settings.threads)
    if settings.memory_limit is not None:
        config["memory_limit"] = settings.memory_limit
    return duckdb.connect(config=config)


_FORESEE = "SET disabled_optimizers = ''"
_DO_NOT_FORESEE = "SET disabled_optimizers = 'statistics_propagation'"


class Running:
    """Runs statements to their end, since an unfinished result would own the connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, cancellation: Cancellation) -> None:
        self.connection, self.cancellation = connection, cancellation

    def foresee(self, *, outcomes: bool) -> None:
        """Let DuckDB use what it knows of a table's values to foresee outcomes, or not.

        Reading files needs it. For compiled rules it is off: in DuckDB 2.0.0 it refuses, for some contents of a table,
        a comparison whose outcome it foresees while one side is unknown ("BindBuiltinScalarFunction did not
        return...").
        """
        self.run(_FORESEE if outcomes else _DO_NOT_FORESEE)

    def run(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run a statement and give its rows. Raises `Cancelled`, `Unavailable` when a file cannot be read or memory is
        short, and `CohortiumError` without any content of records.
        """
        with self._told():
            return self.connection.execute(statement, list(parameters) or None).fetchall()

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
