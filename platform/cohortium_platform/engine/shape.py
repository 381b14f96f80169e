"""How a rule hangs together: what is about a row and what about the patient, and what must be known before what;
and what a column of a frame's rows is made of.

Not here: collecting what is to be read (`plan`), and what operations mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import CompareOp, Frame, Node, Series, rows_of
from cohortium_plugins.model.values import ValueType

__all__ = ["Days", "Shape", "column_of", "condition_of", "is_about_row", "parts_of", "patient_parts", "rows_of"]


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


@dataclass(frozen=True, slots=True, eq=False)
class Days(Node):
    """The days of a frame's rows: what `Near` looks for in a frame, taken from it like any aggregate."""

    frame: Frame


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


class Shape:
    """In which stage each node can be worked out.

    Stage 0 knows facts of the patient. A frame is read in the first stage that knows every value its conditions ask
    for, and what is taken from it is known one stage later.
    """

    def __init__(self) -> None:
        self._stages: dict[Node, int] = {}

    def stage(self, node: Series | Frame) -> int:
        """Give the stage in which a series is known, or a frame can be read."""
        if node not in self._stages:
            for part in nodes.walk(node):
                if part not in self._stages and isinstance(part, Series | Frame):
                    self._stages[part] = self._stage(part)
        return self._stages[node]

    def _stage(self, node: Series | Frame) -> int:
        if isinstance(node, Frame):
            return self._stage_of_frame(node)
        if isinstance(node, nodes.Exists | nodes.Count | nodes.Mean):
            return self.stage(node.frame) + 1
        if isinstance(node, nodes.PickValue):
            return self.stage(node.pick.frame) + 1
        return max((self.stage(part) for part in parts_of(node)), default=0)

    def _stage_of_frame(self, frame: Frame) -> int:
        if isinstance(frame, nodes.Rows):
            return 0
        if isinstance(frame, nodes.Filter):
            asked = (self.stage(part) for part in patient_parts(frame.condition))
            return max(self.stage(frame.frame), *asked, 0)
        if isinstance(frame, nodes.FirstOfEach | nodes.InUnit):
            return self.stage(frame.frame)
        if isinstance(frame, nodes.Near):
            lengths = (self.stage(frame.before), self.stage(frame.after))
            return max(self.stage(frame.frame), self.stage(frame.other) + 1, *lengths)
        raise DefinitionError(f"{type(frame).__name__} is no frame that the engine knows.")
