"""What an indicator says of a patient: the one place where a status is decided.

Not here: the values it is decided from (`interpreter`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import cast

from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Cohort, Definition, Indicator
from cohortium_plugins.model.values import Status
from cohortium_plugins.record import Member, Record, Result, Row

__all__ = ["UNDECIDED", "decide", "evaluate", "is_member", "member", "result_of", "standing"]

UNDECIDED = (Status.NOT_APPLICABLE, Status.NOT_EVALUATED)
"""Statuses that show no value, date or event."""


def evaluate(definition: Definition, record: Record, index_date: date) -> Iterator[Result]:
    """Give what every indicator says of a patient; only the results that an engine stores.

    For someone outside an indicator's cohort there is no result: the status is `not_applicable`.
    """
    evaluation = Evaluation(record, index_date, definition.codelists)
    members = {cohort.name for cohort in definition.cohorts if is_member(evaluation, cohort)}
    for indicator in definition.indicators:
        if indicator.cohort in members:
            yield result_of(definition, indicator, evaluation)


def is_member(evaluation: Evaluation, cohort: Cohort) -> bool:
    """Tell whether the patient is in the cohort; what cannot be decided is not membership."""
    return evaluation.value(cohort.members).value is True


def member(definition: Definition, cohort: Cohort, evaluation: Evaluation) -> Member:
    """Give a member's row: since when, the value shown, and the strata."""
    shown = cohort.shown
    return Member(
        patient_id=evaluation.record.patient_id,
        practice=evaluation.record.practice,
        cohort=cohort.name,
        index_date=evaluation.index_date,
        since=cast("date | None", evaluation.value(cohort.since).value),
        shown_code=cast("int | None", _optional(evaluation, shown.code)),
        shown_number=cast("float | None", _optional(evaluation, shown.number)),
        shown_text=cast("str | None", _optional(evaluation, shown.text)),
        strata={
            stratifier.name: cast("str | None", evaluation.value(stratifier.value).value)
            for stratifier in definition.stratifiers
        },
    )


def result_of(definition: Definition, indicator: Indicator, evaluation: Evaluation) -> Result:
    """Give what the indicator says, holding back a status that turned only after the records end."""
    result = decide(indicator, evaluation)
    records_to = evaluation.record.records_to
    if records_to is None or records_to >= evaluation.index_date or result.status is Status.NOT_APPLICABLE:
        return result
    then = Evaluation(evaluation.record, records_to, evaluation.codelists)
    cohort = definition.cohort(indicator.cohort)
    before = decide(indicator, then).status if is_member(then, cohort) else Status.NOT_APPLICABLE
    return result if before is result.status else _undecided(indicator, evaluation, f"records_to:{records_to}")


def standing(definition: Definition, indicator: Indicator, evaluation: Evaluation) -> Result:
    """Give what the indicator says of anyone: to someone outside its cohort it does not apply."""
    if is_member(evaluation, definition.cohort(indicator.cohort)):
        return result_of(definition, indicator, evaluation)
    record, day = evaluation.record, evaluation.index_date
    return Result(record.patient_id, record.practice, indicator.name, day, Status.NOT_APPLICABLE, "not_a_member")


def decide(indicator: Indicator, evaluation: Evaluation) -> Result:
    """Give what the indicator says of a member, by what the record holds at the index date alone."""
    applies = evaluation.value(indicator.applies)
    if applies.value is False:
        return _result(indicator, evaluation, Status.NOT_APPLICABLE)
    if applies.value is None:
        return _undecided(indicator, evaluation, applies.reason or missing_fact(indicator.applies, evaluation))
    met = evaluation.value(indicator.met)
    if met.reason is not None:
        return _undecided(indicator, evaluation, met.reason)
    if met.value is True:
        return _met(indicator, evaluation)
    due = cast("date | None", _optional(evaluation, indicator.due))
    due_date = cast("date | None", evaluation.value(indicator.begins).value) if due is None else due
    adjustment = next((a.name for a in indicator.adjustments if evaluation.value(a.when).value is True), None)
    if adjustment is not None:
        return _result(indicator, evaluation, Status.EXCLUDED, due_date=due_date, adjustment=adjustment)
    status = Status.DUE if due_date is not None and due_date >= evaluation.index_date else Status.OVERDUE
    return _result(indicator, evaluation, status, due_date=due_date, due_now=due is None)


def _met(indicator: Indicator, evaluation: Evaluation) -> Result:
    event = _deciding_event(indicator, evaluation)
    day = _optional(evaluation, indicator.date) or (None if event is None else event.date)
    renews = _optional(evaluation, indicator.renews)
    return _result(
        indicator,
        evaluation,
        Status.MET,
        due_date=cast("date | None", renews),
        met_date=cast("date | None", day),
    )


def missing_fact(applies: nodes.Series, evaluation: Evaluation) -> str:
    """Name the first patient fact under a rule that is unknown."""
    for node in nodes.walk(applies):
        if isinstance(node, nodes.PatientFact) and evaluation.value(node).value is None:
            return f"missing:{node.name}"
    return "missing:fact"


def _deciding_event(indicator: Indicator, evaluation: Evaluation) -> Row | None:
    found = [item[0] for pick in indicator.evidence if (item := evaluation.pick(pick)) is not None]
    return max(found, key=lambda row: row.date, default=None)


def _undecided(indicator: Indicator, evaluation: Evaluation, reason: str) -> Result:
    return _result(indicator, evaluation, Status.NOT_EVALUATED, reason=reason)


def _result(  # noqa: PLR0913 - the columns that differ by status
    indicator: Indicator,
    evaluation: Evaluation,
    status: Status,
    *,
    reason: str | None = None,
    due_date: date | None = None,
    due_now: bool = False,
    met_date: date | None = None,
    adjustment: str | None = None,
) -> Result:
    event = None if status in UNDECIDED else _deciding_event(indicator, evaluation)
    shown = None if status in UNDECIDED else indicator.shown
    return Result(
        patient_id=evaluation.record.patient_id,
        practice=evaluation.record.practice,
        indicator=indicator.name,
        index_date=evaluation.index_date,
        status=status,
        reason=reason,
        due_date=due_date,
        due_now=due_now,
        met_date=met_date,
        value=cast("float | None", shown and _optional(evaluation, shown.number)),
        value_code=cast("int | None", shown and _optional(evaluation, shown.code)),
        value_text=cast("str | None", shown and _optional(evaluation, shown.text)),
        adjustment=adjustment,
        event_date=None if event is None else event.date,
        event_code=None if event is None else event.code,
        event_source=None if event is None else event.source,
        window_end=None if status in UNDECIDED else cast("date | None", _optional(evaluation, indicator.due)),
    )


def _optional(evaluation: Evaluation, node: nodes.Series | None) -> object:
    return None if node is None else evaluation.value(node).value
