"""DuckDB's method for every kind of series: from its operands' SQL to its own.

Each gives two expressions, the value and the reason why it cannot be decided. The second is absent when nothing below
can be undecidable, which is nearly always. A value with a reason is always unknown. Not here: frames (`duckdb_frames`),
and what an operation means, which the interpreter and the tables under `tests/spec` say.
"""
# Longer than 250 lines because the operations stand together, one method each, as they do in the interpreter.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.shape import place_of
from cohortium_platform.engine.sql import Sql
from cohortium_plugins import dates
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import ArithmeticOp, CompareOp, Series
from cohortium_plugins.model.values import Duration, Unit, ValueType

__all__ = ["SERIES_METHODS", "Compiled", "Scope", "compile_series", "first_of"]

FIRST_DAY, LAST_DAY = date.min, date.max
_MOST_DAYS, _MOST_MONTHS = 4_000_000, 130_000
"""More than lies between the first and the last day: moving by more always leads out of the calendar."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A value, and the reason when it cannot be decided (None: it always can)."""

    value: Sql
    reason: Sql | None = None


class Scope(Protocol):
    """Where a series stands: it gives operands their SQL, a new expression at every call."""

    def value(self, node: Series) -> Sql:
        """Give the value of an operand."""

    def reason(self, node: Series) -> Sql | None:
        """Give the reason of an operand, if it can have one."""

    def fact(self, name: str) -> Sql:
        """Give a fact of the patient, or the index date (`as_of`)."""

    def taken(self, node: nodes.Exists | nodes.Count | nodes.Mean | nodes.PickValue) -> Compiled:
        """Give what is taken from a frame."""

    def row(self, column: str) -> Sql:
        """Give a column of the row that a filter looks at."""


def compile_series(scope: Scope, node: Series) -> Compiled:
    """Compile a series in its scope."""
    method = SERIES_METHODS.get(type(node))
    if method is None:
        raise DefinitionError(f"{type(node).__name__} has no method in DuckDB.")
    return method(scope, node)


# --- reasons ------------------------------------------------------------------------------------------------------


def first_of(reasons: Iterable[Sql | None]) -> Sql | None:
    """Give the first of several reasons, each of which may or may not be there."""
    found = [reason for reason in reasons if reason is not None]
    if not found:
        return None
    return found[0] if len(found) == 1 or isinstance(found[0], exp.Literal) else sql.call("coalesce", *found)


def first_reason(scope: Scope, operands: Sequence[Series]) -> Sql | None:
    """Give the first reason among operands."""
    return first_of(scope.reason(operand) for operand in operands)


def unless(reason: Sql | None, value: Sql) -> Sql:
    """Give the value where there is no reason."""
    return value if reason is None else sql.case([(sql.is_missing(reason), value)])


# --- leaves -------------------------------------------------------------------------------------------------------


def _constant(_scope: Scope, node: nodes.Constant) -> Compiled:
    return Compiled(sql.literal(node.value, node.kind))


def _index_date(scope: Scope, _node: nodes.IndexDate) -> Compiled:
    return Compiled(scope.fact("as_of"))


def _patient_fact(scope: Scope, node: nodes.PatientFact) -> Compiled:
    return Compiled(scope.fact(node.name))


def _row_value(scope: Scope, node: nodes.RowValue) -> Compiled:
    return Compiled(scope.row(node.column))


def _taken(scope: Scope, node: nodes.Exists | nodes.Count | nodes.Mean | nodes.PickValue) -> Compiled:
    return scope.taken(node)


# --- operations whose operands must all be known ------------------------------------------------------------------

_COMPARISONS: Mapping[CompareOp, type[exp.Binary]] = {
    CompareOp.EQ: exp.EQ,
    CompareOp.NE: exp.NEQ,
    CompareOp.LT: exp.LT,
    CompareOp.LE: exp.LTE,
    CompareOp.GT: exp.GT,
    CompareOp.GE: exp.GTE,
}

_ARITHMETIC: Mapping[ArithmeticOp, type[exp.Binary]] = {
    ArithmeticOp.ADD: exp.Add,
    ArithmeticOp.SUBTRACT: exp.Sub,
    ArithmeticOp.MULTIPLY: exp.Mul,
    ArithmeticOp.DIVIDE: exp.Div,
}


