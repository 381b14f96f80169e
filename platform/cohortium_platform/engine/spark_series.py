"""Spark's method for every kind of series: from its operands' expressions to its own.

Each gives two expressions, the value and the reason why it cannot be decided (absent when it always can be). A value
with a reason is always unknown. An operand's expression is written once in each method, so that conditions on rows,
which cannot be given names of their own, grow no faster than the rule. Not here: frames (`spark_frames`), and what an
operation means, which the interpreter and the tables under `tests/spec` say.
"""
# Longer than 250 lines because the operations stand together, one method each, as they do in the interpreter.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from sqlglot import exp

from cohortium_platform.engine import spark_sql, sql
from cohortium_platform.engine.shape import place_of
from cohortium_platform.engine.spark_sql import Given
from cohortium_platform.engine.sql import Sql
from cohortium_plugins import dates
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import ArithmeticOp, CompareOp, Series
from cohortium_plugins.model.values import Duration, Unit, ValueType

__all__ = ["SERIES_METHODS", "Compiled", "Scope", "compile_series", "first_of"]

_EPOCH = date(1970, 1, 1)
_FIRST_DAY, _LAST_DAY = (date.min - _EPOCH).days, (date.max - _EPOCH).days
_FIRST_MONTH, _LAST_MONTH = dates.MONTHS_A_YEAR, date.max.year * dates.MONTHS_A_YEAR + dates.MONTHS_A_YEAR - 1
"""The calendar's ends, as days since 1970 and as months since the year 0."""
_LONGEST = 10_000_000
"""More of any unit than there is between the calendar's ends, and little enough to be multiplied."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A value, and the reason when it cannot be decided (None: it always can)."""

    value: Sql
    reason: Sql | None = None


class Scope(Protocol):
    """Where a series stands: it gives operands their expressions, a new one at every call."""

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
        raise DefinitionError(f"{type(node).__name__} has no method in Spark.")
    return method(scope, node)


# --- reasons ------------------------------------------------------------------------------------------------------


def first_of(reasons: Iterable[Sql | None]) -> Sql | None:
    """Give the first of several reasons, each of which may or may not be there."""
    found = [reason for reason in reasons if reason is not None]
    if not found:
        return None
    return found[0] if len(found) == 1 or isinstance(found[0], exp.Literal) else sql.call("coalesce", *found)


def _first_reason(scope: Scope, operands: Sequence[Series]) -> Sql | None:
    return first_of(scope.reason(operand) for operand in operands)


def _unless(reason: Sql | None, value: Sql) -> Sql:
    return value if reason is None else sql.case([(sql.is_missing(reason), value)])


# --- leaves -------------------------------------------------------------------------------------------------------


def _constant(_scope: Scope, node: nodes.Constant) -> Compiled:
    return Compiled(spark_sql.literal(node.value, node.kind))


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
}


def _compare(scope: Scope, node: nodes.Compare) -> Compiled:
    value = sql.binary(_COMPARISONS[node.op], scope.value(node.left), scope.value(node.right))
    return Compiled(value, _first_reason(scope, (node.left, node.right)))


def _is_in(scope: Scope, node: nodes.IsIn) -> Compiled:
    listed = [spark_sql.literal(value, node.operand.type) for value in node.values]

    def among(it: Given) -> Sql:
        return sql.any_of(sql.binary(exp.EQ, it(), option) for option in listed)

    if node.operand.type is ValueType.DURATION:
        value = spark_sql.let([scope.value(node.operand)], among)
    else:
        value = sql.is_in(scope.value(node.operand), listed)
    return Compiled(value, scope.reason(node.operand))


def _not(scope: Scope, node: nodes.Not) -> Compiled:
    return Compiled(sql.negated(scope.value(node.operand)), scope.reason(node.operand))


def _arithmetic(scope: Scope, node: nodes.Arithmetic) -> Compiled:
    left, right = scope.value(node.left), scope.value(node.right)
    if node.op is ArithmeticOp.DIVIDE:
        value = spark_sql.let([left, right], _quotient)
    else:
        value = sql.binary(_ARITHMETIC[node.op], left, right)
    return Compiled(spark_sql.finite(value), _first_reason(scope, (node.left, node.right)))


def _quotient(left: Given, right: Given) -> Sql:
    is_zero = sql.binary(exp.NEQ, right(), spark_sql.literal(0.0, ValueType.NUMBER))
    return sql.case([(is_zero, sql.binary(exp.Div, left(), right()))])


