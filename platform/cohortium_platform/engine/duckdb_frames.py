"""DuckDB's method for every kind of frame and for everything that is taken from one.

Rows have a number (`rid`) that follows their order. A frame becomes a column beside the rows that it stands on: the
row's number where the row belongs to the frame, nothing where it does not. What is taken from a frame is an aggregate
over that column: the first row has its least number, the last its greatest. Not here: series of the patient
(`duckdb_patients`), and reading files (`duckdb_records`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.bindings import Bindings
from cohortium_platform.engine.duckdb_patients import PatientScope, taken_column
from cohortium_platform.engine.duckdb_series import Compiled, compile_series
from cohortium_platform.engine.shape import Days, column_of, condition_of, is_about_row
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.interpreter import FIRST_EPISODES
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import Frame, How, Pick, Series

__all__ = ["AGGREGATE_METHODS", "FRAME_METHODS", "PICK_METHODS", "RowScope", "rows_table"]

PATIENT, ROW = "s", "r"
_ROW = "row_"


def rows_table(table: str) -> str:
    """Name the temporary table that holds the rows of a table that rules ask for."""
    return f"rows_{table}"


def of_row(column: str) -> str:
    """Name a row's column where it stands beside columns of the patient."""
    return f"{_ROW}{column}"


class RowScope:
    """Conditions on the rows of one table, beside the patient at whose index date they are seen.

    `numbers`: the number by which the table tells apart the codelists' rows; `groupings`: likewise for grouping lists.
    `alone`: the one codelist read here, if it is one only, so that nothing must be told apart.
    """

    def __init__(
        self, patient: PatientScope, numbers: Mapping[nodes.Rows, int], groupings: Mapping[str, int], *, alone: bool
    ) -> None:
        self.bindings = Bindings()
        self.numbers, self.groupings, self.alone = numbers, groupings, alone
        self.patient = patient
        self._compiled: dict[Series, Sql] = {}
        self.columns: dict[str, None] = {}
        """Columns of the patient and of rows that conditions ask for."""

    # --- series, as `Scope` has them ------------------------------------------------------------------------------

    def value(self, node: Series) -> Sql:
        """Give the value of a part of a condition for the row."""
        if not is_about_row(node):
            return self._asked(self.patient.value(node))
        if node not in self._compiled:
            made = compile_series(self, node).value
            if not isinstance(made, exp.Column):
                self.bindings.define(f"x{self.patient.number(node)}", made)
                made = sql.column(f"x{self.patient.number(node)}")
            self._compiled[node] = made
        return self._compiled[node].copy()

    def reason(self, _node: Series) -> None:
        """Give none: a frame takes over the reasons of its condition's parts as a whole."""

    def fact(self, name: str) -> Sql:
        """Give a fact of the patient, or the index date."""
        return self._asked(sql.column(name))

    def taken(self, node: Series) -> Compiled:
        """Refuse: what is taken from a frame is about the patient."""
        raise LookupError(type(node).__name__)

    def group(self, codelist: str) -> Sql:
        """Give the row's category in a grouping codelist."""
        position = sql.integer(self.groupings[codelist] + 1)
        return sql.call("list_extract", self._asked(sql.column(of_row("groups"))), position)

    def row(self, column: str) -> Sql:
        """Give a column of the row as a rule sees it: an end date after the index date is not known yet."""
        if column == "practice":
            return self.fact("practice")
        found = self._asked(sql.column(of_row(column)))
        if column == "end_date":
            return sql.case([(sql.binary(exp.LTE, found, self.fact("as_of")), found.copy())])
        return found

    def column(self, frame: Frame, column: str) -> Sql:
        """Give a column of the row as rows of a frame have it."""
        return self.value(column_of(frame, column))

    def days(self, frame: Frame) -> Sql:
        """Give the days of the patient's rows of another frame, as a list."""
        return self._asked(sql.column(taken_column(self.patient.number(Days(frame)))))

    def of_patient(self, value: Sql) -> Sql:
        """Take over columns of the patient that stand beside the row."""
        return self._asked(value)

    def _asked(self, value: Sql) -> Sql:
        self.columns.update(dict.fromkeys(column.name for column in sql.columns_in(value)))
        return value

    def asked(self) -> list[str]:
        """List the columns of the patient that the conditions ask for."""
        return [name for name in self.columns if not name.startswith(_ROW) and name not in self.bindings]

    # --- frames ---------------------------------------------------------------------------------------------------

    def member(self, frame: Frame) -> Sql:
        """Give the row's number where the row belongs to the frame."""
        name = f"k{self.patient.number(frame)}"
        if name not in self.bindings:
            tests = self.tests(frame)
            number = self.row("rid")
            self.bindings.define(name, sql.case([(sql.all_of(tests), number)]) if tests else number)
        return sql.column(name)

    def tests(self, frame: Frame) -> list[Sql]:
        """List what must be true of a row of the frame."""
        method = FRAME_METHODS.get(type(frame))
        if method is None:
            raise DefinitionError(f"{type(frame).__name__} has no method in DuckDB.")
        return method(self, frame)

    def select(self, aggregates: Sequence[tuple[str, Sql]], source: str, table: str) -> exp.Select:
        """Write the SELECT that takes aggregates from a table's rows, one line a patient and index date."""
        wanted = dict.fromkeys(
            column.name for _, made in aggregates for column in sql.columns_in(made) if column.name in self.bindings
        )
        for _, made in aggregates:
            self._asked(made)
        given = [name for name in dict.fromkeys(["sid", *self.columns]) if name not in self.bindings]
        seen = self.bindings.select(list(wanted), 0, self._seen(given, source, table), given)
        columns = [sql.aliased(made, name) for name, made in aggregates]
        return sql.select([sql.column("sid"), *columns], seen).group_by(sql.column("sid"), copy=False)

    def _seen(self, given: Collection[str], source: str, table: str) -> exp.Select:
        """Write the SELECT of the rows that can be seen at each index date."""
        own = {of_row(name): name for name in (*nodes.ROW_COLUMNS, "rid", "codelist", "groups")}
        columns = [
            sql.aliased(sql.column(own[name], ROW), name) if name in own else sql.column(name, PATIENT)
            for name in given
        ]
        seen = [sql.binary(exp.LTE, sql.column("date", ROW), sql.column("as_of", PATIENT))]
        if any(rows.codelist is not None for rows in self.numbers):
            listed = [sql.integer(number) for number in self.numbers.values()]
            seen.append(sql.is_in(sql.column("codelist", ROW), listed))
        same = exp.EQ(this=sql.column("pid", ROW), expression=sql.column("pid", PATIENT))
        return (
            sql.select(columns, sql.table(source, PATIENT))
            .join(sql.table(rows_table(table), ROW), on=same, copy=False)
            .where(sql.all_of(seen), copy=False)
        )


