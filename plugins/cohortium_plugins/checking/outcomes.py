"""What a condition can come to at all, whatever the record says: true, false, unknown.

More may be said to be possible than is, never less. Not here: what is made of it (`rules`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product

from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import CompareOp, Series
from cohortium_plugins.windows import conflict, conflict_in_frame

__all__ = ["Outcome", "Outcomes", "conjuncts"]

Outcome = frozenset[bool | None]
ANY: Outcome = frozenset({True, False, None})
KNOWN: Outcome = frozenset({True, False})
NEVER: Outcome = frozenset({False})

TRUE_OF_ITSELF = (CompareOp.EQ, CompareOp.LE, CompareOp.GE)
COUNTS = (nodes.Count, nodes.CountTrue)
_NEGATIVE: Mapping[CompareOp, Callable[[float], bool | None]] = {
    CompareOp.GE: lambda n: True if n <= 0 else None,
    CompareOp.GT: lambda n: True if n < 0 else None,
    CompareOp.LT: lambda n: False if n <= 0 else None,
    CompareOp.LE: lambda n: False if n < 0 else None,
}
"""What comparing a count with a number always comes to, since no count is below nought; None: it depends."""


def conjuncts(condition: Series) -> list[Series]:
    """List the conditions that must all hold for one to hold."""
    if isinstance(condition, nodes.Named):
        return [condition, *conjuncts(condition.operand)]
    if isinstance(condition, nodes.And):
        return [part for operand in condition.operands for part in conjuncts(operand)]
    return [condition]


class Outcomes:
    """What conditions can come to where some others (`assumed`) are known to hold."""

    def __init__(self, assumed: Iterable[Series] = ()) -> None:
        self.assumed = {part for condition in assumed for part in conjuncts(condition)}
        self._found: dict[Series, Outcome] = {}

    def of(self, node: Series) -> Outcome:
        """Give what a condition can come to."""
        if node not in self._found:
            self._found[node] = frozenset({True}) if node in self.assumed else self._look(node)
        return self._found[node]

    def holds(self, node: Series) -> bool:
        """Tell whether it can be true together with what is assumed."""
        return True in self.of(node) and conflict([*self.assumed, *conjuncts(node)]) is None

    def is_empty(self, frame: nodes.Frame) -> bool:
        """Tell whether a frame can never hold a row."""
        if conflict_in_frame(frame) is not None:
            return True
        while not isinstance(frame, nodes.Rows):
            if isinstance(frame, nodes.Filter) and True not in self.of(frame.condition):
                return True
            if isinstance(frame, nodes.Near) and self.is_empty(frame.other):
                return True
            frame = next(child for child in nodes.children(frame) if isinstance(child, nodes.Frame))
        return False

    def _look(self, node: Series) -> Outcome:
        look = _LOOKS.get(type(node))
        return ANY if look is None else look(self, node)


def _constant(_outcomes: Outcomes, node: nodes.Constant) -> Outcome:
    return frozenset({node.value}) if node.value is None or isinstance(node.value, bool) else ANY


def _exists(outcomes: Outcomes, node: nodes.Exists) -> Outcome:
    return NEVER if outcomes.is_empty(node.frame) else KNOWN


def _not(outcomes: Outcomes, node: nodes.Not) -> Outcome:
    return frozenset(None if value is None else not value for value in outcomes.of(node.operand))


def _and(outcomes: Outcomes, node: nodes.And) -> Outcome:
    return _joined(outcomes, node.operands, decisive=False)


def _or(outcomes: Outcomes, node: nodes.Or) -> Outcome:
    return _joined(outcomes, node.operands, decisive=True)


def _joined(outcomes: Outcomes, operands: tuple[Series, ...], *, decisive: bool) -> Outcome:
    found = [outcomes.of(operand) for operand in operands]
    result: set[bool | None] = set()
    if any(decisive in each for each in found):
        result.add(decisive)
    undecided = [each - {decisive} for each in found]
    if all(undecided):
        result.update(
            None if None in some else not decisive for some in product(*(sorted(each, key=str) for each in undecided))
        ) if len(found) <= 6 else result.update({None, not decisive})  # noqa: PLR2004 - enough to be exact
    negated = {operand.operand for operand in operands if isinstance(operand, nodes.Not)}
    contradictory = bool(negated & set(operands)) or (not decisive and conflict(_flat(operands)) is not None)
    return frozenset(result - {not decisive} if contradictory else result)


def _flat(operands: tuple[Series, ...]) -> list[Series]:
    return [part for operand in operands for part in conjuncts(operand)]


def _compare(_outcomes: Outcomes, node: nodes.Compare) -> Outcome:
    if node.left is node.right:
        return frozenset({node.op in TRUE_OF_ITSELF, None})
    number = node.right.value if isinstance(node.right, nodes.Constant) else None
    if isinstance(node.left, COUNTS) and isinstance(number, int | float) and node.op in _NEGATIVE:
        always = _NEGATIVE[node.op](number)
        if isinstance(node.left, nodes.CountTrue) and always is None:
            always = _too_many(node, number)
        return KNOWN if always is None else frozenset({always})
    return ANY


def _too_many(node: nodes.Compare, number: float) -> bool | None:
    """Tell whether more conditions are asked for than there are."""
    most = len(node.left.operands) if isinstance(node.left, nodes.CountTrue) else number
    too_many = {CompareOp.GE: number > most, CompareOp.GT: number >= most}
    return False if too_many.get(node.op, False) else None


def _case(outcomes: Outcomes, node: nodes.Case) -> Outcome:
    result: set[bool | None] = set()
    for condition, value in zip(node.conditions, node.values, strict=True):
        found = outcomes.of(condition)
        if True in found:
            result |= outcomes.of(value)
        if found == {True}:
            return frozenset(result)
    return frozenset(result | ({None} if node.otherwise is None else outcomes.of(node.otherwise)))


def _fact(_outcomes: Outcomes, node: nodes.PatientFact) -> Outcome:
    return KNOWN if node.name == "is_registered" else ANY


_LOOKS: Mapping[type[Series], Callable[..., Outcome]] = {
    nodes.Constant: _constant,
    nodes.Exists: _exists,
    nodes.Not: _not,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Compare: _compare,
    nodes.Case: _case,
    nodes.PatientFact: _fact,
    nodes.IsMissing: lambda _outcomes, _node: KNOWN,
    nodes.ParameterValue: lambda _outcomes, _node: KNOWN,
    nodes.HasCodes: lambda _outcomes, _node: KNOWN,
    nodes.Named: lambda outcomes, node: outcomes.of(node.operand),
}
