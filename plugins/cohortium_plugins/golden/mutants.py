"""Mutants of a pack: the same rules with one small thing wrong. Every one must fail a golden patient.

A mutant changes one part of one indicator, cohort or stratifier: a comparison, an interval by one unit or one day, an
age, a code, a category, a codelist, a connective, a pick, or it leaves something out. A part that two indicators share
is changed in one of them at a time; one that an indicator says twice is changed in both places. Not here: which mutants
cannot be told apart (the pack's own tests).
"""

# Longer than 400 lines because every way in which a rule can be wrong stands beside the others.

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from cohortium_plugins.golden.cases import Binding, Case
from cohortium_plugins.golden.running import BESIDE_REFERENCE, differences
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import (
    Code,
    Codelist,
    Cohort,
    Definition,
    Indicator,
    Reference,
    Shown,
    Stratifier,
)
from cohortium_plugins.model.nodes import CompareOp, How
from cohortium_plugins.model.values import Duration, Scalar, Unit, ValueType
from cohortium_plugins.reconciling import reconciliation
from cohortium_plugins.status import is_member, member, result_of

__all__ = ["OTHER_LIST", "Mutant", "mutants_of", "survivors"]

Owner = Cohort | Indicator | Reference | Stratifier

OTHER_LIST = "mutant"
"""The codelist that takes the place of another in a mutant: it has codes, and no golden patient has one of them."""

COMPARISONS: Mapping[CompareOp, tuple[CompareOp, ...]] = {
    CompareOp.GE: (CompareOp.GT, CompareOp.LT),
    CompareOp.GT: (CompareOp.GE, CompareOp.LE),
    CompareOp.LE: (CompareOp.LT, CompareOp.GT),
    CompareOp.LT: (CompareOp.LE, CompareOp.GE),
    CompareOp.EQ: (CompareOp.NE,),
    CompareOp.NE: (CompareOp.EQ,),
}
OPPOSITE = {
    How.EARLIEST: How.LATEST,
    How.LATEST: How.EARLIEST,
    How.HIGHEST: How.LOWEST,
    How.LOWEST: How.HIGHEST,
}
NO_WORD = "mutant"
NO_CODE = 1
DAY = Duration(1, Unit.DAYS)
LAST_MONTH, LAST_DAY = 12, 28


@dataclass(frozen=True, slots=True)
class Mutant:
    """An owner with one thing wrong. `change` says what; `id` adds a digest of the rule that it was done to."""

    owner: Owner
    change: str
    digest: str

    @property
    def id(self) -> str:
        """Name the mutant; the name changes when the rule does."""
        return f"{self.owner.name}: {self.change} #{self.digest}"


def mutants_of(owner: Owner, settled: Collection[nodes.Node] = ()) -> Iterator[Mutant]:
    """Yield every mutant of an owner. `settled` nodes are changed elsewhere, not here."""
    slots = dict(_slots(owner))
    for node in nodes.walk(*slots.values()):
        if node in settled:
            continue
        for change, other in _changes(node):
            changed = _replaced(slots, node, other)
            if any(changed[slot] is not root for slot, root in slots.items()):
                yield Mutant(_with(owner, changed), change, _digest(change, node))
    if isinstance(owner, Indicator):
        yield from _left_out(owner)


def survivors(definition: Definition, mutants: Iterable[Mutant], cases: Sequence[Case]) -> Iterator[Mutant]:
    """Yield the mutants that no case tells from the original. A mutant that cannot be evaluated is told apart."""
    order = list(cases)
    bindings = {case.binding: _lists(definition, case.binding) for case in cases}
    for mutant in mutants:
        bound = {binding: _bound(definition, mutant.owner, binding, bindings[binding]) for binding in bindings}
        for case in order:
            if _tells(bound[case.binding], case):
                order.remove(case)
                order.insert(0, case)  # what told one mutant apart is likely to tell the next
                break
        else:
            yield mutant


