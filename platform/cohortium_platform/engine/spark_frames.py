"""Spark's method for every kind of frame and for everything that is taken from one.

A frame is a list of the patient's rows, in their order, in a column beside the patient: a filter gives a shorter list,
the latest row is its last item, a count its size. Rows come as structs with the columns of `ROW_FIELDS`. Not here:
series of the patient (`spark_patients`), and how rows come into lists (`spark_records`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from sqlglot import exp

from cohortium_platform.engine import spark_sql, sql
from cohortium_platform.engine.shape import is_about_row, parts_of
from cohortium_platform.engine.spark_series import Compiled, compile_series
from cohortium_platform.engine.spark_sql import Given
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.interpreter import FIRST_EPISODES
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import Frame, How, Series
from cohortium_plugins.model.values import ValueType

if TYPE_CHECKING:
    from cohortium_platform.engine.spark_patients import PatientScope

__all__ = [
    "FRAME_METHODS", "PICK_METHODS", "ROW_FIELDS", "TAKEN_METHODS", "column_of_row", "compile_frame", "group_field",
    "rows_column",
]  # fmt: skip

ROW = "row"
"""The row that a condition looks at."""

ROW_FIELDS: Mapping[str, str] = {
    "date": "DATE",
    "entry": "INT",
    "code": "BIGINT",
    "value": "DOUBLE",
    "source": "STRING",
    "unit": "STRING",
    "episode": "STRING",
    "kind": "STRING",
    "relationship": "STRING",
    "end_date": "DATE",
    "category": "STRING",
}
"""What a row is made of beside its `group_field`s, in the order by which rows are sorted (`Row.order`): Spark compares
structs field by field, unknown first."""


def rows_column(number: int) -> str:
    """Name the column with the rows of a codelist or table, by the number that stands for it."""
    return f"rows_{number}"


def group_field(number: int) -> str:
    """Name the field of a row with its category in a grouping codelist."""
    return f"group_{number}"


class RowScope:
    """A filter's condition, for the row at hand. A part that is said several times is worked out once."""

    def __init__(self, patient: PatientScope, condition: Series) -> None:
        self.patient = patient
        uses = Counter(child for part in _row_parts(condition) for child in parts_of(part))
        self._shared = {
            part: f"x{patient.number(part)}"
            for part in _row_parts(condition)
            if uses[part] > 1 and not isinstance(part, nodes.RowValue)
        }
        self._open: set[Series] = set()

    def condition(self, condition: Series) -> Sql:
        """Give the whole condition, its shared parts around it."""
        whole = self._written(condition)
        for part, name in reversed(self._shared.items()):
            item = sql.call("array", self._written(part))
            whole = sql.call("get", spark_sql.transformed(item, name, whole), sql.integer(0))
        return whole

    def _written(self, node: Series) -> Sql:
        return compile_series(self, node).value if is_about_row(node) else self.patient.given(node)

    def value(self, node: Series) -> Sql:
        """Give the value of a part of the condition for the row."""
        return spark_sql.variable(self._shared[node]) if node in self._shared else self._written(node)

    def reason(self, _node: Series) -> None:
        """Give none: a frame takes over the reasons of its condition's parts as a whole."""

    def fact(self, name: str) -> Sql:
        """Give a fact of the patient, or the index date."""
        return self.patient.fact(name)

    def taken(self, node: nodes.Exists | nodes.Count | nodes.Mean | nodes.PickValue) -> Compiled:
        """Refuse: what is taken from a frame is about the patient."""
        raise LookupError(type(node).__name__)

    def row(self, column: str) -> Sql:
        """Give a column of the row as a rule sees it."""
        return column_of_row(self.patient, lambda: spark_sql.variable(ROW), column)


def _row_parts(condition: Series) -> Iterator[Series]:
    """Yield the parts of a condition that are about the row, each once, parts first."""
    seen: set[Series] = set()
    stack = [(condition, False)]
    while stack:
        part, opened = stack.pop()
        if opened:
            yield part
        elif part not in seen and is_about_row(part):
            seen.add(part)
            stack.append((part, True))
            stack.extend((child, False) for child in reversed(list(parts_of(part))))


