"""What Spark's expressions need beside the builders that all engines share (`sql`): its types, constants, functions of
lists, and a name for a value that an operation looks at more than once.

Functions are called by Spark's own names; sqlglot only writes our tree down. Not here: what operations mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model.values import Duration, Scalar, Unit, ValueType

__all__ = [
    "NULL", "UNITS", "Given", "cast", "cast_to", "field", "filtered", "finite", "lambda_of", "let", "literal",
    "rendered", "struct", "transformed", "variable",
]  # fmt: skip

DIALECT = "spark"
UNITS: tuple[Unit, ...] = tuple(Unit)
"""The order in which a duration's unit is written as a number."""

Given = Callable[[], Sql]
"""A value that can be written as often as needed, since a tree node stands in one place only."""

_TYPES: Mapping[ValueType, str] = {
    ValueType.BOOL: "BOOLEAN",
    ValueType.DATE: "DATE",
    ValueType.NUMBER: "DOUBLE",
    ValueType.TEXT: "STRING",
    ValueType.CODE: "BIGINT",
    ValueType.DURATION: "STRUCT<count: BIGINT, unit: INT>",
}
_MOST = 1.7976931348623157e308
_LARGEST = 2**60
_LEAVES = (exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null)


def cast_to(value: Sql, kind: str) -> Sql:
    """Give a value a type by Spark's name."""
    return exp.Cast(this=value, to=exp.DataType.build(kind, dialect=DIALECT))


def cast(value: Sql, kind: ValueType) -> Sql:
    """Give a value the type that the engine holds it in."""
    return cast_to(value, _TYPES[kind])


def NULL(kind: ValueType) -> Sql:  # noqa: N802 - a constant, made anew because a tree node has one parent
    """Write an unknown value of a type."""
    return cast(exp.Null(), kind)


def literal(value: Scalar | None, kind: ValueType) -> Sql:
    """Write a constant of a definition, in the type in which the engine holds its kind."""
    if value is None:
        return NULL(kind)
    return _LITERALS[kind](value)


def _date(value: date) -> Sql:
    return cast(sql.text(value.isoformat()), ValueType.DATE)


def _number(value: float) -> Sql:
    """Write a double: digits with an exponent, which Spark reads as a double and never as a decimal."""
    digits = repr(abs(float(value)))
    number = exp.Literal.number(digits if "e" in digits else f"{digits}e0")
    return sql.minus(number) if math.copysign(1, value) < 0 else number


def _duration(value: Duration) -> Sql:
    if abs(value.count) > _LARGEST:
        raise DefinitionError(f"A duration of {value} is out of any use.", "Write a shorter one.")
    return cast(
        struct({"count": sql.integer(value.count), "unit": sql.integer(UNITS.index(value.unit))}), ValueType.DURATION
    )


_LITERALS: Mapping[ValueType, Callable[..., Sql]] = {
    ValueType.BOOL: lambda value: exp.Boolean(this=value),
    ValueType.DATE: _date,
    ValueType.NUMBER: _number,
    ValueType.TEXT: sql.text,
    ValueType.CODE: lambda value: cast(sql.integer(value), ValueType.CODE),
    ValueType.DURATION: _duration,
}


def struct(fields: Mapping[str, Sql]) -> Sql:
    """Write several values as one."""
    return sql.call("named_struct", *(part for name, value in fields.items() for part in (sql.text(name), value)))


def variable(name: str) -> Sql:
    """Write the variable of a function over a list. No column, so that nobody looks for it in a table."""
    return sql.name(name)


def field(of: Sql, name: str) -> Sql:
    """Write one of several values that are held as one."""
    return exp.Dot(this=of, expression=sql.name(name))


def lambda_of(variables: Sequence[str], body: Sql) -> Sql:
    """Write a function of one or two variables."""
    return exp.Lambda(this=body, expressions=[sql.name(name) for name in variables])


def filtered(items: Sql, name: str, condition: Sql) -> Sql:
    """Write the items of a list for which a condition on the variable is true."""
    return sql.call("filter", items, lambda_of([name], condition))


def transformed(items: Sql, name: str, value: Sql) -> Sql:
    """Write the list of a value worked out for each item."""
    return sql.call("transform", items, lambda_of([name], value))


def let(values: Sequence[Sql], body: Callable[..., Sql], name: str = "it") -> Sql:
    """Write an expression that looks at values several times while each is worked out once: as the only item of a list.

    `body` takes a `Given` for each value. Where one stands inside the body of another, `name` tells them apart.
    """
    made: dict[str, Sql] = {}
    given: list[Given] = []
    for value in values:
        if _is_leaf(value):
            given.append(value.copy)
        else:
            key = f"a{len(made)}"
            made[key] = value
            given.append(lambda key=key: field(variable(name), key))  # type: ignore[misc]
    if not made:
        return body(*given)
    return sql.call("get", transformed(sql.call("array", struct(made)), name, body(*given)), sql.integer(0))


def _is_leaf(value: Sql) -> bool:
    """Tell whether writing a value twice costs nothing."""
    if isinstance(value, exp.Dot | exp.Cast):
        return _is_leaf(value.this)
    return isinstance(value, _LEAVES)


def finite(number: Sql, name: str = "number") -> Sql:
    """Write a number, or unknown when it has grown beyond what a double holds: no comparison holds for NaN but with
    what is greater, and Spark takes NaN for the greatest.
    """
    return let(
        [number], lambda it: sql.case([(sql.binary(exp.LTE, sql.call("abs", it()), _number(_MOST)), it())]), name
    )


def rendered(statement: Sql) -> str:
    """Write a statement down for Spark."""
    return statement.sql(dialect=DIALECT)