def _lists(definition: Definition, binding: Binding) -> Mapping[str, Codelist]:
    other = Codelist(OTHER_LIST, OTHER_LIST, "", "", (Code(NO_CODE + 1, OTHER_LIST),))
    return {**binding.apply(definition).codelists, OTHER_LIST: other}


def _bound(definition: Definition, owner: Owner, binding: Binding, codelists: Mapping[str, Codelist]) -> Definition:
    """Give a definition with the mutant in place of the original, and without the indicators it does not touch."""
    made = Definition(
        codelists,
        definition.parameters,
        tuple(_cohort_with(cohort, owner) for cohort in definition.cohorts),
        (owner,) if isinstance(owner, Indicator) else (),
        (owner,) if isinstance(owner, Stratifier) else (),
    )
    if not any(isinstance(node, nodes.ParameterValue) for node in nodes.walk(*made.roots())):
        return made
    chosen = Binding(parameters=binding.parameters).apply(made)
    return Definition(codelists, (), chosen.cohorts, chosen.indicators, chosen.stratifiers)


def _cohort_with(cohort: Cohort, owner: Owner) -> Cohort:
    """Give the cohort with the mutant in its place, or in that of its reference, if it is one of them."""
    if isinstance(owner, Cohort):
        return owner if cohort.name == owner.name else cohort
    if isinstance(owner, Reference) and cohort.reference is not None and cohort.reference.name == owner.name:
        return dataclasses.replace(cohort, reference=owner)
    return dataclasses.replace(cohort, reference=None)


def _tells(definition: Definition, case: Case) -> bool:
    """Tell whether a case is not as expected."""
    evaluation = Evaluation(case.record, case.index_date, definition.codelists)
    who, day = case.record.patient_id, case.index_date
    spoken = {case.member.cohort or definition.cohorts[0].name} if case.member is not None else set()
    spoken |= {indicator.cohort for indicator in definition.indicators}
    try:
        joined = [c for c in definition.cohorts if c.name in spoken and is_member(evaluation, c)]
        members = {(who, cohort.name, day): member(definition, cohort, evaluation) for cohort in joined}
        first = definition.cohorts[0]
        if first.reference is not None:
            beside = reconciliation(definition, first.name)
            if is_member(evaluation, beside.cohorts[0]):
                members[who, BESIDE_REFERENCE, day] = member(beside, beside.cohorts[0], evaluation)
        names = {cohort.name for cohort in joined}
        found = [result_of(definition, i, evaluation) for i in definition.indicators if i.cohort in names]
        results = {(r.patient_id, r.indicator, r.index_date): r for r in found}
        return any(True for _ in differences(definition, _narrowed(case, definition), results, members))
    except (ArithmeticError, TypeError, ValueError):
        return True


def _narrowed(case: Case, definition: Definition) -> Case:
    """Leave in a case what the definition speaks of."""
    indicators = {indicator.name for indicator in definition.indicators}
    strata = {stratifier.name for stratifier in definition.stratifiers}
    expected = case.member
    if expected is not None:
        kept = {name: value for name, value in expected.strata.items() if name in strata}
        reference = expected.reference if definition.cohorts[0].reference is not None else {}
        expected = dataclasses.replace(expected, strata=kept, reference=reference)
    results = tuple(result for result in case.results if result.indicator in indicators)
    return dataclasses.replace(case, results=results, member=expected)


# --- the rules of an owner ----------------------------------------------------------------------------------------


def _slots(owner: Owner) -> Iterator[tuple[str, nodes.Node]]:
    if isinstance(owner, Stratifier):
        yield "value", owner.value
        return
    if isinstance(owner, Reference):
        yield from (("members", owner.members), ("coded", owner.coded))
        yield from ((f"reason {reason.name}", reason.when) for reason in owner.reasons)
        return
    names = ("members", "since") if isinstance(owner, Cohort) else ("applies", "met", "begins", "due", "renews", "date")
    for name in names:
        root = getattr(owner, name)
        if root is not None:
            yield name, root
    for kind in ("number", "code", "text"):
        shown = getattr(owner.shown, kind)
        if shown is not None:
            yield f"shown {kind}", shown
    if isinstance(owner, Indicator):
        yield from ((f"evidence {position}", pick) for position, pick in enumerate(owner.evidence))
        yield from ((f"adjustment {adjustment.name}", adjustment.when) for adjustment in owner.adjustments)


