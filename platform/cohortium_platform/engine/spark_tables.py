"""From the lines that Spark gives to the tables of an evaluation: lists become rows, sorted and typed.

Not here: any decision. What a row says, Spark has said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from cohortium_platform.engine.evaluated import MAY_CHANGE, RESULT_COLUMNS, RESULT_TYPES, Kind
from cohortium_platform.engine.spark_status import LINE_KEYS, MEMBERS, POSITION, RESULTS
from cohortium_plugins import dates
from cohortium_plugins.model.definition import Definition
from cohortium_plugins.model.values import Duration, Unit

__all__ = ["SparkTables"]

_FIXED = {"patient_id": pa.int64(), "practice": pa.string(), "cohort": pa.string(), "index_date": pa.date32()}
_COUNTED = {"gaps": pa.uint16(), "due": pa.uint16(), "age": pa.int16(), "sex": pa.string()}
_SHOWN = {
    "since": pa.date32(), "shown_number": pa.float64(), "shown_code": pa.int64(), "shown_text": pa.string(),
    "origin_date": pa.date32(), "origin_code": pa.int64(),
}  # fmt: skip


class SparkTables:
    """The outcome of one evaluation, already fetched: `EvaluatedTables`."""

    def __init__(self, lines: pa.Table, definition: Definition, last_date: date, *, outlook: bool) -> None:
        self._lines, self._definition, self._last_date, self._outlook = lines, definition, last_date, outlook

    def fetch(self, kind: Kind) -> pa.Table:
        """Give a table's rows, sorted by practice, patient and index date, then in the order of the definition."""
        found = self._rows(kind)
        if not self._outlook or kind is Kind.MEMBERS:
            return found
        last = pc.equal(found.column("index_date"), pa.scalar(self._last_date))
        following = pa.scalar(dates.add(self._last_date, Duration(1, Unit.DAYS)), pa.date32())
        return found.append_column(MAY_CHANGE, pc.if_else(last, following, pa.scalar(None, pa.date32())))

    def _rows(self, kind: Kind) -> pa.Table:
        if kind is Kind.RESULTS:
            names = [indicator.name for indicator in self._definition.indicators]
            schema = {name: RESULT_TYPES[of] for name, of in RESULT_COLUMNS.items()}
            return _rows(self._lines, RESULTS, "indicator", names, schema)
        names = [cohort.name for cohort in self._definition.cohorts]
        strata = [
            name for stratifier in self._definition.stratifiers
            for name in (stratifier.name, f"{stratifier.name}__reason")
        ]  # fmt: skip
        more = {**_SHOWN, **dict.fromkeys(strata, pa.string())}
        if kind is Kind.MEMBERS:
            return _rows(self._lines, MEMBERS, "cohort", names, {**_FIXED, **more})
        statuses = {f"status:{indicator.name}": pa.uint8() for indicator in self._definition.indicators}
        lines = self._lines.filter(pc.equal(self._lines.column("as_of"), pa.scalar(self._last_date)))
        return _rows(lines, MEMBERS, "cohort", names, {**_FIXED, **_COUNTED, **more, **statuses})

    def close(self) -> None:
        """Give back the memory."""
        self._lines = self._lines.slice(0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rows(lines: pa.Table, column: str, of: str, names: Sequence[str], schema: Mapping[str, pa.DataType]) -> pa.Table:
    """Make one row of each item of a list; `of` is the column for what its position names."""
    types = pa.schema(list(schema.items()))
    if column not in lines.column_names or not lines.num_rows:
        return types.empty_table()
    lists = lines.column(column).combine_chunks()
    lines_of = pc.list_parent_indices(lists)
    keys = lines.select(LINE_KEYS).take(lines_of)
    items = pc.list_flatten(lists)
    fields = {field.name: values for field, values in zip(items.type, items.flatten(), strict=True)}
    known = {"practice": keys.column(0), "patient_id": keys.column(1), "index_date": keys.column(2), **fields}
    known[of] = pa.array(names, pa.string()).take(fields[POSITION])
    wanted = pa.table({**{name: known[name] for name in schema}, " position": fields[POSITION]})
    order = [(name, "ascending") for name in ("practice", "patient_id", "index_date", " position")]
    return wanted.sort_by(order).drop_columns(" position").cast(types)
