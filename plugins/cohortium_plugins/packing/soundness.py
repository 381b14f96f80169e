"""Whether the nodes of a definition fit each other: columns that their tables have, types that an operation takes.

Authors cannot write a node that does not fit, since `language` refuses it at their line; a file can hold anything. Not
here: names of codelists and cohorts (`named`), sizes (`bounds`), whether a rule is sensible (`checks`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date

from cohortium_plugins.errors import MalformedPack
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Cohort, Definition, Indicator, Parameter, Shown
from cohortium_plugins.model.values import Duration, Scalar, ValueType

__all__ = ["check_sound"]

BOOL, DATE, NUMBER, TEXT = ValueType.BOOL, ValueType.DATE, ValueType.NUMBER, ValueType.TEXT
CODED = ("events", "medications")
_MOST_CODE = 1 << 63
_SCALARS: Mapping[ValueType, tuple[type, ...]] = {
    BOOL: (bool,),
    DATE: (date,),
    NUMBER: (int, float),
    TEXT: (str,),
    ValueType.CODE: (int,),
    ValueType.DURATION: (Duration,),
}


class _Misfit(Exception):  # noqa: N818 - turned into words at once
    """A node does not fit; says why."""


def check_sound(definition: Definition) -> None:
    """Make sure that every node can be evaluated. Raises MalformedPack with the node's kind and what is wrong."""
    for node in nodes.walk(*definition.roots()):
        rule = _RULES.get(type(node))
        try:
            if rule is not None:
                rule(node)
        except _Misfit as misfit:
            raise MalformedPack(f"A node {type(node).__name__} does not fit: {misfit}.") from None
    for codelist in definition.codelists.values():
        for code in codelist.codes:
            if not 0 < code.code < _MOST_CODE or code.local:
                raise MalformedPack(f"{codelist.name} holds {str(code.code)[:20]}, which no published list may.")
    _check_row_values(definition)
    _check_parameters(definition)
    for what, series, kind in _typed_roots(definition):
        if series is not None and series.type is not kind:
            raise MalformedPack(f"{what} is a {series.type}, and must be a {kind}.")


# --- one node ---------------------------------------------------------------------------------------------------------


