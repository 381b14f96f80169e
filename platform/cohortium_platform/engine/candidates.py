"""Whom a rule could be true of at all: people with at least one row of certain frames.

A cohort of two or three people in a hundred needs no look at the rest: if its rule cannot hold without a row of some
codelist, only people with such a row are considered. Not here: deciding who is a member.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from cohortium_platform.engine.shape import rows_of
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import CompareOp, Constant, Rows, Series

__all__ = ["Needed", "needed_rows"]

Needed = frozenset[Rows] | None
"""The rule can only hold for someone with a row of one of these (of none when empty: it never holds); None: it may hold
for anyone."""

NOBODY: frozenset[Rows] = frozenset()


def needed_rows(rule: Series) -> Needed:
    """Tell which rows a rule cannot be true without."""
    look = _TO_HOLD.get(type(rule))
    return None if look is None else look(rule)


def _needed_to_know(series: Series) -> Needed:
    """Tell which rows a series has no value without."""
    look = _TO_KNOW.get(type(series))
    return None if look is None else look(series)


def _standing_on(frame: nodes.Frame) -> Needed:
    return frozenset({rows_of(frame)})


def _compared(rule: nodes.Compare) -> Needed:
    sides = (_needed_to_know(rule.left), _needed_to_know(rule.right))
    return _narrowest((_needed_to_count(rule), *sides))


def _negated(rule: nodes.Not) -> Needed:
    return _needed_to_know(rule.operand.operand) if isinstance(rule.operand, nodes.IsMissing) else None


def _needed_to_count(rule: nodes.Compare) -> Needed:
    """Read `count >= 2` and the like: nothing counted is not enough."""
    if not (isinstance(rule.right, Constant) and isinstance(rule.right.value, int | float)):
        return None
    least = {CompareOp.GE: rule.right.value > 0, CompareOp.GT: rule.right.value >= 0}
    if not least.get(rule.op, False):
        return None
    if isinstance(rule.left, nodes.Count):
        return frozenset({rows_of(rule.left.frame)})
    if isinstance(rule.left, nodes.CountTrue):
        return _either(needed_rows(part) for part in rule.left.operands)
    return None


def _narrowest(options: Iterable[Needed]) -> Needed:
    """Each of several holds: any one of them will do, the shortest best."""
    known = [option for option in options if option is not None]
    return min(known, key=len, default=None)


def _either(options: Iterable[Needed]) -> Needed:
    """One of several holds: all of them are needed."""
    found: set[Rows] = set()
    for option in options:
        if option is None:
            return None
        found |= option
    return frozenset(found)


_TO_HOLD: Mapping[type[Series], Callable[..., Needed]] = {
    Constant: lambda rule: None if rule.value is True else NOBODY,
    nodes.Exists: lambda rule: _standing_on(rule.frame),
    nodes.And: lambda rule: _narrowest(needed_rows(part) for part in rule.operands),
    nodes.Or: lambda rule: _either(needed_rows(part) for part in rule.operands),
    nodes.Not: _negated,
    nodes.IsIn: lambda rule: _needed_to_know(rule.operand),
    nodes.Compare: _compared,
}

_TO_KNOW: Mapping[type[Series], Callable[..., Needed]] = {
    nodes.PickValue: lambda series: _standing_on(series.pick.frame),
    nodes.Mean: lambda series: _standing_on(series.frame),
    nodes.DateAdd: lambda series: _narrowest((_needed_to_know(series.date), _needed_to_know(series.duration))),
    nodes.Arithmetic: lambda series: _narrowest((_needed_to_know(series.left), _needed_to_know(series.right))),
    nodes.DateDifference: lambda series: _narrowest((_needed_to_know(series.start), _needed_to_know(series.end))),
    nodes.Extreme: lambda series: _either(_needed_to_know(part) for part in series.operands),
    nodes.Coalesce: lambda series: _either(_needed_to_know(part) for part in series.operands),
    nodes.NthEarliest: lambda series: _either(_needed_to_know(part) for part in series.operands),
}