def _date_add(scope: Scope, node: nodes.DateAdd) -> Compiled:
    reason = _first_reason(scope, (node.date, node.duration))
    day = scope.value(node.date)
    if isinstance(node.duration, nodes.Constant) and isinstance(node.duration.value, Duration):
        count, unit = node.duration.value.count * node.sign, node.duration.value.unit
        if abs(count) > _LONGEST:
            return Compiled(spark_sql.NULL(ValueType.DATE), reason)
        return Compiled(_MOVES[unit](day, lambda: sql.integer(count)), reason)

    def moved(day: Given, duration: Given) -> Sql:
        def count() -> Sql:
            return spark_sql.field(duration(), "count")

        def steps() -> Sql:
            return count() if node.sign > 0 else sql.minus(count())

        short = sql.between(count(), sql.integer(-_LONGEST), sql.integer(_LONGEST))
        by_unit = [
            (sql.binary(exp.EQ, spark_sql.field(duration(), "unit"), sql.integer(number)), _MOVES[unit](day(), steps))
            for number, unit in enumerate(spark_sql.UNITS)
        ]
        return sql.case([(short, sql.case(by_unit))])

    return Compiled(spark_sql.let([day, scope.value(node.duration)], moved, "moved"), reason)


def _by_days(day: Sql, count: Given, days: int) -> Sql:
    """Move by days; out of the calendar leads nowhere."""
    steps = sql.binary(exp.Mul, spark_sql.cast_to(count(), "BIGINT"), sql.integer(days))
    number = sql.binary(exp.Add, sql.call("unix_date", day), steps)

    def inside(it: Given) -> Sql:
        within = sql.between(it(), sql.integer(_FIRST_DAY), sql.integer(_LAST_DAY))
        return sql.case([(within, sql.call("date_from_unix_date", spark_sql.cast_to(it(), "INT")))])

    return spark_sql.let([number], inside, "day")


def _by_months(day: Sql, count: Given, months: int) -> Sql:
    """Move by months; Spark's own function takes the last day of a shorter month."""

    def inside(it: Given) -> Sql:
        def steps() -> Sql:
            return sql.binary(exp.Mul, spark_sql.cast_to(count(), "BIGINT"), sql.integer(months))

        reached = sql.binary(exp.Add, _month_number(it), steps())
        within = sql.between(reached, sql.integer(_FIRST_MONTH), sql.integer(_LAST_MONTH))
        return sql.case([(within, sql.call("add_months", it(), spark_sql.cast_to(steps(), "INT")))])

    return spark_sql.let([day], inside, "day")


_MOVES: Mapping[Unit, Callable[[Sql, Given], Sql]] = {
    Unit.DAYS: lambda day, count: _by_days(day, count, 1),
    Unit.WEEKS: lambda day, count: _by_days(day, count, dates.DAYS_A_WEEK),
    Unit.MONTHS: lambda day, count: _by_months(day, count, 1),
    Unit.YEARS: lambda day, count: _by_months(day, count, dates.MONTHS_A_YEAR),
}


def _month_number(day: Given) -> Sql:
    """Count months since the year 0, January being its month 0."""
    years = sql.binary(exp.Mul, sql.call("year", day()), sql.integer(dates.MONTHS_A_YEAR))
    return sql.binary(exp.Sub, sql.binary(exp.Add, years, sql.call("month", day())), sql.integer(1))


def _date_difference(scope: Scope, node: nodes.DateDifference) -> Compiled:
    start, end = scope.value(node.start), scope.value(node.end)
    if node.unit in (Unit.DAYS, Unit.WEEKS):
        value = sql.call("datediff", end, start)
        if node.unit is Unit.WEEKS:
            value = sql.binary(exp.IntDiv, value, sql.integer(dates.DAYS_A_WEEK))
    else:

        def completed(start: Given, end: Given) -> Sql:
            ahead = sql.binary(exp.GTE, end(), start())
            behind = sql.binary(exp.LT, end(), start())
            months = sql.case([(ahead, _months(start, end)), (behind, sql.minus(_months(end, start)))])
            if node.unit is Unit.MONTHS:
                return months
            return sql.binary(exp.IntDiv, months, sql.integer(dates.MONTHS_A_YEAR))

        value = spark_sql.let([start, end], completed)
    return Compiled(spark_sql.cast(value, ValueType.NUMBER), _first_reason(scope, (node.start, node.end)))


def _months(start: Given, end: Given) -> Sql:
    """Count completed months between two days in order: one less where the day of the month was not reached, the last
    day of a shorter month standing for those it lacks.
    """
    asked = sql.call("least", sql.call("day", start()), sql.call("day", sql.call("last_day", end())))
    short = sql.case([(sql.binary(exp.LT, sql.call("day", end()), asked), sql.integer(1))], sql.integer(0))
    return sql.binary(exp.Sub, sql.binary(exp.Sub, _month_number(end), _month_number(start)), short)


def _season_start(scope: Scope, node: nodes.SeasonStart) -> Compiled:
    def start(day: Given) -> Sql:
        def of(year: Sql) -> Sql:
            return sql.call("make_date", year, sql.integer(node.month), sql.integer(node.day))

        def year() -> Sql:
            return sql.call("year", day())

        begun = sql.binary(exp.LTE, of(year()), day())
        later = sql.binary(exp.GT, year(), sql.integer(1))
        return sql.case([(begun, of(year())), (later, of(sql.binary(exp.Sub, year(), sql.integer(1))))])

    return Compiled(spark_sql.let([scope.value(node.date)], start), scope.reason(node.date))