def _need(holds: bool, why: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise _Misfit(why)


def _all(operands: Sequence[nodes.Series], kind: ValueType) -> None:
    _need(bool(operands), "it stands on nothing")
    for operand in operands:
        _need(operand.type is kind, f"it takes a {kind}, and not a {operand.type}")


def _alike(operands: Sequence[nodes.Series]) -> None:
    _need(bool(operands), "it stands on nothing")
    _need(len({operand.type for operand in operands}) == 1, "its parts are of different types")


def _fits(value: Scalar, kind: ValueType) -> bool:
    right = isinstance(value, _SCALARS[kind]) and (kind is BOOL or not isinstance(value, bool))
    return right and not (isinstance(value, float) and not math.isfinite(value))


def _rows(node: nodes.Rows) -> None:
    _need(node.name in nodes.TABLES, "there is no such table")
    _need((node.codelist is not None) is (node.name in CODED), "coded tables and no others are read by a codelist")


def _has(frame: nodes.Frame, column: str) -> None:
    table = nodes.rows_of(frame).name
    _need(column in nodes.TABLES[table], f"rows of {table} have no such column")


def _in_unit(node: nodes.InUnit) -> None:
    _has(node, "value")
    for conversion in node.conversions:
        _need(math.isfinite(conversion.factor) and math.isfinite(conversion.offset), "a conversion is without bounds")


def _compare(node: nodes.Compare) -> None:
    _alike((node.left, node.right))
    ordered = node.left.type in (DATE, NUMBER)
    equality = node.op in (nodes.CompareOp.EQ, nodes.CompareOp.NE)
    _need(ordered or (equality and node.left.type is not ValueType.DURATION), "such values have no order")


def _is_in(node: nodes.IsIn) -> None:
    _need(bool(node.values), "it lists nothing")
    _need(all(_fits(value, node.operand.type) for value in node.values), "it lists values of another type")


def _season(node: nodes.SeasonStart) -> None:
    _all((node.date,), DATE)
    fits = type(node.month) is int and type(node.day) is int and 1 <= node.month <= 12 and 1 <= node.day <= 28  # noqa: PLR2004 - months and days
    _need(fits, "there is no such day of every year")


def _moved(node: nodes.DateAdd) -> None:
    _all((node.date,), DATE)
    _all((node.duration,), ValueType.DURATION)
    _need(type(node.sign) is int and node.sign in (1, -1), "a day moves forward or back")


def _case(node: nodes.Case) -> None:
    _all(node.conditions, BOOL)
    _need(len(node.conditions) == len(node.values), "each condition needs one value")
    _alike([*node.values, *([] if node.otherwise is None else [node.otherwise])])


def _extreme(node: nodes.Extreme) -> None:
    _alike(node.operands)
    _need(node.operands[0].type in (DATE, NUMBER), "such values have no order")


def _nth(node: nodes.NthEarliest) -> None:
    _all((node.number,), NUMBER)
    _all(node.operands, DATE)


_RULES: Mapping[type[nodes.Node], Callable[..., None]] = {
    nodes.Rows: _rows,
    nodes.Filter: lambda node: _all((node.condition,), BOOL),
    nodes.FirstOfEach: lambda node: _has(node, "episode"),
    nodes.Near: lambda node: _all((node.before, node.after), ValueType.DURATION),
    nodes.InUnit: _in_unit,
    nodes.Pick: lambda node: _has(node.frame, "value" if node.how in (nodes.How.HIGHEST, nodes.How.LOWEST) else "date"),
    nodes.Constant: lambda node: _need(_fits(node.value, node.kind), "its value is not of its type"),
    nodes.IndexDate: lambda _node: None,
    nodes.ParameterValue: lambda _node: None,
    nodes.PatientFact: lambda node: _need(node.name in nodes.FACTS, "there is no such fact"),
    nodes.RowValue: lambda node: _need(node.column in nodes.ROW_COLUMNS, "there is no such column"),
    nodes.PickValue: lambda node: _has(node.pick.frame, node.column),
    nodes.Exists: lambda _node: None,
    nodes.Count: lambda _node: None,
    nodes.CountDays: lambda _node: None,
    nodes.Mean: lambda node: _has(node.frame, "value"),
    nodes.Compare: _compare,
    nodes.IsIn: _is_in,
    nodes.And: lambda node: _all(node.operands, BOOL),
    nodes.Or: lambda node: _all(node.operands, BOOL),
    nodes.Not: lambda node: _all((node.operand,), BOOL),
    nodes.IsMissing: lambda _node: None,
    nodes.Arithmetic: lambda node: _all((node.left, node.right), NUMBER),
    nodes.DateAdd: _moved,
    nodes.DateDifference: lambda node: _all((node.start, node.end), DATE),
    nodes.SeasonStart: _season,
    nodes.Case: _case,
    nodes.Extreme: _extreme,
    nodes.Coalesce: lambda node: _alike(node.operands),
    nodes.CountTrue: lambda node: _all(node.operands, BOOL),
    nodes.NthEarliest: _nth,
    nodes.HasCodes: lambda _node: None,
    nodes.Named: lambda node: _need(len(node.title) <= 200, "its name is too long"),  # noqa: PLR2004 - a heading
}
"""What each kind of node asks of its fields; their kinds of node are `serialise`'s to see to."""


# --- the whole --------------------------------------------------------------------------------------------------------


def _check_row_values(definition: Definition) -> None:
    """A column of a row stands inside the filter that looks at the row, and its table has it."""
    scopes: list[tuple[nodes.Series, tuple[str, ...]]] = [
        (root, ()) for root in definition.roots() if isinstance(root, nodes.Series)
    ]
    for node in nodes.walk(*definition.roots()):
        if isinstance(node, nodes.Filter):
            scopes.append((node.condition, nodes.TABLES[node.table]))
        elif isinstance(node, nodes.Near):
            scopes += [(node.before, ()), (node.after, ())]
    reach: dict[nodes.Node, frozenset[str]] = {}
    for node in nodes.walk(*definition.roots()):
        if isinstance(node, nodes.Series):
            own = frozenset([node.column] if isinstance(node, nodes.RowValue) else ())
            reach[node] = own.union(*(reach[part] for part in nodes.children(node) if isinstance(part, nodes.Series)))
    for series, columns in scopes:
        for column in sorted(reach[series] - set(columns)):
            raise MalformedPack(f"A rule looks at the column {column} of a row where there is none.")


def _check_parameters(definition: Definition) -> None:
    declared: dict[str, Parameter] = {}
    for parameter in definition.parameters:
        if parameter.name in declared:
            raise MalformedPack(f"Two parameters are called {parameter.name}.", "Give each a name of its own.")
        declared[parameter.name] = parameter
        if parameter.default not in parameter.choices:
            raise MalformedPack(f"The default of {parameter.name} is not among its choices.")
        if not all(_fits(choice, parameter.type) for choice in parameter.choices):
            raise MalformedPack(f"A choice of {parameter.name} is not a {parameter.type}.")
    for node in nodes.walk(*definition.roots()):
        if isinstance(node, nodes.ParameterValue):
            found = declared.get(node.name)
            if found is None or found.type is not node.kind:
                raise MalformedPack(f"A rule uses the parameter {node.name}, which is not declared so.")


_Root = tuple[str, nodes.Series | None, ValueType]


def _typed_roots(definition: Definition) -> Iterator[_Root]:
    for cohort in definition.cohorts:
        yield from _of_cohort(cohort)
    for indicator in definition.indicators:
        yield from _of_indicator(indicator)
    for stratifier in definition.stratifiers:
        yield (f"The value of {stratifier.name}", stratifier.value, TEXT)
        if len({value for value, _ in stratifier.labels}) != len(stratifier.labels):
            raise MalformedPack(f"The stratifier {stratifier.name} has two labels for one value.")


def _of_cohort(cohort: Cohort) -> Iterable[_Root]:
    yield (f"The condition of {cohort.name}", cohort.members, BOOL)
    yield (f"The day since which one is in {cohort.name}", cohort.since, DATE)
    yield from _of_shown(cohort.name, cohort.shown)
    if cohort.reference is not None:
        conditions = [cohort.reference.members, cohort.reference.coded, *(r.when for r in cohort.reference.reasons)]
        yield from ((f"A condition of {cohort.reference.name}", series, BOOL) for series in conditions)


def _of_indicator(indicator: Indicator) -> Iterable[_Root]:
    name = indicator.name
    conditions = [indicator.applies, indicator.met, *(adjustment.when for adjustment in indicator.adjustments)]
    yield from ((f"A condition of {name}", series, BOOL) for series in conditions)
    days = (indicator.due, indicator.begins, indicator.renews, indicator.date)
    yield from ((f"A day of {name}", series, DATE) for series in days)
    yield from _of_shown(name, indicator.shown)


def _of_shown(name: str, shown: Shown) -> Iterable[_Root]:
    yield (f"The number shown for {name}", shown.number, NUMBER)
    yield (f"The code shown for {name}", shown.code, ValueType.CODE)
    yield (f"The text shown for {name}", shown.text, TEXT)
