"""How a rule hangs together: what is about a row and what about the patient, and what a column of a frame's rows is
made of.

Not here: collecting what is to be read (`plan`), and what operations mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import CompareOp, Frame, Series, rows_of
from cohortium_plugins.model.values import ValueType

__all__ = ["column_of", "condition_of", "is_about_row", "parts_of", "patient_parts", "place_of", "rows_of"]


def parts_of(series: Series) -> Iterator[Series]:
    """Yield the series that a series is made of directly; what stands inside a frame or a pick is not."""
    return (child for child in nodes.children(series) if isinstance(child, Series))


_about_row: WeakKeyDictionary[Series, bool] = WeakKeyDictionary()
"""What `is_about_row` has found: nodes never change, and are asked about again and again."""


def is_about_row(series: Series) -> bool:
    """Tell whether the value depends on the row that a filter looks at."""
    stack = [series]
    while series not in _about_row:
        part = stack[-1]
        unknown = [child for child in parts_of(part) if child not in _about_row]
        stack.extend(unknown)
        if not unknown:
            _about_row[part] = isinstance(part, nodes.RowValue) or any(_about_row[child] for child in parts_of(part))
            stack.pop()
    return _about_row[series]


def patient_parts(condition: Series) -> Iterator[Series]:
    """Yield the largest parts of a filter's condition that are about the patient, each once, in their order."""
    seen: set[Series] = set()
    stack = [condition]
    while stack:
        part = stack.pop()
        if part in seen:
            continue
        seen.add(part)
        if is_about_row(part):
            stack.extend(reversed(list(parts_of(part))))
        else:
            yield part


def column_of(frame: Frame, column: str) -> Series:
    """Give a column of a frame's rows as a series about the row of the table: the column itself, or what a conversion
    to a unit makes of it.
    """
    if isinstance(frame, nodes.InUnit) and column in ("value", "unit"):
        return _converted(frame, column)
    if isinstance(frame, nodes.Rows):
        return nodes.RowValue(column)
    inner = next(child for child in nodes.children(frame) if isinstance(child, Frame))
    return column_of(inner, column)


def _converted(frame: nodes.InUnit, column: str) -> Series:
    value, unit = column_of(frame.frame, "value"), column_of(frame.frame, "unit")
    wanted = nodes.Constant(frame.unit, ValueType.TEXT)
    conditions: list[Series] = [nodes.Compare(CompareOp.EQ, unit, wanted)]
    values: list[Series] = [value]
    for conversion in frame.conversions:
        found = nodes.Constant(conversion.unit, ValueType.TEXT) if conversion.unit is not None else None
        conditions.append(nodes.IsMissing(unit) if found is None else nodes.Compare(CompareOp.EQ, unit, found))
        factor, offset = (nodes.Constant(float(n), ValueType.NUMBER) for n in (conversion.factor, conversion.offset))
        times = nodes.Arithmetic(nodes.ArithmeticOp.MULTIPLY, value, factor)
        values.append(nodes.Arithmetic(nodes.ArithmeticOp.ADD, times, offset))
    if column == "value":
        return nodes.Case(tuple(conditions), tuple(values))
    return nodes.Case(tuple(conditions), (wanted,) * len(conditions), unit)


def place_of(node: nodes.NthEarliest) -> int:
    """Give the place of the day that is wanted, from 1. Raises DefinitionError when it is no whole number."""
    number = node.number.value if isinstance(node.number, nodes.Constant) else None
    if not isinstance(number, int | float) or number < 1 or number != int(number):
        raise DefinitionError(
            "The place of a day among several is a whole number from 1.", "Write nth_earliest(2, ...)."
        )
    return int(number)


def condition_of(frame: nodes.Filter) -> Series:
    """Give a filter's condition with every column as the rows of the frame it filters have it."""
    if column_of(frame.frame, "value") is nodes.RowValue("value"):
        return frame.condition
    made: dict[Series, Series] = {}

    def field(item: object) -> object:
        if isinstance(item, Series):
            return made[item]
        return tuple(field(part) for part in item) if isinstance(item, tuple) else item

    for part in _parts_first(frame.condition):
        if isinstance(part, nodes.RowValue):
            made[part] = column_of(frame.frame, part.column)
        elif is_about_row(part):
            fields = {f.name: field(getattr(part, f.name)) for f in dataclasses.fields(part)}
            made[part] = type(part)(**fields)
        else:
            made[part] = part
    return made[frame.condition]


def _parts_first(series: Series) -> Iterator[Series]:
    """Yield a series and all that it is made of outside frames, parts first, each once."""
    seen: set[Series] = set()
    stack = [(series, False)]
    while stack:
        part, opened = stack.pop()
        if opened:
            yield part
        elif part not in seen:
            seen.add(part)
            stack.append((part, True))
            stack.extend((child, False) for child in parts_of(part))
