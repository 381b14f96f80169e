"""DuckDB's functions of lists, in which frames are written: a patient's rows, as structs in their order.

Not here: what a frame is (`duckdb_frames`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.sql import Sql

__all__ = ["Given", "at", "bound", "field", "filtered", "lambda_of", "let", "size", "transformed", "variable"]

Given = Callable[[], Sql]
"""A value that can be written as often as needed, since a tree node stands in one place only."""

_LEAVES = (exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null)


def variable(name: str) -> Sql:
    """Write the variable of a function over a list. No column, so that nobody looks for it in a table."""
    return sql.name(name)


def field(of: Sql, name: str) -> Sql:
    """Write one of several values that are held as one."""
    return sql.call("struct_extract", of, sql.text(name))


def lambda_of(variables: Sequence[str], body: Sql) -> Sql:
    """Write a function of an item of a list and, if asked for, its place, which counts from 1."""
    return exp.Lambda(this=body, expressions=[sql.name(name) for name in variables])


def filtered(items: Sql, name: str, condition: Sql) -> Sql:
    """Write the items of a list for which a condition on the variable is true."""
    return sql.call("list_filter", items, lambda_of([name], condition))


def transformed(items: Sql, name: str, value: Sql) -> Sql:
    """Write the list of a value worked out for each item."""
    return sql.call("list_transform", items, lambda_of([name], value))


def size(items: Sql) -> Sql:
    """Count the items of a list."""
    return sql.call("len", items)


def at(items: Sql, place: int) -> Sql:
    """Give the item at a place, from 1 or, from the end, from -1; unknown where there is none."""
    return sql.call("list_extract", items, sql.integer(place))


def bound(value: Sql, name: str, body: Sql) -> Sql:
    """Write an expression in which a variable stands for a value that is worked out once: as a list's only item."""
    return at(transformed(sql.call("list_value", value), name, body), 1)


def let(value: Sql, name: str, body: Callable[[Given], Sql]) -> Sql:
    """Write an expression that looks at a value several times, worked out once unless it costs nothing."""
    if isinstance(value, _LEAVES):
        return body(value.copy)
    return bound(value, name, body(lambda: variable(name)))
