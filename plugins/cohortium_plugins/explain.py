"""Why a patient stands as they do on an indicator, what would change it, and when it changes by itself.

The tree is the interpreter's own evaluation; the advice is tried before it is given (`remedy`). Not here: fetching the
patient's rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Definition, Indicator
from cohortium_plugins.model.values import Scalar, Status
from cohortium_plugins.next_change import Change, next_change
from cohortium_plugins.record import Record, Result, Row
from cohortium_plugins.remedy import Entry, find_remedy
from cohortium_plugins.status import standing
from cohortium_plugins.wording import FACTS, JOINED, day_in_words, plain_term
from cohortium_plugins.words import Words

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
    """What the indicator says of the patient, why, what would turn it green (`entries`, empty when none would), and
    what becomes of it with nothing recorded (`next_change`, None when it stays as it is; `outlook` says so in words).
    """

    result: Result
    title: str
    sentence: str
    next_change: Change | None
    outlook: str
    entries: tuple[Entry, ...]
    events: tuple[DecidingEvent, ...]
    applies: Step
    met: Step
    adjustments: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """What a sentence is written from."""

    definition: Definition
    evaluation: Evaluation
    result: Result
    entries: tuple[Entry, ...]


def explain(definition: Definition, indicator: Indicator, record: Record, index_date: date) -> Explanation:
    """Explain one indicator for one patient at one index date."""
    evaluation = Evaluation(record, index_date, definition.codelists)
    words = Words(definition.codelists, {definition.cohort(indicator.cohort).since: JOINED})
    result = standing(definition, indicator, evaluation)
    entries: tuple[Entry, ...] = ()
    stands = result.status is Status.EXCLUDED and _stands(indicator, result)
    if result.status in (Status.DUE, Status.OVERDUE, Status.EXCLUDED) and not stands:
        entries = find_remedy(definition, indicator, record, index_date) or ()
    adjustments = tuple(
        Step(item.title, (found := evaluation.value(item.when)).value, found.reason) for item in indicator.adjustments
    )
    change = next_change(definition, indicator, record, index_date)
    return Explanation(
        result=result,
        title=indicator.title,
        next_change=change,
        outlook=_outlook(change),
        sentence=_sentence(indicator, _Found(definition, evaluation, result, entries)),
        entries=entries,
        events=tuple(_events(definition, indicator, evaluation)),
        applies=_step(indicator.applies, evaluation, words),
        met=_step(indicator.met, evaluation, words),
        adjustments=adjustments,
    )


def _step(node: nodes.Series, evaluation: Evaluation, words: Words) -> Step:
    found = evaluation.value(node)
    stop = node in words.named or isinstance(node, nodes.DateDifference)
    shown = node.operand if isinstance(node, nodes.Not) and isinstance(node.operand, PLURAL) else node
    children = () if stop else nodes.children(shown)
    parts = [child for child in children if isinstance(child, nodes.Series) and _worth_showing(child)]
    if len(parts) == 1 and isinstance(node, nodes.And | nodes.Or):
        return _step(parts[0], evaluation, words)
    steps = tuple(_step(child, evaluation, words) for child in parts)
    heading = NEGATED.get(type(shown)) if shown is not node else HEADINGS.get(type(node))
    return Step(heading or words.of(node), found.value, found.reason, steps)


HEADINGS: Mapping[type[nodes.Node], str] = {
    nodes.And: "all of these",
    nodes.Or: "any of these",
    nodes.CountTrue: "how many of these hold",
}
"""What stands above parts that are shown one by one, rather than all of them again in one sentence."""
NEGATED: Mapping[type[nodes.Node], str] = {nodes.And: "not all of these", nodes.Or: "none of these"}
PLURAL = (nodes.And, nodes.Or, nodes.IsMissing)
"""What a negation is said in one with; the parts below are those of what it negates."""


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
    return nodes.rows_of(frame).codelist


BECOMES: Mapping[Status, str] = {
    Status.MET: "Becomes met on",
    Status.DUE: "Becomes due on",
    Status.OVERDUE: "Becomes overdue on",
    Status.EXCLUDED: "Is left out of the rate from",
    Status.NOT_APPLICABLE: "No longer applies from",
    Status.NOT_EVALUATED: "Can no longer be decided from",
}


def _outlook(change: Change | None) -> str:
    """Say what becomes of a status with nothing recorded."""
    if change is None:
        return "Stays as it is if nothing is recorded."
    said = f"{BECOMES[change.clinical]} {day_in_words(change.date)} if nothing is recorded"
    if change.clinical is change.status:
        return f"{said}."
    return f"{said}; until newer records are loaded, it then shows as not evaluated."


# --- sentences ----------------------------------------------------------------------------------------------------

THINGS: Mapping[str, str] = {
    "telephone": "a telephone number",
    "mobile": "a mobile number",
    "email": "an email address",
    "address": "an address",
    "next-of-kin": "a next of kin",
}
"""Kinds of contact."""


def reason_in_words(reason: str, definition: Definition) -> str:
    """Say why a status cannot be decided."""
    kind, _, what = reason.partition(":")
    if kind == "no_codes":
        return (
            f"No codes are configured for ‘{definition.codelists[what].title}’. An administrator can add local codes."
        )
    if kind == "source_not_loaded":
        return f"The practice's {what} have not been loaded."
    if kind == "missing" and what in FACTS:
        return f"The record does not say the patient's {FACTS[what]}."
    if kind == "missing":
        return "The record does not say enough to tell whether this is for the patient."
    if kind == "records_to":
        return f"The practice's records only run to {day_in_words(date.fromisoformat(what))}."
    return "The patient is not in this registry."


def _sentence(indicator: Indicator, found: _Found) -> str:
    result = found.result
    if result.status is Status.NOT_APPLICABLE:
        return "The patient is not in this registry." if result.reason else "This does not apply to the patient."
    if result.status is Status.NOT_EVALUATED:
        return f"This cannot be decided. {reason_in_words(result.reason or '', found.definition)}"
    if result.status is Status.MET:
        again = "" if result.due_date is None else f" It falls due again on {day_in_words(result.due_date)}."
        return f"This is met.{again}"
    opening = ""
    if result.status is Status.EXCLUDED:
        title = next(a.title for a in indicator.adjustments if a.name == result.adjustment)
        opening = f"This is left out of the rate: {title}. "
        if _stands(indicator, result):
            return f"{opening}Nothing needs recording."
    if not found.entries:
        return f"{opening}{_why_closed(indicator, found)}"
    return f"{opening}{_asking(found)}: {'; and '.join(_entry(found.definition, entry) for entry in found.entries)}."


def _stands(indicator: Indicator, result: Result) -> bool:
    """Tell whether the adjustment holds whatever the day: no refusal that ends after a year, but no cervix."""
    when = next(a.when for a in indicator.adjustments if a.name == result.adjustment)
    return not any(isinstance(node, nodes.IndexDate) for node in nodes.walk(when))


def _asking(found: _Found) -> str:
    result, first = found.result, min(entry.row.date for entry in found.entries)
    if first > result.index_date:
        return f"It cannot be done before {day_in_words(first)}. To turn it green, record from then"
    if not result.due_now and result.due_date is not None and result.due_date >= result.index_date:
        return f"To turn it green, record by {day_in_words(result.due_date)}"
    return "To turn it green, record"


def _why_closed(indicator: Indicator, found: _Found) -> str:
    for node in nodes.walk(indicator.met):
        if isinstance(node, nodes.Frame) and (reason := found.evaluation.frame(node).reason) is not None:
            return f"It cannot be met here. {reason_in_words(reason, found.definition)}"
    result = found.result
    if not result.due_now and result.due_date is not None and result.due_date < result.index_date:
        return f"It can no longer be met: its window closed on {day_in_words(result.due_date)}."
    return "It cannot be met today: nothing recorded now would count."


def _entry(definition: Definition, entry: Entry) -> str:
    if entry.codelist is None:
        return THINGS.get(entry.row.kind or "", "a consultation" if entry.table == "consultations" else "a contact")
    codelist = definition.codelists[entry.codelist]
    code = codelist.by_code[entry.row.code or 0]
    number = f"{'local code' if code.local else 'SNOMED CT'} {code.code}"
    example = f"‘{plain_term(code.term)}’ ({number})" if code.term else number
    unit = "" if entry.row.unit is None else f" in {entry.row.unit}"
    value = "" if entry.row.value is None else f" with its value{unit}"
    what = f"a prescription of {codelist.title}" if entry.table == "medications" else codelist.title
    more = [f"‘{category.replace('-', ' ')}’" for category in entry.too_little]
    return f"{what}{value}, for example {example}" + (f" (more is needed with {' or '.join(more)})" if more else "")