# --- operations that go on without some operands ------------------------------------------------------------------


def _and(scope: Scope, node: nodes.And) -> Compiled:
    """A known false settles it; else the first reason holds."""
    reason = _first_reason(scope, node.operands)
    if reason is not None:
        open_still = sql.call("coalesce", _all(scope, node), sql.TRUE())
        reason = sql.case([(open_still, reason)])
    return Compiled(_all(scope, node), reason)


def _all(scope: Scope, node: nodes.And) -> Sql:
    return sql.all_of(scope.value(operand) for operand in node.operands)


def _or(scope: Scope, node: nodes.Or) -> Compiled:
    """A known true settles it; else the first reason holds."""
    reason = _first_reason(scope, node.operands)
    if reason is not None:
        settled = sql.call("coalesce", _any(scope, node), sql.FALSE())
        reason = sql.case([(sql.negated(settled), reason)])
    return Compiled(_any(scope, node), reason)


def _any(scope: Scope, node: nodes.Or) -> Sql:
    return sql.any_of(scope.value(operand) for operand in node.operands)


def _is_missing(scope: Scope, node: nodes.IsMissing) -> Compiled:
    return Compiled(
        _unless(scope.reason(node.operand), sql.is_missing(scope.value(node.operand))), scope.reason(node.operand)
    )


def _case(scope: Scope, node: nodes.Case) -> Compiled:
    """Branches in their order: a condition that cannot be decided ends the search."""
    values: list[tuple[Sql, Sql]] = []
    reasons: list[tuple[Sql, Sql]] = []
    parts = (*node.conditions, *node.values, *(() if node.otherwise is None else (node.otherwise,)))
    decidable = all(scope.reason(part) is None for part in parts)
    for condition, result in zip(node.conditions, node.values, strict=True):
        unsure = scope.reason(condition)
        if unsure is not None:
            values.append((sql.is_known(unsure), spark_sql.NULL(node.type)))
            reasons.append((sql.is_known(unsure.copy()), unsure.copy()))
        values.append((scope.value(condition), scope.value(result)))
        if not decidable:
            reasons.append((scope.value(condition), scope.reason(result) or spark_sql.NULL(ValueType.TEXT)))
    otherwise = spark_sql.NULL(node.type) if node.otherwise is None else scope.value(node.otherwise)
    if decidable:
        return Compiled(sql.case(values, otherwise))
    last = None if node.otherwise is None else scope.reason(node.otherwise)
    return Compiled(sql.case(values, otherwise), sql.case(reasons, last or spark_sql.NULL(ValueType.TEXT)))


def _extreme(scope: Scope, node: nodes.Extreme) -> Compiled:
    found = [scope.value(operand) for operand in node.operands]
    value = sql.call("greatest" if node.highest else "least", *found) if len(found) > 1 else found[0]
    return Compiled(_unless(_first_reason(scope, node.operands), value), _first_reason(scope, node.operands))


def _coalesce(scope: Scope, node: nodes.Coalesce) -> Compiled:
    """The first operand that is known or cannot be decided."""
    if _first_reason(scope, node.operands) is None:
        return Compiled(sql.call("coalesce", *(scope.value(operand) for operand in node.operands)))
    values: list[tuple[Sql, Sql]] = []
    reasons: list[tuple[Sql, Sql]] = []
    for operand in node.operands:
        values.append((sql.is_known(scope.value(operand)), scope.value(operand)))
        reasons.append((sql.is_known(scope.value(operand)), spark_sql.NULL(ValueType.TEXT)))
        unsure = scope.reason(operand)
        if unsure is not None:
            values.append((sql.is_known(unsure), spark_sql.NULL(node.type)))
            reasons.append((sql.is_known(unsure.copy()), unsure.copy()))
    return Compiled(sql.case(values, spark_sql.NULL(node.type)), sql.case(reasons, spark_sql.NULL(ValueType.TEXT)))


def _count_true(scope: Scope, node: nodes.CountTrue) -> Compiled:
    conditions = sql.call("array", *(scope.value(operand) for operand in node.operands))
    true = sql.call("size", spark_sql.filtered(conditions, "it", spark_sql.variable("it")))
    value = spark_sql.cast(true, ValueType.NUMBER)
    return Compiled(_unless(_first_reason(scope, node.operands), value), _first_reason(scope, node.operands))


def _nth_earliest(scope: Scope, node: nodes.NthEarliest) -> Compiled:
    in_order = sql.call("array_sort", sql.call("array", *(scope.value(operand) for operand in node.operands)))
    value = sql.call("get", in_order, sql.integer(place_of(node) - 1))
    return Compiled(_unless(_first_reason(scope, node.operands), value), _first_reason(scope, node.operands))


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
