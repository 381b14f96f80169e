"""What a pack owes its readers: sources, golden patients on both sides of every line, no parameter without use.

Not here: whether golden patients hold, which running them tells (`golden`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from cohortium_plugins.checking.findings import Finding, Severity, place_of
from cohortium_plugins.checking.rules import always_met
from cohortium_plugins.errors import PackError
from cohortium_plugins.golden import Case, read_files
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Definition, Indicator
from cohortium_plugins.model.values import Status
from cohortium_plugins.pack import Pack
from cohortium_plugins.status import is_member, result_of

__all__ = ["check_coverage"]

NOT_MET = (Status.DUE, Status.OVERDUE)
DAY = dt.timedelta(days=1)


def check_coverage(pack: Pack) -> Iterator[Finding]:
    """Look at every cohort, indicator and parameter."""
    for kind, parts in (("cohort", pack.definition.cohorts), ("indicator", pack.definition.indicators)):
        for part in parts:
            if not part.source.strip():
                severity = Severity.ERROR if kind == "indicator" else Severity.WARNING
                place = place_of(pack, kind, part.name)
                message = "It has no source."
                yield Finding(severity, "no-source", (kind, part.name), message, "Say who decided it.", place)
    for parameter in pack.unused:
        message = "No rule uses it."
        subject = ("parameter", parameter.name)
        yield Finding(Severity.WARNING, "parameter-unused", subject, message, "Use it, or take it out.")
    try:
        cases = [case for file in read_files(pack.golden) for case in file.cases]
    except PackError as error:
        yield Finding(Severity.ERROR, "golden-unreadable", ("pack", pack.id), error.message, error.advice)
        return
    for indicator in pack.definition.indicators:
        yield from _check_golden(pack, indicator, cases)


def _check_golden(pack: Pack, indicator: Indicator, cases: Sequence[Case]) -> Iterator[Finding]:
    subject, place = ("indicator", indicator.name), place_of(pack, "indicator", indicator.name)
    expected = [(case, item.status) for case in cases for item in case.results if item.indicator == indicator.name]
    if not expected:
        advice = f"Write golden/{indicator.name}.toml."
        yield Finding(Severity.ERROR, "no-golden", subject, "It has no golden patients.", advice, place)
        return
    statuses = {status for _, status in expected}
    if Status.MET not in statuses:
        message = "No golden patient meets it."
        yield Finding(Severity.WARNING, "golden-met", subject, message, "Add one that does.", place)
    if statuses.isdisjoint(NOT_MET) and not always_met(pack, indicator):
        message = "No golden patient is due or overdue."
        yield Finding(Severity.WARNING, "golden-not-met", subject, message, "Add one to whom it is not done.", place)
    if _has_clock(indicator) and not any(_on_boundary(pack.definition, indicator, case) for case, _ in expected):
        message = "No golden patient stands on a boundary: none differs the day before or after."
        advice = "Add one on the last day of an interval, and one on the day after."
        yield Finding(Severity.ADVICE, "golden-boundary", subject, message, advice, place)


def _has_clock(indicator: Indicator) -> bool:
    """Tell whether the indicator looks at the calendar for more than joining the cohort."""
    roots = (indicator.applies, indicator.met, *((indicator.due,) if indicator.due is not None else ()))
    return any(isinstance(node, nodes.IndexDate) for node in nodes.walk(*roots))


def _on_boundary(definition: Definition, indicator: Indicator, case: Case) -> bool:
    bound = case.binding.apply(definition)
    here = next(item for item in bound.indicators if item.name == indicator.name)
    statuses = {
        _status(bound, here, case, day) for day in (case.index_date - DAY, case.index_date, case.index_date + DAY)
    }
    return len(statuses) > 1


def _status(definition: Definition, indicator: Indicator, case: Case, day: dt.date) -> Status:
    evaluation = Evaluation(case.record, day, definition.codelists)
    if not is_member(evaluation, definition.cohort(indicator.cohort)):
        return Status.NOT_APPLICABLE
    return result_of(definition, indicator, evaluation).status
