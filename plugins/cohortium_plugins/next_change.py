"""The next day on which a status changes if nothing more is recorded.

Every clock counts: intervals and windows, ages, seasons, adjustments that lapse, rows dated in the future,
registrations and deaths already recorded, the day to which records run, membership itself. Found by going from one day
on which something may change to the next (`outlook`) and deciding the status there. Not here: the words (`explain`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Definition, Indicator
from cohortium_plugins.model.nodes import CompareOp
from cohortium_plugins.model.values import Status
from cohortium_plugins.outlook import A_DAY, Outlook
from cohortium_plugins.record import Record, Result
from cohortium_plugins.status import decide, is_member, standing

__all__ = ["YEARS", "Change", "next_change"]

YEARS = 150
"""How far is looked: beyond any life."""


@dataclass(frozen=True, slots=True)
class Change:
    """The day on which the status becomes another. `clinical` is the status that the record gives then, which is held
    back (`status` is not_evaluated) while the practice's records do not run that far.
    """

    date: date
    status: Status
    reason: str | None
    clinical: Status


def next_change(
    definition: Definition, indicator: Indicator, record: Record, index_date: date, *, years: int = YEARS
) -> Change | None:
    """Give the first day after the index date with another status, and that status; None when it stays for good."""
    horizon = date(min(index_date.year + years, date.max.year), 12, 31)
    outlook = Outlook(Evaluation(record, index_date, definition.codelists), horizon)
    now = standing(definition, indicator, outlook.evaluation).status
    while (day := _until(definition, indicator, outlook)) < horizon:
        outlook = outlook.later(day)
        found = standing(definition, indicator, outlook.evaluation)
        if found.status is not now:
            return Change(day, found.status, found.reason, _clinical(indicator, outlook.evaluation, found))
    return None


def _clinical(indicator: Indicator, evaluation: Evaluation, found: Result) -> Status:
    held_back = found.reason is not None and found.reason.startswith("records_to:")
    return decide(indicator, evaluation).status if held_back else found.status


def _until(definition: Definition, indicator: Indicator, outlook: Outlook) -> date:
    """Give a day before which the status cannot change."""
    cohort, evaluation = definition.cohort(indicator.cohort), outlook.evaluation
    found = outlook.until(cohort.members)
    if not is_member(evaluation, cohort):
        return found
    records_to = evaluation.record.records_to
    if records_to is not None and evaluation.index_date <= records_to < outlook.horizon:
        found = min(found, records_to + A_DAY)  # from then on, what turned since is held back
    return min(found, _decided_until(indicator, outlook))


def _decided_until(indicator: Indicator, outlook: Outlook) -> date:
    """Follow `status.decide`: only what it looks at can change what it says."""
    found = outlook.until(indicator.applies)
    if outlook.value(indicator.applies).value is not True:
        return found
    found = min(found, outlook.until(indicator.met))
    met = outlook.value(indicator.met)
    if met.value is True or met.reason is not None:
        return found
    reasons = [adjustment.when for adjustment in indicator.adjustments]
    holding = [outlook.until(when) for when in reasons if outlook.value(when).value is True]
    if holding:
        return min(found, max(holding))
    return min(found, outlook.least(reasons), _due_until(indicator, outlook))


def _due_until(indicator: Indicator, outlook: Outlook) -> date:
    """Give a day before which what is due does not become overdue, or the other way round."""
    found, due = outlook.horizon, indicator.due
    if due is None or outlook.value(due).value is None:
        found = outlook.horizon if due is None else outlook.until(due)
        due = indicator.begins
    return min(found, outlook.until(nodes.Compare(CompareOp.GE, due, nodes.IndexDate())))
