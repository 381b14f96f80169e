"""A DuckDB connection for one evaluation: its statements run to the end, and what it tells when one fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from cohortium_platform.engine.control import Cancellation, EngineSettings
from cohortium_platform.errors import Cancelled, CohortiumError, Unavailable

__all__ = ["Running", "connect"]


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
