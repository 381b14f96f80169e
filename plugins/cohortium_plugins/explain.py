"""Why a patient stands as they do on an indicator, and what would change it.

The tree is the interpreter's own evaluation; the advice is tried before it is given (`remedy`). Not here: fetching the
patient's rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Definition, Indicator
from cohortium_plugins.model.values import Scalar, Status
from cohortium_plugins.record import Record, Result, Row
from cohortium_plugins.remedy import Entry, find_remedy
from cohortium_plugins.status import is_member, result_of
from cohortium_plugins.words import Words, day_in_words

__all__ = ["DecidingEvent", "Explanation", "Step", "explain", "reason_in_words"]

MOST_EVENTS = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a rule with its words and value; `reason` when it cannot be decided."""

    words: str
    value: Scalar | None
    reason: str | None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class DecidingEvent:
    """A row that the rule looked at and picked, with the term of its code and the codelist that knows it."""

    table: str
    row: Row
    term: str | None
    codelist: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the indicator says of the patient, why, and what would turn it green (`entries`, empty when none would)."""

    result: Result
    title: str
    sentence: str
    entries: tuple[Entry, ...]
    events: tuple[DecidingEvent, ...]
    applies: Step
    met: Step
    adjustments: tuple[Step, ...]


def explain(definition: Definition, indicator: Indicator, record: Record, index_date: date) -> Explanation:
    """Explain one indicator for one patient at one index date."""
    evaluation = Evaluation(record, index_date, definition.codelists)
    words = Words(definition.codelists)
    result = _result(definition, indicator, evaluation)
    entries = None
    if result.status in (Status.DUE, Status.OVERDUE, Status.EXCLUDED):
        entries = find_remedy(definition, indicator, record, index_date)
    adjustments = tuple(
        Step(item.title, (found := evaluation.value(item.when)).value, found.reason) for item in indicator.adjustments
    )
    return Explanation(
        result=result,
        title=indicator.title,
        sentence=_sentence(definition, indicator, result, entries),
        entries=entries or (),
        events=tuple(_events(definition, indicator, evaluation)),
        applies=_step(indicator.applies, evaluation, words),
        met=_step(indicator.met, evaluation, words),
        adjustments=adjustments,
    )


def _result(definition: Definition, indicator: Indicator, evaluation: Evaluation) -> Result:
    if is_member(evaluation, definition.cohort(indicator.cohort)):
        return result_of(definition, indicator, evaluation)
    record = evaluation.record
    return Result(
        record.patient_id, record.practice, indicator.name, evaluation.index_date, Status.NOT_APPLICABLE, "not_a_member"
    )


def _step(node: nodes.Series, evaluation: Evaluation, words: Words) -> Step:
    found = evaluation.value(node)
    parts = [child for child in nodes.children(node) if isinstance(child, nodes.Series) and _worth_showing(child)]
    steps = tuple(_step(child, evaluation, words) for child in parts)
    return Step(words.of(node), found.value, found.reason, steps)


def _worth_showing(node: nodes.Series) -> bool:
    return not isinstance(node, nodes.Constant | nodes.IndexDate)


def _events(definition: Definition, indicator: Indicator, evaluation: Evaluation) -> Iterator[DecidingEvent]:
    """Yield the rows that the rule's picks and frames settled on, latest first, each once."""
    found: dict[tuple[str, Row], str | None] = {}
    roots = [indicator.applies, indicator.met, *(a.when for a in indicator.adjustments), *indicator.evidence]
    for node in nodes.walk(*roots):
        if isinstance(node, nodes.Pick) and (picked := evaluation.pick(node)) is not None:
            found.setdefault((node.frame.table, picked[0]), _codelist_of(node.frame))
        if isinstance(node, nodes.Exists | nodes.Count):
            rows = evaluation.frame(node.frame).rows
            if rows:
                found.setdefault((node.frame.table, rows[-1][0]), _codelist_of(node.frame))
    ordered = sorted(found.items(), key=lambda item: item[0][1].order(), reverse=True)
    for (table, row), name in ordered[:MOST_EVENTS]:
        code = None if name is None or row.code is None else definition.codelists[name].by_code.get(row.code)
        yield DecidingEvent(table, row, None if code is None else code.term, name)


def _codelist_of(frame: nodes.Frame) -> str | None:
    while isinstance(frame, nodes.Filter | nodes.FirstOfEach):
        frame = frame.frame
    return frame.codelist if isinstance(frame, nodes.Rows) else None


# --- sentences ----------------------------------------------------------------------------------------------------


def reason_in_words(reason: str, definition: Definition) -> str:
    """Say why a status cannot be decided."""
    kind, _, what = reason.partition(":")
    if kind == "no_codes":
        return (
            f"No codes are configured for ‘{definition.codelists[what].title}’. An administrator can add local codes."
        )
    if kind == "source_not_loaded":
        return f"The practice's {what} have not been loaded."
    if kind == "missing":
        return f"The record does not say the patient's {what.replace('_', ' ')}."
    if kind == "records_to":
        return f"The practice's records only run to {day_in_words(date.fromisoformat(what))}."
    return "The patient is not in this registry."


def _sentence(definition: Definition, indicator: Indicator, result: Result, entries: tuple[Entry, ...] | None) -> str:
    if result.status is Status.NOT_APPLICABLE:
        return "This does not apply to the patient."
    if result.status is Status.NOT_EVALUATED:
        return f"This cannot be decided. {reason_in_words(result.reason or '', definition)}"
    if result.status is Status.MET:
        again = "" if result.due_date is None else f" It falls due again on {day_in_words(result.due_date)}."
        return f"This is met.{again}"
    opening = ""
    if result.status is Status.EXCLUDED:
        title = next(a.title for a in indicator.adjustments if a.name == result.adjustment)
        opening = f"This is left out of the rate: {title}. "
    if entries is None:
        return f"{opening}It can no longer be met: {_why_closed(result)}."
    until = ""
    if result.status is Status.DUE and not result.due_now and result.due_date is not None:
        until = f" by {day_in_words(result.due_date)}"
    return f"{opening}To turn it green, record{until}: {'; and '.join(_entry(definition, e) for e in entries)}."


def _why_closed(result: Result) -> str:
    if result.due_date is not None and result.due_date < result.index_date:
        return f"its window closed on {day_in_words(result.due_date)}"
    return "no single entry made today would meet it"


def _entry(definition: Definition, entry: Entry) -> str:
    if entry.codelist is None:
        details = [item for item in (entry.row.kind, entry.row.relationship and "next of kin") if item]
        return f"one of {entry.table}" + (f" ({details[0]})" if details else "")
    codelist = definition.codelists[entry.codelist]
    code = codelist.by_code[entry.row.code or 0]
    category = "" if entry.category is None else f", {entry.category.replace('-', ' ')}"
    value = "" if entry.row.value is None else ", with its value"
    system = "local code" if code.local else "SNOMED CT"
    return f"{codelist.title}{category}, such as ‘{code.term or 'no term given'}’ ({system} {code.code}){value}"
