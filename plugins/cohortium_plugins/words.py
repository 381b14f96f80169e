"""A definition in plain English, for a clinician to read and sign.

Every kind of node has its words here; a test fails on one that has none. Not here: values (`explain`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date

from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Adjustment, Codelist, Cohort, Definition, Indicator
from cohortium_plugins.model.nodes import ArithmeticOp, CompareOp, How
from cohortium_plugins.model.values import Duration, Scalar

__all__ = ["FACTS", "Words", "day_in_words", "plain_term"]

FACTS: Mapping[str, str] = {
    "date_of_birth": "date of birth",
    "sex": "sex",
    "ethnicity": "ethnic category",
    "imd_decile": "deprivation decile",
    "practice": "practice",
    "date_of_death": "date of death",
    "is_registered": "registered and alive",
    "registered_since": "the start of registration",
    "records_to": "the date the records run to",
}
TABLES: Mapping[str, str] = {
    "consultations": "consultations",
    "registrations": "registrations",
    "contacts": "contacts on record",
}
COLUMNS: Mapping[str, str] = {"date": "the day", "end_date": "the last day", "kind": "the kind"}
PICKS: Mapping[How, str] = {
    How.EARLIEST: "the first of",
    How.LATEST: "the latest of",
    How.HIGHEST: "the highest of",
    How.LOWEST: "the lowest of",
}
COMPARISONS: Mapping[CompareOp, str] = {
    CompareOp.EQ: "is",
    CompareOp.NE: "is not",
    CompareOp.LT: "is below",
    CompareOp.LE: "is at most",
    CompareOp.GT: "is above",
    CompareOp.GE: "is at least",
}
DATE_COMPARISONS: Mapping[CompareOp, str] = {
    CompareOp.EQ: "is on",
    CompareOp.NE: "is not on",
    CompareOp.LT: "is before",
    CompareOp.LE: "is on or before",
    CompareOp.GT: "is after",
    CompareOp.GE: "is on or after",
}
ARITHMETIC: Mapping[ArithmeticOp, str] = {
    ArithmeticOp.ADD: "plus",
    ArithmeticOp.SUBTRACT: "minus",
    ArithmeticOp.MULTIPLY: "times",
    ArithmeticOp.DIVIDE: "divided by",
}


def day_in_words(day: date) -> str:
    """Write a day as 6 August 2025."""
    return f"{day.day} {day:%B %Y}"


def plain_term(term: str) -> str:
    """Give a SNOMED CT term without the tag in brackets at its end: ‘Cancer care review (procedure)’."""
    return _TAG.sub("", term)


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return day_in_words(value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, Duration | int) else f"‘{value}’"


_TAG = re.compile(
    r" \((?:disorder|finding|situation|procedure|regime/therapy|observable entity|life style|record artifact|"
    r"assessment scale|morphologic abnormality|context-dependent category|AMP|event|specimen)\)$"
)


class Words:
    """Renders the parts of one definition."""

    def __init__(self, codelists: Mapping[str, Codelist]) -> None:
        self.codelists = codelists

    def codelist(self, name: str) -> str:
        """Name a codelist."""
        return f"‘{self.codelists[name].title}’"

    def of(self, node: nodes.Node) -> str:
        """Give a node's words."""
        return _WORDS[type(node)](self, node)

    def definition(self, definition: Definition) -> str:
        """Give the whole definition as Markdown."""
        parts = [self.cohort(cohort) for cohort in definition.cohorts]
        parts += [self.indicator(indicator) for indicator in definition.indicators]
        return "\n".join(parts)

    def cohort(self, cohort: Cohort) -> str:
        """Give a cohort's words as Markdown."""
        lines = [f"## {cohort.title}", "", cohort.description, ""]
        lines += [f"- Members: {self.of(cohort.members)}.", f"- Since: {self.of(cohort.since)}."]
        if cohort.reference:
            lines.append(f"- Should agree with: {cohort.reference}.")
        return "\n".join([*lines, f"- Source: {cohort.source}.", ""])

    def indicator(self, indicator: Indicator) -> str:
        """Give an indicator's words as Markdown."""
        lines = [f"### {indicator.title}", "", indicator.description, ""]
        lines += [f"- Applies when: {self.of(indicator.applies)}.", f"- Met when: {self.of(indicator.met)}."]
        if indicator.due is not None:
            lines.append(f"- Falls due: {self.of(indicator.due)}.")
        if indicator.renews is not None:
            lines.append(f"- Once met, falls due again: {self.of(indicator.renews)}.")
        lines += [f"- {self.adjustment(adjustment)}" for adjustment in indicator.adjustments]
        lines.append(f"- Source: {indicator.source}.")
        if indicator.unsure:
            lines.append(f"- Unsure: {indicator.unsure}")
        return "\n".join([*lines, ""])

    def adjustment(self, adjustment: Adjustment) -> str:
        """Give an adjustment's words."""
        return f"Excluded from the rate ({adjustment.title}) when: {self.of(adjustment.when)}."


def _rows(words: Words, node: nodes.Rows) -> str:
    if node.codelist is None:
        return TABLES[node.name]
    kind = "prescriptions" if node.name == "medications" else "entries"
    return f"{kind} of {words.codelist(node.codelist)}"


def _filter(words: Words, node: nodes.Filter) -> str:
    conditions: list[nodes.Series] = []
    frame: nodes.Frame = node
    while isinstance(frame, nodes.Filter):
        own = frame.condition.operands if isinstance(frame.condition, nodes.And) else (frame.condition,)
        conditions[:0] = own
        frame = frame.frame
    return f"{words.of(frame)} {_listed([_row_condition(words, item) for item in conditions], 'and')}"


