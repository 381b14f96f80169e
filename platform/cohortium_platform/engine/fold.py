"""Constant folding: what a tenant's parameters and codelists have decided already is taken out of the rules, so that
branches switched off are never read.

Folding changes no value and no reason: names are left out, a known false decides an `And` whatever the rest says, a
known true an `Or`, and a `Case` goes by its branches in order. Conditions on rows stay as they are, because a frame
takes over the reason of every part of its condition, used or not. Not here: putting parameters in place
(`model.serialise.bind`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import cast

from cohortium_platform.engine.shape import is_about_row
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Definition
from cohortium_plugins.model.nodes import CompareOp, Constant, Node, Series
from cohortium_plugins.model.serialise import substitute
from cohortium_plugins.model.values import Scalar, ValueType

__all__ = ["folded"]

_COMPARISONS: Mapping[CompareOp, Callable[..., object]] = {
    CompareOp.EQ: operator.eq,
    CompareOp.NE: operator.ne,
    CompareOp.LT: operator.lt,
    CompareOp.LE: operator.le,
    CompareOp.GT: operator.gt,
    CompareOp.GE: operator.ge,
}


def folded(definition: Definition) -> Definition:
    """Give the definition with every part that is decided already replaced by its value."""

    def fold(node: Node) -> Node:
        if isinstance(node, nodes.HasCodes):
            return _truth(bool(definition.codelists[node.codelist].codes))
        if isinstance(node, nodes.Named):
            return node.operand
        return _fold(node)

    return substitute(definition, fold)


def constant(value: object, kind: ValueType) -> Constant:
    """Give a constant; None stands for unknown."""
    return Constant(cast("Scalar", value), kind)


def _truth(value: object) -> Constant:
    return constant(value, ValueType.BOOL)


def _fold(node: Node) -> Node:
    fold = _FOLDS.get(type(node))
    if fold is None or (isinstance(node, Series) and is_about_row(node)):
        return node
    return fold(node)


def _fold_connective(node: nodes.And | nodes.Or) -> Series:
    decisive = isinstance(node, nodes.Or)
    if any(isinstance(part, Constant) and part.value is decisive for part in node.operands):
        return _truth(decisive)
    open_parts = tuple(
        part for part in node.operands if not (isinstance(part, Constant) and part.value is (not decisive))
    )
    if not open_parts:
        return _truth(not decisive)
    return open_parts[0] if len(open_parts) == 1 else type(node)(open_parts)


def _fold_not(node: nodes.Not) -> Series:
    if not isinstance(node.operand, Constant):
        return node
    return _truth(None if node.operand.value is None else not node.operand.value)


def _fold_missing(node: nodes.IsMissing) -> Series:
    return _truth(node.operand.value is None) if isinstance(node.operand, Constant) else node


def _fold_compare(node: nodes.Compare) -> Series:
    if not (isinstance(node.left, Constant) and isinstance(node.right, Constant)):
        return node
    if node.left.value is None or node.right.value is None:
        return _truth(None)
    return _truth(_COMPARISONS[node.op](node.left.value, node.right.value))


def _fold_in(node: nodes.IsIn) -> Series:
    if not isinstance(node.operand, Constant):
        return node
    return _truth(None if node.operand.value is None else node.operand.value in node.values)


def _fold_case(node: nodes.Case) -> Series:
    branches: list[tuple[Series, Series]] = []
    otherwise = node.otherwise
    for condition, value in zip(node.conditions, node.values, strict=True):
        if not isinstance(condition, Constant):
            branches.append((condition, value))
        elif condition.value is True:
            otherwise = value
            break
    if not branches:
        return constant(None, node.type) if otherwise is None else otherwise
    return nodes.Case(tuple(c for c, _ in branches), tuple(v for _, v in branches), otherwise)


def _fold_coalesce(node: nodes.Coalesce) -> Series:
    operands: list[Series] = []
    for operand in node.operands:
        if isinstance(operand, Constant) and operand.value is None:
            continue
        operands.append(operand)
        if isinstance(operand, Constant):
            break
    if not operands:
        return constant(None, node.type)
    return operands[0] if len(operands) == 1 else nodes.Coalesce(tuple(operands))


def _fold_filter(node: nodes.Filter) -> nodes.Frame:
    keeps_all = isinstance(node.condition, Constant) and node.condition.value is True
    return node.frame if keeps_all else node


_FOLDS: Mapping[type[Node], Callable[..., Node]] = {
    nodes.And: _fold_connective,
    nodes.Or: _fold_connective,
    nodes.Not: _fold_not,
    nodes.IsMissing: _fold_missing,
    nodes.Compare: _fold_compare,
    nodes.IsIn: _fold_in,
    nodes.Case: _fold_case,
    nodes.Coalesce: _fold_coalesce,
    nodes.Filter: _fold_filter,
}
