"""DuckDB's method for every kind of frame and for everything that is taken from one.

A frame is a list of the patient's rows, in their order, in a column beside the patient: a filter gives a shorter list,
the latest row is its last item, a count its size. Rows are structs with the fields that the definition asks for. Not
here: series of the patient (`duckdb_patients`), and how rows come into lists (`duckdb_rows`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.duckdb_lists import (
    Given,
    at,
    bound,
    field,
    filtered,
    lambda_of,
    let,
    size,
    transformed,
    variable,
)
from cohortium_platform.engine.duckdb_series import Compiled, compile_series
from cohortium_platform.engine.shape import column_of, condition_of, is_about_row, parts_of, rows_of
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.interpreter import FIRST_EPISODES
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import Frame, How, Rows, Series
from cohortium_plugins.model.values import ValueType

if TYPE_CHECKING:
    from cohortium_platform.engine.duckdb_patients import PatientScope

__all__ = [
    "FRAME_METHODS", "PICK_METHODS", "TAKEN_METHODS", "RowScope", "column_of_row", "compile_frame", "group_field",
    "rows_column",
]  # fmt: skip

ROW = "row"
"""The row that a condition looks at."""

_SMALL = 12
"""An expression of no more parts is written again where it is used again: a name for it would cost more."""

_WRITE_ONCE = (nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.IsIn, nodes.IsMissing)

_TOGETHER = 8
"""So many conditions of filters on top of each other are asked in one go; more go on from the filter below."""


def rows_column(number: int) -> str:
    """Name the column with the rows of a codelist or table, by the number that stands for it."""
    return f"rows_{number}"


def group_field(number: int) -> str:
    """Name the field of a row with its category in a grouping codelist."""
    return f"group_{number}"


class RowScope:
    """Values of a row of a table, beside the patient at whose index date it is seen. Parts that a value mentions
    several times are worked out once.
    """

    def __init__(self, patient: PatientScope, rows: Rows, row: Given) -> None:
        self.patient, self.rows, self._row = patient, rows, row
        self._shared: dict[Series, str] = {}

    def written(self, *whole: Series, join: Callable[[list[Sql]], Sql] = lambda found: found[0]) -> Sql:
        """Write series, joined, with the parts that they share around them."""
        self._shared = _shared(whole, self.patient.number)
        made = join([self._written(series) for series in whole])
        for part, name in reversed(self._shared.items()):
            made = bound(self._written(part), name, made)
        return made

    def _written(self, node: Series) -> Sql:
        return compile_series(self, node).value if is_about_row(node) else self.patient.given(node)

    # --- series, as `Scope` has them ------------------------------------------------------------------------------

    def value(self, node: Series) -> Sql:
        """Give the value of a part for the row."""
        return variable(self._shared[node]) if node in self._shared else self._written(node)

    def reason(self, _node: Series) -> None:
        """Give none: a frame takes over the reasons of its condition's parts as a whole."""

    def fact(self, name: str) -> Sql:
        """Give a fact of the patient, or the index date."""
        return self.patient.fact(name)

    def taken(self, node: nodes.Exists | nodes.Count | nodes.Mean | nodes.PickValue) -> Compiled:
        """Refuse: what is taken from a frame is about the patient."""
        raise LookupError(type(node).__name__)

    def row(self, column: str) -> Sql:
        """Give a column of the row as a rule sees it: an end date after the index date is not known yet."""
        if column == "practice":
            return sql.case([(sql.is_known(self._row()), self.fact("practice"))])
        if column == "end_date":
            seen = sql.binary(exp.LTE, self.field("end_date"), self.fact("as_of"))
            return sql.case([(seen, self.field("end_date"))])
        return self.field(column)

    def field(self, name: str) -> Sql:
        """Give a column of the row as it was read."""
        self.patient.ask(self.rows, name)
        return field(self._row(), name)