def _row_condition(words: Words, node: nodes.Series) -> str:
    """Say what a row must be: 'on or after 1 April 2003', 'with the category ‘primary’'."""
    if isinstance(node, nodes.Compare) and isinstance(node.left, nodes.RowValue):
        if node.left.column == "date":
            return f"{DATE_COMPARISONS[node.op].removeprefix('is ')} {words.of(node.right)}"
        verb = "" if node.op is CompareOp.EQ else f"{COMPARISONS[node.op].removeprefix('is ')} "
        return f"with {words.of(node.left)} {verb}{words.of(node.right)}"
    if isinstance(node, nodes.IsIn) and isinstance(node.operand, nodes.RowValue):
        values = _listed([_scalar(item) for item in node.values], "or")
        return f"with {words.of(node.operand)} {values}"
    return f"where {_inner(words, node)}"


def _first_of_each(words: Words, node: nodes.FirstOfEach) -> str:
    return f"{words.of(node.frame)} that begin a new {words.codelist(node.codelist)}"


def _pick(words: Words, node: nodes.Pick) -> str:
    return f"{PICKS[node.how]} {words.of(node.frame)}"


def _pick_value(words: Words, node: nodes.PickValue) -> str:
    return f"{COLUMNS.get(node.column, f'the {node.column}')} of {words.of(node.pick)}"


def _row_value(_words: Words, node: nodes.RowValue) -> str:
    return COLUMNS.get(node.column, f"the {node.column}")


def _compare(words: Words, node: nodes.Compare) -> str:
    verbs = DATE_COMPARISONS if node.left.type == "date" else COMPARISONS
    return f"{words.of(node.left)} {verbs[node.op]} {words.of(node.right)}"


def _is_in(words: Words, node: nodes.IsIn) -> str:
    return f"{words.of(node.operand)} is {_listed([_scalar(item) for item in node.values], 'or')}"


def _listed(items: list[str], last: str) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def _and(words: Words, node: nodes.And) -> str:
    parts = [item for item in node.operands if not (isinstance(item, nodes.Constant) and item.value is True)]
    return _listed([_inner(words, item) for item in parts] or ["always"], "and")


def _or(words: Words, node: nodes.Or) -> str:
    return _listed([_inner(words, item) for item in node.operands], "or")


def _inner(words: Words, node: nodes.Series) -> str:
    said = words.of(node)
    return f"({said})" if isinstance(node, nodes.And | nodes.Or) else said


def _not(words: Words, node: nodes.Not) -> str:
    if isinstance(node.operand, nodes.IsMissing):
        return f"{words.of(node.operand.operand)} is known"
    if isinstance(node.operand, nodes.Exists):
        return f"there are no {words.of(node.operand.frame)}"
    return f"it is not so that {_inner(words, node.operand)}"


def _date_add(words: Words, node: nodes.DateAdd) -> str:
    direction = "after" if node.sign > 0 else "before"
    return f"{words.of(node.duration)} {direction} {words.of(node.date)}"


def _difference(words: Words, node: nodes.DateDifference) -> str:
    if isinstance(node.start, nodes.PatientFact) and node.start.name == "date_of_birth":
        return "age" if isinstance(node.end, nodes.IndexDate) else f"age on {words.of(node.end)}"
    return f"completed {node.unit} from {words.of(node.start)} to {words.of(node.end)}"


def _case(words: Words, node: nodes.Case) -> str:
    parts = [
        f"{words.of(value)} if {words.of(condition)}"
        for condition, value in zip(node.conditions, node.values, strict=True)
    ]
    if node.otherwise is not None:
        parts.append(f"otherwise {words.of(node.otherwise)}")
    return "; else ".join(parts)


def _extreme(words: Words, node: nodes.Extreme) -> str:
    dates = node.type == "date"
    word = ("latest" if dates else "highest") if node.highest else ("earliest" if dates else "lowest")
    return f"the {word} of {_listed([words.of(item) for item in node.operands], 'and')}"


def _constant(_words: Words, node: nodes.Constant) -> str:
    if isinstance(node.value, bool):
        return "always" if node.value else "never"
    return _scalar(node.value)


_WORDS: Mapping[type[nodes.Node], Callable[..., str]] = {
    nodes.Rows: _rows,
    nodes.Filter: _filter,
    nodes.FirstOfEach: _first_of_each,
    nodes.Pick: _pick,
    nodes.PickValue: _pick_value,
    nodes.RowValue: _row_value,
    nodes.Constant: _constant,
    nodes.IndexDate: lambda _words, _node: "the index date",
    nodes.ParameterValue: lambda _words, node: f"the parameter ‘{node.name}’",
    nodes.PatientFact: lambda _words, node: FACTS[node.name],
    nodes.Exists: lambda words, node: f"there are {words.of(node.frame)}",
    nodes.Count: lambda words, node: f"the number of {words.of(node.frame)}",
    nodes.Mean: lambda words, node: f"the mean value of {words.of(node.frame)}",
    nodes.Compare: _compare,
    nodes.IsIn: _is_in,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Not: _not,
    nodes.IsMissing: lambda words, node: f"{words.of(node.operand)} is not recorded",
    nodes.Arithmetic: lambda words, node: f"{words.of(node.left)} {ARITHMETIC[node.op]} {words.of(node.right)}",
    nodes.DateAdd: _date_add,
    nodes.DateDifference: _difference,
    nodes.SeasonStart: lambda words, node: (
        f"the latest {node.day} {date(2000, node.month, 1):%B} on or before {words.of(node.date)}"
    ),
    nodes.Case: _case,
    nodes.Extreme: _extreme,
    nodes.Coalesce: lambda words, node: f"the first known of {_listed([words.of(i) for i in node.operands], 'and')}",
    nodes.CountTrue: lambda words, node: f"how many hold of: {_listed([words.of(i) for i in node.operands], 'and')}",
}