def _with(owner: Owner, roots: Mapping[str, nodes.Node]) -> Owner:
    """Give the owner with other rules in its slots."""
    if isinstance(owner, Stratifier):
        return dataclasses.replace(owner, value=cast("nodes.Series", roots["value"]))
    if isinstance(owner, Reference):
        reasons = [
            dataclasses.replace(reason, when=cast("nodes.Series", roots[f"reason {reason.name}"]))
            for reason in owner.reasons
        ]
        members, coded = (cast("nodes.Series", roots[slot]) for slot in ("members", "coded"))
        return dataclasses.replace(owner, members=members, coded=coded, reasons=tuple(reasons))
    change: dict[str, object] = {slot: root for slot, root in roots.items() if " " not in slot}
    kinds = {slot.removeprefix("shown "): root for slot, root in roots.items() if slot.startswith("shown ")}
    change["shown"] = Shown(**{kind: cast("nodes.Series", root) for kind, root in kinds.items()})
    if isinstance(owner, Indicator):
        change["evidence"] = tuple(roots[f"evidence {position}"] for position in range(len(owner.evidence)))
        change["adjustments"] = tuple(
            dataclasses.replace(item, when=cast("nodes.Series", roots[f"adjustment {item.name}"]))
            for item in owner.adjustments
        )
    return dataclasses.replace(owner, **change)  # type: ignore[arg-type]


def _left_out(owner: Indicator) -> Iterator[Mutant]:
    """Yield mutants without a part, and with two adjustments in the other order."""

    def made(change: str, **fields: object) -> Mutant:
        return Mutant(dataclasses.replace(owner, **fields), change, _digest(change))  # type: ignore[arg-type]

    for slot in ("due", "renews", "date"):
        if getattr(owner, slot) is not None:
            yield made(f"{slot} left out", **{slot: None})
    for kind in ("number", "code", "text"):
        if getattr(owner.shown, kind) is not None:
            yield made(f"shown {kind} left out", shown=dataclasses.replace(owner.shown, **{kind: None}))
    for position, pick in enumerate(owner.evidence):
        yield made(f"evidence {position} left out", evidence=tuple(p for p in owner.evidence if p is not pick))
    if len(owner.evidence) > 1:
        yield made("evidence in the other order", evidence=owner.evidence[::-1])
    for position, adjustment in enumerate(owner.adjustments):
        rest = (*owner.adjustments[:position], *owner.adjustments[position + 1 :])
        yield made(f"adjustment {adjustment.name} left out", adjustments=rest)
        if position:
            swapped = list(owner.adjustments)
            swapped[position - 1 : position + 1] = reversed(swapped[position - 1 : position + 1])
            yield made(f"adjustment {adjustment.name} one place earlier", adjustments=tuple(swapped))


# --- what can be wrong with one node ------------------------------------------------------------------------------


def _changes(node: nodes.Node) -> Iterator[tuple[str, nodes.Node]]:
    """Yield what can be changed in a node itself, constants right under it included."""
    yield from _constants_under(node)
    yield from _operators(node)
    yield from _rows(node)
    yield from _parts_left_out(node)


def _operators(node: nodes.Node) -> Iterator[tuple[str, nodes.Node]]:
    """Yield what else an operator could be."""
    for kind, others in _OTHER_OPERATORS.items():
        if isinstance(node, kind):
            yield from others(node)