# --- frames -------------------------------------------------------------------------------------------------------


def _rows(scope: RowScope, frame: nodes.Rows) -> list[Sql]:
    if scope.alone:
        return []
    return [sql.binary(exp.EQ, scope.row("codelist"), sql.integer(scope.numbers[frame]))]


def _filter(scope: RowScope, frame: nodes.Filter) -> list[Sql]:
    return [*scope.tests(frame.frame), scope.value(condition_of(frame))]


def _first_of_each(scope: RowScope, frame: nodes.FirstOfEach) -> list[Sql]:
    """The episode decides where there is one; else no row of the group, whatever its episode, comes before."""
    name = f"first{scope.patient.number(frame)}"
    if name not in scope.bindings:
        partition = [scope.fact("sid"), scope.group(frame.codelist)]
        first = exp.Window(this=sql.call("min", scope.member(frame.frame)), partition_by=partition)
        scope.bindings.define(name, first, fixed=True)
    by_order = sql.binary(exp.EQ, sql.column(name), scope.row("rid"))
    by_episode = sql.is_in(scope.row("episode"), [sql.text(word) for word in FIRST_EPISODES])
    begins = sql.case([(sql.is_missing(scope.row("episode")), by_order)], otherwise=by_episode)
    return [*scope.tests(frame.frame), begins]


