"""Builders over sqlglot's expression tree, from which every compiled operation is put together.

Nothing here or above pastes text: names and constants become tree nodes, and sqlglot alone writes them down. Functions
are named as DuckDB names them and are never translated from another dialect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date

from sqlglot import exp

from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model.values import Duration, Scalar, Unit, ValueType

__all__ = [
    "FALSE", "NULL", "TRUE", "UNITS", "Sql", "aliased", "all_of", "any_of", "between", "binary", "call", "case", "cast",
    "cast_integer", "column", "columns_in", "create", "integer", "is_in", "is_known", "is_missing", "is_true",
    "literal", "minus", "name", "negated", "operand", "ordered", "rendered", "select", "stands_beside_operator",
    "struct", "table", "text",
]  # fmt: skip

Sql = exp.Expr

DIALECT = "duckdb"
UNITS: tuple[Unit, ...] = tuple(Unit)
"""The order in which a duration's unit is written as a number."""

_TYPES: dict[ValueType, exp.DataType] = {
    kind: exp.DataType.build(name, dialect=DIALECT)
    for kind, name in (
        (ValueType.BOOL, "BOOLEAN"),
        (ValueType.DATE, "DATE"),
        (ValueType.NUMBER, "DOUBLE"),
        (ValueType.TEXT, "VARCHAR"),
        (ValueType.CODE, "BIGINT"),
        (ValueType.DURATION, "STRUCT(count BIGINT, unit BIGINT)"),
    )
}
_INTEGER = exp.DataType.build("INTEGER", dialect=DIALECT)
_LARGEST = 2**60
_OPERATORS = (exp.Binary, exp.Not, exp.Neg, exp.In, exp.Between)
"""What needs brackets beside another operator. Functions and CASE do not."""


def TRUE() -> Sql:  # noqa: N802 - a constant, made anew because a tree node has one parent
    """Write true."""
    return exp.Boolean(this=True)


def FALSE() -> Sql:  # noqa: N802
    """Write false."""
    return exp.Boolean(this=False)


def NULL(kind: ValueType) -> Sql:  # noqa: N802
    """Write an unknown value of a type."""
    return cast(exp.Null(), kind)


def name(text: str) -> exp.Identifier:
    """Write a name, always quoted: names of indicators and stratifiers may hold hyphens."""
    return exp.Identifier(this=text, quoted=True)


def column(of: str, source: str | None = None) -> exp.Column:
    """Write a column, of a named source when several are joined."""
    return exp.Column(this=name(of), table=None if source is None else name(source))


def text(value: str) -> Sql:
    """Write a text constant."""
    return exp.Literal.string(value)


def integer(value: int) -> Sql:
    """Write an integer constant."""
    literal = exp.Literal.number(str(abs(value)))
    return minus(literal) if value < 0 else literal


def literal(value: Scalar | None, kind: ValueType) -> Sql:
    """Write a constant of a definition, in the type in which the engine holds its kind."""
    if value is None:
        return NULL(kind)
    return _LITERALS[kind](value)


def _boolean(value: bool) -> Sql:  # noqa: FBT001
    return exp.Boolean(this=value)


def _date(value: date) -> Sql:
    return cast(text(value.isoformat()), ValueType.DATE)


def _number(value: float) -> Sql:
    """Write a double: digits with an exponent, which no engine reads as a decimal."""
    digits = repr(abs(float(value)))
    number = exp.Literal.number(digits if "e" in digits else f"{digits}e0")
    return minus(number) if math.copysign(1, value) < 0 else number


def _duration(value: Duration) -> Sql:
    if abs(value.count) > _LARGEST:
        raise DefinitionError(f"A duration of {value} is out of any use.", "Write a shorter one.")
    fields = struct({"count": integer(value.count), "unit": integer(UNITS.index(value.unit))})
    return cast(fields, ValueType.DURATION)


def cast(value: Sql, kind: ValueType) -> Sql:
    """Give a value the type that the engine holds it in."""
    return exp.Cast(this=value, to=_TYPES[kind].copy())


def cast_integer(value: Sql) -> Sql:
    """Give a value the 32-bit type that date arithmetic asks for."""
    return exp.Cast(this=value, to=_INTEGER.copy())


def call(function: str, *arguments: Sql) -> Sql:
    """Call a function of DuckDB by its own name."""
    return exp.Anonymous(this=function, expressions=list(arguments))


def operand(value: Sql) -> Sql:
    """Write a value so that it can stand beside an operator: in brackets if it is made of operators itself."""
    return exp.Paren(this=value) if isinstance(value, _OPERATORS) else value


def stands_beside_operator(place: Sql) -> bool:
    """Tell whether what is put in a place needs brackets if it is made of operators."""
    return isinstance(place.parent, _OPERATORS)


def binary(operator: type[exp.Binary], left: Sql, right: Sql) -> Sql:
    """Write an operator between two operands."""
    return operator(this=operand(left), expression=operand(right))


