"""What an evaluation gives: results, members and lists, ready to be counted, fetched or written as Parquet.

Here: the finished tables, still inside their DuckDB connection. Not here: where files are kept (`results.store`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from cohortium_platform.engine.duckdb_running import Running
from cohortium_plugins.model.values import Status

__all__ = ["Counts", "EvaluatedTables", "Kind"]

ROW_GROUP = 50_000


class Kind(enum.StrEnum):
    """The three tables: a row a patient, indicator and index date; a row a member and index date, with strata; a line a
    member at the last index date, with every status, for pages.
    """

    RESULTS = "results"
    MEMBERS = "members"
    LIST = "list"


Counts = Mapping[str, Mapping[Status, int]]
"""How many patients an indicator gives each status, by the indicator's name."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file as written: how many rows each practice has in it."""

    path: Path
    rows: Mapping[str, int]


class EvaluatedTables:
    """The outcome of one evaluation. Close it, or use it in a `with` block: it holds a DuckDB connection."""

    def __init__(self, running: Running, queries: Mapping[Kind, str], last_date: date) -> None:
        self._running, self._queries, self._last_date = running, queries, last_date

    def fetch(self, kind: Kind) -> pa.Table:
        """Give a table's rows, sorted by practice, patient and index date, then in the order of the definition."""
        return self._running.table(self._queries[kind], self._parameters(kind))

    def _parameters(self, kind: Kind) -> list[object]:
        return [self._last_date] if kind is Kind.LIST else []

    def close(self) -> None:
        """Give back the memory."""
        self._running.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