def _shared(whole: Sequence[Series], number: Callable[[Series], int]) -> dict[Series, str]:
    """Name the parts about the row that would be written more than once and are large, parts first."""
    order = list(dict.fromkeys(part for series in whole for part in _row_parts(series)))
    uses: Counter[Series] = Counter()
    for part in order:
        uses.update({child: _times(part) for child in set(parts_of(part))})
    sizes: dict[Series, int] = {}
    shared: dict[Series, str] = {}
    for part in order:
        sizes[part] = 1 + _times(part) * sum(sizes.get(child, 1) for child in parts_of(part))
        if sizes[part] > _SMALL and uses[part] > 1:
            shared[part] = f"x{number(part)}"
            sizes[part] = 1
    return shared


def _times(part: Series) -> int:
    """Tell how often a part's method may write what it is made of."""
    return 1 if isinstance(part, _WRITE_ONCE) else 4


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


def column_of_row(patient: PatientScope, frame: Frame, row: Given, column: str) -> Sql:
    """Give a column of a row as rows of a frame have it."""
    return RowScope(patient, rows_of(frame), row).written(column_of(frame, column))


def _column(patient: PatientScope, frame: Frame, column: str) -> Sql:
    return column_of_row(patient, frame, lambda: variable(ROW), column)


# --- frames -------------------------------------------------------------------------------------------------------


def compile_frame(patient: PatientScope, frame: Frame) -> Sql:
    """Compile a frame to the list of its rows."""
    method = FRAME_METHODS.get(type(frame))
    if method is None:
        raise DefinitionError(f"{type(frame).__name__} has no method in DuckDB.")
    return method(patient, frame)


def _scope(patient: PatientScope, frame: Frame) -> RowScope:
    return RowScope(patient, rows_of(frame), lambda: variable(ROW))


def _rows(patient: PatientScope, frame: Rows) -> Sql:
    return _filtered(patient, frame, [])


def _filter(patient: PatientScope, frame: nodes.Filter) -> Sql:
    """Ask the conditions of filters on top of each other in one go: each list on the way would be a copy of rows."""
    conditions: list[Series] = []
    below: Frame = frame
    while isinstance(below, nodes.Filter) and len(conditions) < _TOGETHER:
        conditions.append(condition_of(below))
        below = below.frame
    return _filtered(patient, below, conditions[::-1])


def _filtered(patient: PatientScope, frame: Frame, conditions: Sequence[Series]) -> Sql:
    scope = _scope(patient, frame)
    if not isinstance(frame, Rows):
        return filtered(patient.frame(frame), ROW, scope.written(*conditions, join=sql.all_of))
    seen = sql.binary(exp.LTE, scope.field("date"), patient.fact("as_of"))
    condition = scope.written(*conditions, join=lambda found: sql.all_of([seen, *found]))
    return filtered(sql.column(rows_column(patient.numbering.rows[frame])), ROW, condition)


def _first_of_each(patient: PatientScope, frame: nodes.FirstOfEach) -> Sql:
    """The episode decides where there is one; else the row must be the first of its group, whatever its episode."""
    number, scope = patient.numbering.groupings[frame.codelist], _scope(patient, frame)

    def group() -> Sql:
        named = exp.DPipe(this=sql.text("="), expression=scope.field(group_field(number)))
        return sql.call("coalesce", named, sql.text(""))

    groups = patient.named("g", frame, transformed(patient.frame(frame.frame), ROW, group()))
    patient.keep(groups)
    by_order = sql.binary(exp.EQ, sql.call("list_position", groups, group()), variable("place"))
    by_episode = sql.is_in(scope.field("episode"), [sql.text(word) for word in FIRST_EPISODES])
    begins = sql.case([(sql.is_missing(scope.field("episode")), by_order)], by_episode)
    return sql.call("list_filter", patient.frame(frame.frame), lambda_of([ROW, "place"], begins))