def _compare(scope: Scope, node: nodes.Compare) -> Compiled:
    value = sql.binary(_COMPARISONS[node.op], scope.value(node.left), scope.value(node.right))
    return Compiled(value, first_reason(scope, (node.left, node.right)))


def _is_in(scope: Scope, node: nodes.IsIn) -> Compiled:
    listed = [sql.literal(value, node.operand.type) for value in node.values]
    value = sql.is_in(scope.value(node.operand), listed)
    return Compiled(value, scope.reason(node.operand))


def _not(scope: Scope, node: nodes.Not) -> Compiled:
    return Compiled(sql.negated(scope.value(node.operand)), scope.reason(node.operand))


def _arithmetic(scope: Scope, node: nodes.Arithmetic) -> Compiled:
    def result() -> Sql:
        right = scope.value(node.right)
        if node.op is ArithmeticOp.DIVIDE:
            right = sql.call("nullif", right, sql.literal(0.0, ValueType.NUMBER))
        return sql.binary(_ARITHMETIC[node.op], scope.value(node.left), right)

    value = sql.case([(sql.call("isfinite", result()), result())])
    return Compiled(value, first_reason(scope, (node.left, node.right)))


def _date_add(scope: Scope, node: nodes.DateAdd) -> Compiled:
    reason = first_reason(scope, (node.date, node.duration))
    if isinstance(node.duration, nodes.Constant) and isinstance(node.duration.value, Duration):
        return Compiled(_moved(scope, node.date, node.duration.value, node.sign), reason)
    return Compiled(_moved_by(scope, node), reason)


def _moved(scope: Scope, day: Series, duration: Duration, sign: int) -> Sql:
    """Move by a length known beforehand: days from which the move leads out of the calendar are known as well."""
    count, unit = _whole(duration)
    count *= sign
    if abs(count) > (_MOST_MONTHS if unit is Unit.MONTHS else _MOST_DAYS):
        return sql.NULL(ValueType.DATE)
    bound = _bound(Duration(-count, unit), count)
    if bound is None:
        return sql.NULL(ValueType.DATE)
    if unit is Unit.MONTHS:
        step = sql.call("to_months", sql.cast_integer(sql.integer(count)))
        moved = sql.cast(sql.binary(exp.Add, scope.value(day), step), ValueType.DATE)
    else:
        moved = sql.binary(exp.Add, scope.value(day), sql.cast_integer(sql.integer(count)))
    inside = exp.LTE if count >= 0 else exp.GTE
    return sql.case([(sql.binary(inside, scope.value(day), sql.literal(bound, ValueType.DATE)), moved)])


def _bound(back: Duration, count: int) -> date | None:
    """Give the last day (moving forward) or first day (moving back) from which a move stays within the calendar."""
    bound = dates.add(LAST_DAY if count >= 0 else FIRST_DAY, back)
    if bound is None or count <= 0 or back.unit is Unit.DAYS:
        return bound
    following = dates.add(bound.replace(day=1), Duration(1, Unit.MONTHS))
    return LAST_DAY if following is None else following - timedelta(days=1)


def _whole(duration: Duration) -> tuple[int, Unit]:
    """Give a duration in days or in months."""
    if duration.unit is Unit.WEEKS:
        return duration.count * dates.DAYS_A_WEEK, Unit.DAYS
    if duration.unit is Unit.YEARS:
        return duration.count * dates.MONTHS_A_YEAR, Unit.MONTHS
    return duration.count, duration.unit


def _moved_by(scope: Scope, node: nodes.DateAdd) -> Sql:
    """Move by a length that differs from patient to patient."""

    def whole(kinds: Mapping[Unit, int]) -> Sql:
        unit = sql.call("struct_extract", scope.value(node.duration), sql.text("unit"))
        count = sql.call("struct_extract", scope.value(node.duration), sql.text("count"))
        branches = [
            (sql.integer(sql.UNITS.index(kind)), sql.integer(factor * node.sign)) for kind, factor in kinds.items()
        ]
        factor = exp.Case(this=unit, ifs=[exp.If(this=a, true=b) for a, b in branches], default=sql.integer(0))
        return sql.binary(exp.Mul, count, factor)

    def days() -> Sql:
        return whole({Unit.DAYS: 1, Unit.WEEKS: dates.DAYS_A_WEEK})

    def months() -> Sql:
        return whole({Unit.MONTHS: 1, Unit.YEARS: dates.MONTHS_A_YEAR})

    def within(value: Sql, most: int) -> Sql:
        return sql.between(value, sql.integer(-most), sql.integer(most))

    def moved() -> Sql:
        step = sql.call("to_months", sql.cast_integer(months()))
        day = sql.cast(sql.binary(exp.Add, scope.value(node.date), step), ValueType.DATE)
        return sql.binary(exp.Add, day, sql.cast_integer(days()))

    short = [within(days(), _MOST_DAYS), within(months(), _MOST_MONTHS)]
    inside = sql.between(moved(), sql.literal(FIRST_DAY, ValueType.DATE), sql.literal(LAST_DAY, ValueType.DATE))
    return sql.case([(sql.all_of(short), sql.case([(inside, moved())]))])