def _joined(operator: type[exp.And | exp.Or], parts: Sequence[Sql], none: bool) -> Sql:  # noqa: FBT001
    if not parts:
        return exp.Boolean(this=none)
    if len(parts) == 1:
        return parts[0]
    result: Sql = operand(parts[0])
    for part in parts[1:]:
        result = operator(this=result, expression=operand(part))
    return result


def all_of(parts: Iterable[Sql]) -> Sql:
    """Join conditions by AND; true when there are none."""
    return _joined(exp.And, list(parts), none=True)


def any_of(parts: Iterable[Sql]) -> Sql:
    """Join conditions by OR; false when there are none."""
    return _joined(exp.Or, list(parts), none=False)


def negated(condition: Sql) -> Sql:
    """Write NOT."""
    if isinstance(condition, exp.Boolean):
        return exp.Boolean(this=not condition.this)
    return exp.Not(this=operand(condition))


def is_missing(value: Sql) -> Sql:
    """Test for an unknown value."""
    if isinstance(value, exp.Boolean):
        return FALSE()
    return exp.Is(this=operand(value), expression=exp.Null())


def is_known(value: Sql) -> Sql:
    """Test for a known value."""
    return exp.Is(this=operand(value), expression=exp.Not(this=exp.Null()))


def is_in(value: Sql, options: Iterable[Sql]) -> Sql:
    """Test for one of several values."""
    return exp.In(this=operand(value), expressions=list(options))


def between(value: Sql, low: Sql, high: Sql) -> Sql:
    """Test for a range, both ends included."""
    return exp.Between(this=operand(value), low=low, high=high)


def minus(value: Sql) -> Sql:
    """Write the negative of a number."""
    return exp.Neg(this=operand(value))


def is_true(value: Sql) -> Sql:
    """Test for true, unknown counting as not."""
    return call("coalesce", value, FALSE())


def case(branches: Iterable[tuple[Sql, Sql]], otherwise: Sql | None = None) -> Sql:
    """Write the value of the first branch that holds; unknown without one and without `otherwise`. Branches that are
    known never to hold, and those after one that always does, are left out.
    """
    listed: list[exp.If] = []
    for condition, value in branches:
        if isinstance(condition, exp.Boolean) and condition.this:
            otherwise = value
            break
        if not isinstance(condition, exp.Boolean) and not _is_unknown(condition):
            listed.append(exp.If(this=condition, true=value))
    if not listed:
        return exp.Null() if otherwise is None else otherwise
    return exp.Case(ifs=listed, default=otherwise)


def _is_unknown(value: Sql) -> bool:
    return isinstance(value, exp.Cast) and isinstance(value.this, exp.Null)


_LITERALS: Mapping[ValueType, Callable[..., Sql]] = {
    ValueType.BOOL: _boolean,
    ValueType.DATE: _date,
    ValueType.NUMBER: _number,
    ValueType.TEXT: text,
    ValueType.CODE: integer,
    ValueType.DURATION: _duration,
}


def struct(fields: dict[str, Sql]) -> Sql:
    """Write several values as one."""
    return call("struct_pack", *(exp.PropertyEQ(this=name(key), expression=value) for key, value in fields.items()))


def aliased(value: Sql, of: str) -> Sql:
    """Name a column of a SELECT."""
    return exp.Alias(this=value, alias=name(of))


def ordered(value: Sql) -> Sql:
    """Sort by a value, unknown first."""
    return exp.Ordered(this=value, desc=False, nulls_first=True)


def table(of: str, alias: str | None = None) -> exp.Table:
    """Name a table of the connection."""
    return exp.Table(this=name(of), alias=None if alias is None else exp.TableAlias(this=name(alias)))


def select(columns: Sequence[Sql], source: exp.Select | exp.Table | exp.Subquery, alias: str = "q") -> exp.Select:
    """Write SELECT columns FROM a table or another SELECT."""
    if isinstance(source, exp.Select):
        source = exp.Subquery(this=source, alias=exp.TableAlias(this=name(alias)))
    return exp.Select(expressions=list(columns)).from_(source, copy=False)


def create(of: str, query: Sql, *, anew: bool = False) -> str:
    """Write the statement that keeps a query's rows as a temporary table, in place of one of this name if `anew`."""
    statement = exp.Create(
        this=table(of),
        kind="TABLE",
        replace=anew,
        expression=query,
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
    )
    return rendered(statement)


def columns_in(expression: Sql) -> Iterator[exp.Column]:
    """Yield the columns that an expression mentions, once for each mention."""
    stack = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, exp.Column):
            yield node
            continue
        for value in node.args.values():
            if isinstance(value, exp.Expr):
                stack.append(value)
            elif isinstance(value, list):
                stack.extend(item for item in value if isinstance(item, exp.Expr))


def rendered(statement: Sql) -> str:
    """Write a statement down for DuckDB."""
    return statement.sql(dialect=DIALECT)