def _near(patient: PatientScope, frame: nodes.Near) -> Sql:
    """Some day of the other frame's rows lies in the row's window, whose ends are worked out once a row."""
    other = _scope(patient, frame.other)
    days = patient.named("d", frame, transformed(patient.frame(frame.other), ROW, other.field("date")))
    patient.keep(days)
    first, last = (_scope(patient, frame).written(end) for end in (frame.first, frame.last))

    def near(ends: Given) -> Sql:
        within = sql.between(variable("day"), field(ends(), "first"), field(ends(), "last"))
        return sql.binary(exp.GT, size(filtered(days, "day", within)), sql.integer(0))

    found = let(sql.struct({"first": first, "last": last}), "ends", near)
    return filtered(patient.frame(frame.frame), ROW, found)


def _in_unit(patient: PatientScope, frame: nodes.InUnit) -> Sql:
    """The same rows; what differs is their value and unit: `shape.column_of`."""
    return patient.frame(frame.frame)


FRAME_METHODS: Mapping[type[Frame], Callable[..., Sql]] = {
    nodes.Rows: _rows,
    nodes.Filter: _filter,
    nodes.FirstOfEach: _first_of_each,
    nodes.Near: _near,
    nodes.InUnit: _in_unit,
}


# --- what is taken from a frame -----------------------------------------------------------------------------------


def _exists(patient: PatientScope, frame: Frame) -> Sql:
    return sql.binary(exp.GT, size(patient.frame(frame)), sql.integer(0))


def _count(patient: PatientScope, frame: Frame) -> Sql:
    return sql.cast(size(patient.frame(frame)), ValueType.NUMBER)


def _count_days(patient: PatientScope, frame: Frame) -> Sql:
    days = transformed(patient.frame(frame), ROW, _column(patient, frame, "date"))
    return sql.cast(sql.call("list_unique", days), ValueType.NUMBER)


def _mean(patient: PatientScope, frame: Frame) -> Sql:
    """Add in the order of the rows, which fixes the last digit, and divide once."""
    values = transformed(patient.frame(frame), ROW, _column(patient, frame, "value"))
    known = filtered(values, "number", sql.is_known(variable("number")))

    def mean(numbers: Given) -> Sql:
        return sql.binary(exp.Div, sql.call("list_sum", numbers()), size(numbers()))

    def finite(found: Given) -> Sql:
        return sql.case([(sql.call("isfinite", found()), found())])

    return let(let(known, "numbers", mean), "mean", finite)


TAKEN_METHODS: Mapping[type[Series], Callable[[PatientScope, Frame], Sql]] = {
    nodes.Exists: _exists,
    nodes.Count: _count,
    nodes.CountDays: _count_days,
    nodes.Mean: _mean,
}


def _earliest(patient: PatientScope, frame: Frame) -> Sql:
    return at(patient.frame(frame), 1)


def _latest(patient: PatientScope, frame: Frame) -> Sql:
    return at(patient.frame(frame), -1)


def _highest(patient: PatientScope, frame: Frame) -> Sql:
    return _of_most(patient, frame, _column(patient, frame, "value"))


def _lowest(patient: PatientScope, frame: Frame) -> Sql:
    return _of_most(patient, frame, sql.minus(_column(patient, frame, "value")))


def _of_most(patient: PatientScope, frame: Frame, value: Sql) -> Sql:
    """Give the row with the most, the last of several; rows without a value are no candidates."""
    ranks = sql.struct({"value": value, "place": variable("place")})
    ranked = sql.call("list_transform", patient.frame(frame), lambda_of([ROW, "place"], ranks))
    valued = filtered(ranked, "rank", sql.is_known(field(variable("rank"), "value")))
    place = field(sql.call("list_max", valued), "place")
    return sql.call("list_extract", patient.frame(frame), place)


PICK_METHODS: Mapping[How, Callable[[PatientScope, Frame], Sql]] = {
    How.EARLIEST: _earliest,
    How.LATEST: _latest,
    How.HIGHEST: _highest,
    How.LOWEST: _lowest,
}
