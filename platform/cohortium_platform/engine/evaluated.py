"""What an evaluation gives, whichever engine worked it out: results, members and lists, as columns.

Not here: how an engine holds them (`duckdb`, `spark`), and where files are kept (`results.store`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa

from cohortium_plugins.model.values import Status, ValueType

__all__ = ["MAY_CHANGE", "RESULT_COLUMNS", "RESULT_TYPES", "STATUS_CODES", "EvaluatedTables", "Kind"]

STATUS_CODES: Mapping[Status, int] = {status: number for number, status in enumerate(Status)}
"""The number that stands for a status in columns."""

RESULT_COLUMNS: Mapping[str, ValueType] = {
    "patient_id": ValueType.CODE,
    "practice": ValueType.TEXT,
    "indicator": ValueType.TEXT,
    "index_date": ValueType.DATE,
    "status": ValueType.TEXT,
    "reason": ValueType.TEXT,
    "due_date": ValueType.DATE,
    "due_now": ValueType.BOOL,
    "met_date": ValueType.DATE,
    "value": ValueType.NUMBER,
    "value_code": ValueType.CODE,
    "value_text": ValueType.TEXT,
    "adjustment": ValueType.TEXT,
    "event_date": ValueType.DATE,
    "event_code": ValueType.CODE,
    "event_source": ValueType.TEXT,
    "window_end": ValueType.DATE,
}
"""The columns of results, in order: those of `cohortium_plugins.record.Result`."""

RESULT_TYPES: Mapping[ValueType, pa.DataType] = {
    ValueType.CODE: pa.int64(),
    ValueType.TEXT: pa.dictionary(pa.int32(), pa.string()),
    ValueType.DATE: pa.date32(),
    ValueType.BOOL: pa.bool_(),
    ValueType.NUMBER: pa.float64(),
}
"""How columns of results are held. Words are numbers of a dictionary: there are few, and results by the million."""


MAY_CHANGE = "may_change"
"""The column of results and lists, where an engine was asked to look ahead: at the last index date, the first day on
which anything in the row may differ with nothing more recorded (NULL: never; at earlier dates it says nothing)."""


class Kind(enum.StrEnum):
    """The three tables: a row a patient, indicator and index date; a row a member and index date, with strata; a line a
    member at the last index date, with every status, for pages.
    """

    RESULTS = "results"
    MEMBERS = "members"
    LIST = "list"


class EvaluatedTables(Protocol):
    """The outcome of one evaluation. Close it, or use it in a `with` block: an engine may hold much memory for it."""

    def fetch(self, kind: Kind) -> pa.Table:
        """Give a table's rows, sorted by practice, patient and index date, then in the order of the definition."""

    def close(self) -> None:
        """Give back the memory."""

    def __enter__(self) -> Self:
        """Give itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