def column_of_row(patient: PatientScope, row: Given, column: str) -> Sql:
    """Give a column of a row as a rule sees it: an end date after the index date is not known yet."""
    if column == "practice":
        return sql.case([(sql.is_known(row()), patient.fact("practice"))])
    if column == "end_date":
        known = sql.binary(exp.LTE, spark_sql.field(row(), "end_date"), patient.fact("as_of"))
        return sql.case([(known, spark_sql.field(row(), "end_date"))])
    return spark_sql.field(row(), column)


# --- frames -------------------------------------------------------------------------------------------------------


def compile_frame(patient: PatientScope, frame: Frame) -> Sql:
    """Compile a frame to the list of its rows."""
    method = FRAME_METHODS.get(type(frame))
    if method is None:
        raise DefinitionError(f"{type(frame).__name__} has no method in Spark.")
    return method(patient, frame)


def _row_field(name: str) -> Sql:
    return spark_sql.field(spark_sql.variable(ROW), name)


def _rows(patient: PatientScope, frame: nodes.Rows) -> Sql:
    seen = sql.binary(exp.LTE, _row_field("date"), patient.fact("as_of"))
    return spark_sql.filtered(sql.column(rows_column(patient.numbering.rows[frame])), ROW, seen)


def _filter(patient: PatientScope, frame: nodes.Filter) -> Sql:
    condition = RowScope(patient, frame.condition).condition(frame.condition)
    return spark_sql.filtered(patient.frame(frame.frame), ROW, condition)


def _first_of_each(patient: PatientScope, frame: nodes.FirstOfEach) -> Sql:
    """The episode decides where there is one; else the row must be the first of its group, whatever its episode."""
    number = patient.numbering.groupings[frame.codelist]

    def group() -> Sql:
        named = sql.call("concat", sql.text("="), _row_field(group_field(number)))
        return sql.call("coalesce", named, sql.text(""))

    groups = patient.named("g", frame, spark_sql.transformed(patient.frame(frame.frame), ROW, group()))
    patient.keep(groups)
    place = sql.binary(exp.Add, spark_sql.variable("place"), sql.integer(1))
    by_order = sql.binary(exp.EQ, sql.call("array_position", groups, group()), place)
    by_episode = sql.is_in(_row_field("episode"), [sql.text(word) for word in FIRST_EPISODES])
    begins = sql.case([(sql.is_missing(_row_field("episode")), by_order)], by_episode)
    return sql.call("filter", patient.frame(frame.frame), spark_sql.lambda_of([ROW, "place"], begins))


def _near(patient: PatientScope, frame: nodes.Near) -> Sql:
    """Some row of the other frame lies between two days, which are worked out once a row."""
    days = patient.named("d", frame, spark_sql.transformed(patient.frame(frame.other), ROW, _row_field("date")))
    patient.keep(days)
    ends = [RowScope(patient, end).condition(end) for end in (frame.first, frame.last)]

    def has_one_near(first: Given, last: Given) -> Sql:
        inside = sql.between(spark_sql.variable("day"), first(), last())
        return sql.call("exists", days, spark_sql.lambda_of(["day"], inside))

    return spark_sql.filtered(patient.frame(frame.frame), ROW, spark_sql.let(ends, has_one_near, "ends"))