def _date_difference(scope: Scope, node: nodes.DateDifference) -> Compiled:
    reason = first_reason(scope, (node.start, node.end))
    if node.unit in (Unit.DAYS, Unit.WEEKS):
        value = sql.binary(exp.Sub, scope.value(node.end), scope.value(node.start))
        if node.unit is Unit.WEEKS:
            value = sql.binary(exp.IntDiv, value, sql.integer(dates.DAYS_A_WEEK))
    else:
        forward = _completed(scope, node.start, node.end, node.unit)
        back = _completed(scope, node.end, node.start, node.unit)
        ahead = sql.binary(exp.GTE, scope.value(node.end), scope.value(node.start))
        value = sql.case([(ahead, forward)], sql.minus(back))
    return Compiled(sql.cast(value, ValueType.NUMBER), reason)


def _completed(scope: Scope, start: Series, end: Series, unit: Unit) -> Sql:
    """Completed months or years between two days in order: one less where the day of the month was not reached."""

    def ordinal(day: Series) -> Sql:
        years = sql.binary(exp.Mul, sql.call("year", scope.value(day)), sql.integer(dates.MONTHS_A_YEAR))
        return sql.binary(exp.Add, years, sql.call("month", scope.value(day)))

    last = sql.call("day", sql.call("last_day", scope.value(end)))
    asked = sql.call("least", sql.call("day", scope.value(start)), last)
    short = sql.binary(exp.LT, sql.call("day", scope.value(end)), asked)
    months = sql.binary(exp.Sub, ordinal(end), ordinal(start))
    months = sql.binary(exp.Sub, months, sql.case([(short, sql.integer(1))], sql.integer(0)))
    return sql.binary(exp.IntDiv, months, sql.integer(dates.MONTHS_A_YEAR)) if unit is Unit.YEARS else months


def _season_start(scope: Scope, node: nodes.SeasonStart) -> Compiled:
    def year() -> Sql:
        return sql.call("year", scope.value(node.date))

    def start(of: Sql) -> Sql:
        return sql.call("make_date", of, sql.integer(node.month), sql.integer(node.day))

    begun = sql.binary(exp.LTE, start(year()), scope.value(node.date))
    before = sql.binary(exp.Sub, year(), sql.integer(1))
    value = sql.case([(begun, start(year())), (sql.binary(exp.GT, year(), sql.integer(1)), start(before))])
    return Compiled(value, scope.reason(node.date))


# --- operations that go on without some operands ------------------------------------------------------------------


def _and(scope: Scope, node: nodes.And) -> Compiled:
    return _connective(scope, node.operands, sql.all_of, decisive=False)


def _or(scope: Scope, node: nodes.Or) -> Compiled:
    return _connective(scope, node.operands, sql.any_of, decisive=True)


def _connective(
    scope: Scope, operands: Sequence[Series], join: Callable[[list[Sql]], Sql], *, decisive: bool
) -> Compiled:
    """Join as SQL does; the first reason holds unless a known operand settles it."""

    def value() -> Sql:
        return join([scope.value(operand) for operand in operands])

    reason = first_reason(scope, operands)
    if reason is None:
        return Compiled(value())
    settled = sql.is_true(value()) if decisive else sql.is_true(sql.negated(value()))
    return Compiled(value(), sql.case([(sql.negated(settled), reason)]))


def _is_missing(scope: Scope, node: nodes.IsMissing) -> Compiled:
    reason = scope.reason(node.operand)
    return Compiled(unless(reason, sql.is_missing(scope.value(node.operand))), scope.reason(node.operand))