def _other_comparisons(node: nodes.Compare) -> Iterator[tuple[str, nodes.Node]]:
    for op in COMPARISONS[node.op]:
        yield f"{node.op} to {op}", nodes.Compare(op, node.left, node.right)


def _other_days(node: nodes.DateAdd) -> Iterator[tuple[str, nodes.Node]]:
    yield "moved the other way", nodes.DateAdd(node.date, node.duration, -node.sign)
    for sign, word in ((1, "a day more"), (-1, "a day less")):
        yield word, nodes.DateAdd(node, nodes.Constant(DAY, ValueType.DURATION), sign)


def _other_seasons(node: nodes.SeasonStart) -> Iterator[tuple[str, nodes.Node]]:
    for month, day in _season_days(node):
        yield f"season from {day}/{month}", nodes.SeasonStart(node.date, month, day)


def _other_members(node: nodes.IsIn) -> Iterator[tuple[str, nodes.Node]]:
    for position, item in enumerate(node.values):
        rest = (*node.values[:position], *node.values[position + 1 :])
        yield f"without {item}", nodes.IsIn(node.operand, (*rest, _nothing_like(item)))


_OTHER_OPERATORS: Mapping[type[nodes.Node], Callable[..., Iterator[tuple[str, nodes.Node]]]] = {
    nodes.Compare: _other_comparisons,
    nodes.And: lambda node: iter([("and to or", nodes.Or(node.operands))]),
    nodes.Or: lambda node: iter([("or to and", nodes.And(node.operands))]),
    nodes.Not: lambda node: iter([("not left out", node.operand)]),
    nodes.IsMissing: lambda node: iter([("is missing to is known", nodes.Not(node))]),
    nodes.Extreme: lambda node: iter([("least to greatest or back", nodes.Extreme(not node.highest, node.operands))]),
    nodes.DateAdd: _other_days,
    nodes.SeasonStart: _other_seasons,
    nodes.IsIn: _other_members,
}


def _season_days(node: nodes.SeasonStart) -> Iterator[tuple[int, int]]:
    before = LAST_MONTH if node.month == 1 else node.month - 1
    yield before, node.day
    yield 1 if node.month == LAST_MONTH else node.month + 1, node.day
    yield (before, LAST_DAY) if node.day == 1 else (node.month, node.day - 1)
    yield node.month, node.day + 1


def _rows(node: nodes.Node) -> Iterator[tuple[str, nodes.Node]]:
    if isinstance(node, nodes.Rows) and node.codelist is not None:
        yield f"another list than {node.codelist}", nodes.Rows(node.name, OTHER_LIST)
    elif isinstance(node, nodes.HasCodes):
        yield f"codes of {node.codelist} taken to be there", nodes.HasCodes(OTHER_LIST)
    elif isinstance(node, nodes.FirstOfEach):
        yield f"another list than {node.codelist}", nodes.FirstOfEach(node.frame, OTHER_LIST)
        yield "first of each left out", node.frame
    elif isinstance(node, nodes.Filter | nodes.Near | nodes.InUnit):
        yield (
            {nodes.Near: "near left out", nodes.InUnit: "not converted"}.get(type(node), "filter left out"),
            node.frame,
        )
    elif isinstance(node, nodes.Pick):
        yield f"{node.how} to {OPPOSITE[node.how]}", nodes.Pick(node.frame, OPPOSITE[node.how])


def _parts_left_out(node: nodes.Node) -> Iterator[tuple[str, nodes.Node]]:
    if isinstance(node, nodes.And | nodes.Or | nodes.CountTrue | nodes.Coalesce | nodes.Extreme | nodes.NthEarliest):
        if len(node.operands) > 1:
            for position in range(len(node.operands)):
                rest = (*node.operands[:position], *node.operands[position + 1 :])
                yield f"part {position + 1} left out", dataclasses.replace(node, operands=rest)
    elif isinstance(node, nodes.Case):
        if len(node.conditions) > 1:
            for position in range(len(node.conditions)):
                yield (
                    f"branch {position + 1} left out",
                    nodes.Case(
                        (*node.conditions[:position], *node.conditions[position + 1 :]),
                        (*node.values[:position], *node.values[position + 1 :]),
                        node.otherwise,
                    ),
                )
        if node.otherwise is not None:
            yield "otherwise left out", nodes.Case(node.conditions, node.values)


