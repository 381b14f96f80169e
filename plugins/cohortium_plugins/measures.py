"""Values with units: how a pack declares a measure, and in which unit a number of a rule is.

A frame becomes measured by `Frame.measured`; numbers taken from it are in the measure's unit, and numbers in two units
are neither compared nor added. A number without a unit (a constant, an age, a count, a value that was never measured)
is in the unit of the other side. Not here: what a conversion does to a row (`model.nodes.InUnit`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import ArithmeticOp
from cohortium_plugins.model.values import Conversion

__all__ = ["Measure", "check_units", "unit_of", "unit_of_frame"]


@dataclass(frozen=True)
class Measure:
    """What is measured, in which unit, and how other units convert to it: unit to (factor, offset), where the value
    times the factor plus the offset is the value in this unit. `without_unit` names the unit that a value without one
    is in (None: such a value counts as none). Units are compared letter by letter.

    Raises DefinitionError for a conversion that can have no meaning.
    """

    name: str
    unit: str
    converts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    without_unit: str | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.unit in self.converts:
            raise DefinitionError(f"{self.name}: {self.unit} needs no conversion to itself.", "Leave it out.")
        for unit, (factor, offset) in self.converts.items():
            if factor == 0 or not (math.isfinite(factor) and math.isfinite(offset)):
                raise DefinitionError(f"{self.name}: {unit} has no conversion.", "Give a factor other than 0.")
        if self.without_unit not in (None, self.unit, *self.converts):
            units = ", ".join((self.unit, *self.converts))
            raise DefinitionError(f"{self.name}: nothing converts {self.without_unit}.", f"Choose from {units}.")

    @property
    def conversions(self) -> tuple[Conversion, ...]:
        """The conversions, that of values without a unit last."""
        listed = [Conversion(unit, float(f), float(o)) for unit, (f, o) in self.converts.items()]
        if self.without_unit is not None:
            factor, offset = self.converts.get(self.without_unit, (1.0, 0.0))
            listed.append(Conversion(None, float(factor), float(offset)))
        return tuple(listed)


def unit_of_frame(frame: nodes.Frame) -> str | None:
    """Give the unit that a frame's values are in; None when it was never measured."""
    while not isinstance(frame, nodes.Rows):
        if isinstance(frame, nodes.InUnit):
            return frame.unit
        frame = next(child for child in nodes.children(frame) if isinstance(child, nodes.Frame))
    return None


@functools.lru_cache(maxsize=50_000)
def unit_of(node: nodes.Series, row: str | None = None) -> str | None:
    """Give the unit that a number is in; None when it has none. `row` is that of the rows a condition looks at."""
    if isinstance(node, nodes.PickValue):
        return unit_of_frame(node.pick.frame) if node.column == "value" else None
    if isinstance(node, nodes.Mean):
        return unit_of_frame(node.frame)
    if isinstance(node, nodes.RowValue):
        return row if node.column == "value" else None
    if isinstance(node, nodes.Named):
        return unit_of(node.operand, row)
    if isinstance(node, nodes.Arithmetic) and node.op in (ArithmeticOp.MULTIPLY, ArithmeticOp.DIVIDE):
        left, right = unit_of(node.left, row), unit_of(node.right, row)
        keeps = left is None or right is None
        return (left or (right if node.op is ArithmeticOp.MULTIPLY else None)) if keeps else None
    return next((unit for unit in _units(_alike(node), row)), None)


def check_units(node: nodes.Series, row: str | None = None) -> None:
    """Refuse a node that puts numbers of two units together. Raises DefinitionError."""
    units = list(dict.fromkeys(_units(_alike(node), row)))
    if len(units) > 1:
        raise DefinitionError(
            f"A number in {units[0]} stands beside one in {units[1]}.",
            f"Measure both in one unit: .measured(Measure(..., unit={units[0]!r}, converts={{{units[1]!r}: "
            "(factor, offset)})).",
        )


def _alike(node: nodes.Series) -> tuple[nodes.Series, ...]:
    """List the operands that must be in one unit, which is then the node's if it is a number."""
    if isinstance(node, nodes.Compare | nodes.Arithmetic):
        ratio = isinstance(node, nodes.Arithmetic) and node.op in (ArithmeticOp.MULTIPLY, ArithmeticOp.DIVIDE)
        return () if ratio else (node.left, node.right)
    if isinstance(node, nodes.Extreme | nodes.Coalesce):
        return node.operands
    if isinstance(node, nodes.Case):
        return node.values if node.otherwise is None else (*node.values, node.otherwise)
    return ()


def _units(operands: Iterable[nodes.Series], row: str | None) -> Iterable[str]:
    return (unit for operand in operands if (unit := unit_of(operand, row)) is not None)