def _case(scope: Scope, node: nodes.Case) -> Compiled:
    values: list[tuple[Sql, Sql]] = []
    reasons: list[tuple[Sql, Sql]] = []
    undecidable = False
    for condition, result in zip(node.conditions, node.values, strict=True):
        if (reason := scope.reason(condition)) is not None:
            values.append((sql.is_known(reason), sql.NULL(node.type)))
            again, given = _twice(scope, condition)
            reasons.append((sql.is_known(again), given))
            undecidable = True
        values.append((scope.value(condition), scope.value(result)))
        found = scope.reason(result)
        undecidable = undecidable or found is not None
        reasons.append((scope.value(condition), found or sql.NULL(ValueType.TEXT)))
    otherwise = sql.NULL(node.type) if node.otherwise is None else scope.value(node.otherwise)
    last = None if node.otherwise is None else scope.reason(node.otherwise)
    if not undecidable and last is None:
        return Compiled(sql.case(values, otherwise))
    return Compiled(sql.case(values, otherwise), sql.case(reasons, last or sql.NULL(ValueType.TEXT)))


def _twice(scope: Scope, node: Series) -> tuple[Sql, Sql]:
    """Give a reason two times, for a test of it and for itself."""
    first, second = scope.reason(node), scope.reason(node)
    if first is None or second is None:
        raise DefinitionError("A reason was asked for where there is none.")
    return first, second


def _extreme(scope: Scope, node: nodes.Extreme) -> Compiled:
    found = [scope.value(operand) for operand in node.operands]
    value = sql.call("greatest" if node.highest else "least", *found) if len(found) > 1 else found[0]
    return Compiled(unless(first_reason(scope, node.operands), value), first_reason(scope, node.operands))


def _coalesce(scope: Scope, node: nodes.Coalesce) -> Compiled:
    if first_reason(scope, node.operands) is None:
        return Compiled(sql.call("coalesce", *(scope.value(operand) for operand in node.operands)))
    values: list[tuple[Sql, Sql]] = []
    reasons: list[tuple[Sql, Sql]] = []
    for operand in node.operands:
        known = sql.is_known(scope.value(operand))
        values.append((known, scope.value(operand)))
        reasons.append((known.copy(), sql.NULL(ValueType.TEXT)))
        if scope.reason(operand) is not None:
            for branches, result in ((values, None), (reasons, scope.reason(operand))):
                again, _ = _twice(scope, operand)
                branches.append((sql.is_known(again), result or sql.NULL(node.type)))
    return Compiled(sql.case(values, sql.NULL(node.type)), sql.case(reasons, sql.NULL(ValueType.TEXT)))


def _count_true(scope: Scope, node: nodes.CountTrue) -> Compiled:
    count = sql.integer(0)
    for operand in node.operands:
        one = sql.case([(scope.value(operand), sql.integer(1))], sql.integer(0))
        count = sql.binary(exp.Add, count, one)
    value = sql.cast(count, ValueType.NUMBER)
    return Compiled(unless(first_reason(scope, node.operands), value), first_reason(scope, node.operands))


def _nth_earliest(scope: Scope, node: nodes.NthEarliest) -> Compiled:
    days = sql.call("list_value", *(scope.value(operand) for operand in node.operands))
    in_order = sql.call("list_sort", days, sql.text("ASC"), sql.text("NULLS LAST"))
    value = sql.call("list_extract", in_order, sql.integer(place_of(node)))
    return Compiled(unless(first_reason(scope, node.operands), value), first_reason(scope, node.operands))


SERIES_METHODS: Mapping[type[Series], Callable[..., Compiled]] = {
    nodes.Constant: _constant,
    nodes.IndexDate: _index_date,
    nodes.PatientFact: _patient_fact,
    nodes.RowValue: _row_value,
    nodes.PickValue: _taken,
    nodes.Exists: _taken,
    nodes.Count: _taken,
    nodes.CountDays: _taken,
    nodes.Mean: _taken,
    nodes.Compare: _compare,
    nodes.IsIn: _is_in,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Not: _not,
    nodes.IsMissing: _is_missing,
    nodes.Arithmetic: _arithmetic,
    nodes.DateAdd: _date_add,
    nodes.DateDifference: _date_difference,
    nodes.SeasonStart: _season_start,
    nodes.Case: _case,
    nodes.Extreme: _extreme,
    nodes.Coalesce: _coalesce,
    nodes.CountTrue: _count_true,
    nodes.NthEarliest: _nth_earliest,
}