def _near(scope: RowScope, frame: nodes.Near) -> list[Sql]:
    """Some day of the other frame's rows lies in the row's window; without a list, or beyond the calendar, none."""
    number = scope.patient.number(frame)
    ends = {f"first_day{number}": frame.first, f"last_day{number}": frame.last}
    for name, end in ends.items():  # worked out once a row, and not once for each day of the list
        if name not in scope.bindings:
            scope.bindings.define(name, scope.value(end), fixed=True)
    day = sql.name("day")
    within = sql.between(day, *(sql.column(name) for name in ends))
    found = sql.call("list_filter", scope.days(frame.other), exp.Lambda(this=within, expressions=[day.copy()]))
    return [*scope.tests(frame.frame), sql.binary(exp.GT, sql.call("len", found), sql.integer(0))]


def _in_unit(scope: RowScope, frame: nodes.InUnit) -> list[Sql]:
    """The same rows; what differs is their value and unit: `shape.column_of`."""
    return scope.tests(frame.frame)


FRAME_METHODS: Mapping[type[Frame], Callable[..., list[Sql]]] = {
    nodes.Rows: _rows,
    nodes.Filter: _filter,
    nodes.FirstOfEach: _first_of_each,
    nodes.Near: _near,
    nodes.InUnit: _in_unit,
}


# --- what is taken from a frame -----------------------------------------------------------------------------------


def _exists(scope: RowScope, node: nodes.Exists) -> Sql:
    return sql.call("max", scope.member(node.frame))


def _count(scope: RowScope, node: nodes.Count) -> Sql:
    return sql.call("count", scope.member(node.frame))


def _count_days(scope: RowScope, node: nodes.CountDays) -> Sql:
    day = sql.case([(sql.is_known(scope.member(node.frame)), scope.row("date"))])
    return sql.call("count", exp.Distinct(expressions=[day]))


def _mean(scope: RowScope, node: nodes.Mean) -> Sql:
    """Sum in the order of the rows, which fixes the last digit, and divide once."""

    def of_members(aggregate: Sql) -> Sql:
        return exp.Filter(this=aggregate, expression=exp.Where(this=sql.is_known(scope.member(node.frame))))

    def mean() -> Sql:
        in_order = exp.Order(this=scope.column(node.frame, "value"), expressions=[sql.ordered(scope.row("rid"))])
        total = of_members(sql.call("sum", in_order))
        return sql.binary(exp.Div, total, of_members(sql.call("count", scope.column(node.frame, "value"))))

    return sql.case([(sql.call("isfinite", mean()), mean())])


def _days(scope: RowScope, node: Days) -> Sql:
    known = exp.Where(this=sql.is_known(scope.member(node.frame)))
    return exp.Filter(this=sql.call("list", scope.row("date")), expression=known)


AGGREGATE_METHODS: Mapping[type[Series | Days], Callable[..., Sql]] = {
    nodes.Exists: _exists,
    nodes.Count: _count,
    nodes.CountDays: _count_days,
    nodes.Mean: _mean,
    Days: _days,
}


def _earliest(scope: RowScope, pick: Pick, column: str) -> Sql:
    return sql.call("arg_min_null", scope.column(pick.frame, column), scope.member(pick.frame))


def _latest(scope: RowScope, pick: Pick, column: str) -> Sql:
    return sql.call("arg_max_null", scope.column(pick.frame, column), scope.member(pick.frame))


def _highest(scope: RowScope, pick: Pick, column: str) -> Sql:
    return _of_most(scope, pick, column, scope.column(pick.frame, "value"))


def _lowest(scope: RowScope, pick: Pick, column: str) -> Sql:
    return _of_most(scope, pick, column, sql.minus(scope.column(pick.frame, "value")))


def _of_most(scope: RowScope, pick: Pick, column: str, value: Sql) -> Sql:
    """Take a column of the row with the most, the last of several; rows without a value are no candidates."""
    valued = sql.all_of([sql.is_known(scope.member(pick.frame)), sql.is_known(scope.column(pick.frame, "value"))])
    rank = sql.struct({"value": value, "rid": scope.row("rid")})
    return sql.call("arg_max_null", scope.column(pick.frame, column), sql.case([(valued, rank)]))


PICK_METHODS: Mapping[How, Callable[[RowScope, Pick, str], Sql]] = {
    How.EARLIEST: _earliest,
    How.LATEST: _latest,
    How.HIGHEST: _highest,
    How.LOWEST: _lowest,
}