def _in_unit(patient: PatientScope, frame: nodes.InUnit) -> Sql:
    """The same rows with other values and units; the rest of a row stays."""
    as_written = sql.binary(exp.EQ, _row_field("unit"), sql.text(frame.unit))
    values = [(as_written, _row_field("value"))]
    for conversion in frame.conversions:
        found = _row_field("unit")
        is_this = (
            sql.is_missing(found) if conversion.unit is None else sql.binary(exp.EQ, found, sql.text(conversion.unit))
        )
        factor, offset = (spark_sql.literal(n, ValueType.NUMBER) for n in (conversion.factor, conversion.offset))
        made = sql.binary(exp.Add, sql.binary(exp.Mul, _row_field("value"), factor), offset)
        values.append((is_this, spark_sql.finite(made)))
    units = [(condition.copy(), sql.text(frame.unit)) for condition, _ in values]
    fields = {name: _row_field(name) for name in (*ROW_FIELDS, *map(group_field, patient.numbering.groupings.values()))}
    fields["value"] = sql.case(values)
    fields["unit"] = sql.case(units, _row_field("unit"))
    return spark_sql.transformed(patient.frame(frame.frame), ROW, spark_sql.struct(fields))


FRAME_METHODS: Mapping[type[Frame], Callable[..., Sql]] = {
    nodes.Rows: _rows,
    nodes.Filter: _filter,
    nodes.FirstOfEach: _first_of_each,
    nodes.Near: _near,
    nodes.InUnit: _in_unit,
}


# --- what is taken from a frame -----------------------------------------------------------------------------------


def _exists(rows: Sql) -> Sql:
    return sql.binary(exp.GT, sql.call("size", rows), sql.integer(0))


def _count(rows: Sql) -> Sql:
    return spark_sql.cast(sql.call("size", rows), ValueType.NUMBER)


def _count_days(rows: Sql) -> Sql:
    days = spark_sql.transformed(rows, ROW, _row_field("date"))
    return spark_sql.cast(sql.call("size", sql.call("array_distinct", days)), ValueType.NUMBER)


def _mean(rows: Sql) -> Sql:
    """Add in the order of the rows, one by one, which fixes the last digit, and divide once."""
    values = spark_sql.transformed(rows, ROW, _row_field("value"))
    known = spark_sql.filtered(values, "number", sql.is_known(spark_sql.variable("number")))

    def mean(numbers: Given) -> Sql:
        added = sql.binary(exp.Add, spark_sql.variable("total"), spark_sql.variable("number"))
        zero = spark_sql.literal(0.0, ValueType.NUMBER)
        total = sql.call("aggregate", numbers(), zero, spark_sql.lambda_of(["total", "number"], added))
        size = sql.call("size", numbers())
        return sql.case([(sql.binary(exp.GT, size, sql.integer(0)), sql.binary(exp.Div, total, size.copy()))])

    return spark_sql.finite(spark_sql.let([known], mean, "numbers"))


TAKEN_METHODS: Mapping[type[Series], Callable[[Sql], Sql]] = {
    nodes.Exists: _exists,
    nodes.Count: _count,
    nodes.CountDays: _count_days,
    nodes.Mean: _mean,
}


def _earliest(rows: Sql) -> Sql:
    return sql.call("get", rows, sql.integer(0))


def _latest(rows: Sql) -> Sql:
    return sql.call("try_element_at", rows, sql.integer(-1))


def _highest(rows: Sql) -> Sql:
    return _of_most(rows, exp.GTE)


def _lowest(rows: Sql) -> Sql:
    return _of_most(rows, exp.LTE)


def _of_most(rows: Sql, reaches: type[exp.Binary]) -> Sql:
    """Go through the rows with a value in order and keep the one that is not surpassed, the last of equals."""

    def most(valued: Given) -> Sql:
        best, row = spark_sql.variable("best"), spark_sql.variable(ROW)
        surpassed = sql.binary(reaches, spark_sql.field(row, "value"), spark_sql.field(best, "value"))
        better = sql.case([(surpassed, row.copy())], best.copy())
        start = sql.call("get", valued(), sql.integer(0))
        return sql.call("aggregate", valued(), start, spark_sql.lambda_of(["best", ROW], better))

    valued = spark_sql.filtered(rows, ROW, sql.is_known(_row_field("value")))
    return spark_sql.let([valued], most, "valued")


PICK_METHODS: Mapping[How, Callable[[Sql], Sql]] = {
    How.EARLIEST: _earliest,
    How.LATEST: _latest,
    How.HIGHEST: _highest,
    How.LOWEST: _lowest,
}
