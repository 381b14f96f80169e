"""What the engine refuses to compile, said before anything is read.

`language` cannot write such rules, but a pack is data and may come from elsewhere. Not here: whether a definition makes
sense clinically.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from cohortium_platform.engine.shape import is_about_row, place_of, rows_of
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Definition
from cohortium_plugins.model.nodes import CompareOp, How, Node
from cohortium_plugins.model.values import ValueType

__all__ = ["check"]

CODED = ("events", "medications")
_ORDERINGS = (CompareOp.LT, CompareOp.LE, CompareOp.GT, CompareOp.GE)


def check(definition: Definition) -> None:
    """Raise DefinitionError on a definition that has no meaning."""
    if not definition.cohorts:
        raise DefinitionError("A definition without a cohort is about nobody.", "Define a cohort.")
    for root in definition.roots():
        if isinstance(root, nodes.Series) and is_about_row(root):
            raise DefinitionError("A column of a row stands outside any filter.", "Use it inside where(...).")
    for node in nodes.walk(*definition.roots()):
        checked = _CHECKS.get(type(node))
        if checked is not None:
            checked(node, definition)
        if isinstance(node, nodes.Filter):
            _check_columns(node.condition, nodes.TABLES[rows_of(node).name])


def _check_rows(node: nodes.Rows, definition: Definition) -> None:
    if node.name not in nodes.TABLES:
        raise DefinitionError(f"There is no table {node.name}.", f"There are: {', '.join(nodes.TABLES)}.")
    if (node.codelist is not None) is not (node.name in CODED):
        raise DefinitionError(
            f"Rows of {node.name} with codelist {node.codelist} have no meaning.",
            f"Coded tables ({', '.join(CODED)}) are read by a codelist, others without one.",
        )
    if node.codelist is not None:
        _check_codelist(node.codelist, definition)


def _check_first(node: nodes.FirstOfEach, definition: Definition) -> None:
    _check_codelist(node.codelist, definition)
    if "episode" not in nodes.TABLES[rows_of(node).name]:
        raise DefinitionError(f"Rows of {rows_of(node).name} carry no episode.", "Start from events(...).")


def _check_near(node: nodes.Near, _definition: Definition) -> None:
    for length in (node.before, node.after):
        if length.type is not ValueType.DURATION or is_about_row(length):
            raise DefinitionError("What is near is told by two lengths of time.", "Write days(7) or months(3).")


def _check_in_unit(node: nodes.InUnit, _definition: Definition) -> None:
    if "value" not in nodes.TABLES[rows_of(node).name]:
        raise DefinitionError(f"Rows of {rows_of(node).name} have no values.", "Start from events(...).")
    units = [conversion.unit for conversion in node.conversions]
    numbers = [number for c in node.conversions for number in (c.factor, c.offset)]
    if len({*units, node.unit}) <= len(units) or not all(map(math.isfinite, numbers)):
        raise DefinitionError(f"The conversions to {node.unit} have no one meaning.", "Give each other unit once.")


def _check_codelist(name: str, definition: Definition) -> None:
    if name not in definition.codelists:
        raise DefinitionError(f"There is no codelist {name}.", f"There are: {', '.join(sorted(definition.codelists))}.")


def _check_valued(node: nodes.Mean | nodes.Pick, _definition: Definition) -> None:
    if isinstance(node, nodes.Pick) and node.how in (How.EARLIEST, How.LATEST):
        return
    if "value" not in nodes.TABLES[rows_of(node.frame).name]:
        raise DefinitionError(f"Rows of {rows_of(node.frame).name} have no values.", "Start from events(...).")


def _check_pick_value(node: nodes.PickValue, _definition: Definition) -> None:
    _check_column(node.column, nodes.TABLES[rows_of(node.pick.frame).name])


def _check_columns(condition: nodes.Series, columns: tuple[str, ...]) -> None:
    stack: list[Node] = [condition]
    while stack:
        part = stack.pop()
        if isinstance(part, nodes.RowValue):
            _check_column(part.column, columns)
        stack.extend(child for child in nodes.children(part) if isinstance(child, nodes.Series))


def _check_column(column: str, columns: tuple[str, ...]) -> None:
    if column not in columns:
        raise DefinitionError(f"Such rows have no {column}.", f"They have {', '.join(columns)}.")


def _check_fact(node: nodes.PatientFact, _definition: Definition) -> None:
    if node.name not in nodes.FACTS:
        raise DefinitionError(f"There is no fact {node.name}.", f"There are: {', '.join(nodes.FACTS)}.")


def _check_parameter(node: nodes.ParameterValue, _definition: Definition) -> None:
    raise DefinitionError(f"Parameter {node.name} has no value.", "Bind the definition before evaluating it.")


def _check_compare(node: nodes.Compare, _definition: Definition) -> None:
    if node.left.type is not node.right.type:
        raise DefinitionError(f"A {node.left.type} cannot be compared with a {node.right.type}.")
    if node.left.type is ValueType.DURATION and node.op in _ORDERINGS:
        raise DefinitionError("Durations have no order.", "Compare the dates that they lead to.")


def _check_extreme(node: nodes.Extreme, _definition: Definition) -> None:
    if node.type is ValueType.DURATION:
        raise DefinitionError("Durations have no order.", "Compare the dates that they lead to.")


def _check_place(node: nodes.NthEarliest, _definition: Definition) -> None:
    place_of(node)


_CHECKS: Mapping[type[Node], Callable[..., None]] = {
    nodes.Rows: _check_rows,
    nodes.FirstOfEach: _check_first,
    nodes.Near: _check_near,
    nodes.InUnit: _check_in_unit,
    nodes.Pick: _check_valued,
    nodes.Mean: _check_valued,
    nodes.PickValue: _check_pick_value,
    nodes.PatientFact: _check_fact,
    nodes.ParameterValue: _check_parameter,
    nodes.Compare: _check_compare,
    nodes.Extreme: _check_extreme,
    nodes.NthEarliest: _check_place,
    nodes.HasCodes: lambda node, definition: _check_codelist(node.codelist, definition),
}