def _constants_under(node: nodes.Node) -> Iterator[tuple[str, nodes.Node]]:
    """Yield other constants in a node's fields; where two fields hold the same one, the later is named by its field."""
    said: set[str] = set()
    for field in dataclasses.fields(node):  # type: ignore[arg-type]
        item = getattr(node, field.name)
        for position, child in enumerate(item if isinstance(item, tuple) else (item,)):
            if not isinstance(child, nodes.Constant):
                continue
            for other in _other_constants(child):
                put: object = other
                if isinstance(item, tuple):
                    put = (*item[:position], other, *item[position + 1 :])
                change = f"{child.value} to {other.value}"
                change = f"{field.name} {position + 1}: {change}" if change in said else change
                said.add(change)
                yield change, dataclasses.replace(node, **{field.name: put})  # type: ignore[type-var]


def _other_constants(constant: nodes.Constant) -> Iterator[nodes.Constant]:
    value = constant.value
    if isinstance(value, bool):
        yield nodes.Constant(not value, constant.kind)
    elif isinstance(value, Duration):
        for count in (value.count - 1, value.count + 1):
            yield nodes.Constant(Duration(count, value.unit), constant.kind)
    elif isinstance(value, date):
        for days in (-1, 1):
            yield nodes.Constant(value + timedelta(days=days), constant.kind)
    elif constant.kind is ValueType.NUMBER and isinstance(value, int | float):
        for by in (-1, 1):
            yield nodes.Constant(float(value) + by, constant.kind)
    else:
        yield nodes.Constant(_nothing_like(value), constant.kind)


def _nothing_like(item: Scalar) -> Scalar:
    """Give a value of the same type that no record has."""
    return NO_WORD if isinstance(item, str) else NO_CODE


# --- putting it back ----------------------------------------------------------------------------------------------


def _replaced(roots: Mapping[str, nodes.Node], old: nodes.Node, new: nodes.Node) -> Mapping[str, nodes.Node]:
    """Give the rules with one node replaced wherever it stands in them; what is below that node stays as it is."""
    done: dict[nodes.Node, nodes.Node] = {old: new}
    for node in nodes.walk(*roots.values()):
        if node not in done:
            fields = {field.name: _field(getattr(node, field.name), done) for field in dataclasses.fields(node)}  # type: ignore[arg-type]
            done[node] = type(node)(**fields)
    return {slot: done[root] for slot, root in roots.items()}


def _field(item: object, done: Mapping[nodes.Node, nodes.Node]) -> object:
    if isinstance(item, nodes.Node):
        return done[item]
    return tuple(_field(part, done) for part in item) if isinstance(item, tuple) else item


def _digest(change: str, *parts: nodes.Node) -> str:
    """Tell mutants of the same change apart by the node it was done to."""
    text = "\n".join([change, *(_written(part) for part in parts)])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _written(root: nodes.Node) -> str:
    """Write a rule so that equal ones are equal text: a line a node, children by the line they stand on."""
    place: dict[nodes.Node, int] = {}
    lines: list[str] = []
    for node in nodes.walk(root):
        fields = [_field_text(getattr(node, field.name), place) for field in dataclasses.fields(node)]  # type: ignore[arg-type]
        place[node] = len(lines)
        lines.append(f"{type(node).__name__} {' '.join(fields)}")
    return "\n".join(lines)


def _field_text(item: object, place: Mapping[nodes.Node, int]) -> str:
    if isinstance(item, nodes.Node):
        return f"@{place[item]}"
    return f"({' '.join(_field_text(part, place) for part in item)})" if isinstance(item, tuple) else str(item)
