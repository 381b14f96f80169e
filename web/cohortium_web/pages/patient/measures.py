"""The patient's measure table: status, measure, due date, result, date and source of each, by group."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cohortium_plugins.explain import reason_in_words
from cohortium_plugins.model import Indicator, Status
from cohortium_plugins.record import COHORTIUM, GP, Result
from cohortium_web.pages.patient.opened import OpenedPatient
from cohortium_web.pages.patient.views import MeasureGroup, MeasureRow
from cohortium_web.pages.registry.opened import source_name
from cohortium_web.words import NONE, STATUSES, day_or

__all__ = ["measure_groups", "result_in_words", "source_label"]


def measure_groups(patient: OpenedPatient) -> Sequence[MeasureGroup]:
    """Every measure of the registry, grouped as its pack groups them."""
    by_name = {result.indicator: result for result in patient.results}
    groups = []
    for group in patient.registry.groups:
        members = [indicator for indicator in patient.registry.indicators if indicator.group == group]
        concerned = [indicator for indicator in members if _concerns(by_name.get(indicator.name))]
        groups.append(
            MeasureGroup(
                title=group,
                rows=[_row(patient, indicator, by_name[indicator.name]) for indicator in concerned],
                not_applicable=[indicator.title for indicator in members if indicator not in concerned],
            )
        )
    return groups


def source_label(patient: OpenedPatient, source: str | None) -> str:
    """Whose entry it is, when it is not the practice's own: from Parliament Fields Hospitals (RZ1)."""
    if source is None or source == GP:
        return ""
    name = source_name(patient.registry.asking, source)
    if source not in patient.registry.asking.organisations.nodes:
        return name if name != source else f"from trust {source}"
    return f"from {name} ({source})"


def result_in_words(patient: OpenedPatient, result: Result) -> str:
    """The value shown: a number, text, the term of a code, or several of them."""
    number = "" if result.value is None else f"{result.value:g}"
    term = patient.registry.registered.term(result.value_code)
    text = _named(patient, result.value_text or "")
    if _words(text) <= _words(term):
        text = ""  # a category that the term says already
    first = f"{number} {text}".strip()
    if number and term:
        return f"{first} ({term})"
    return f"{term}: {first}" if term and first else term or first


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _named(patient: OpenedPatient, text: str) -> str:
    """Text of a rule; a source that it gives is shown by its name."""
    asking = patient.registry.asking
    is_source = text in {GP, COHORTIUM} or text in asking.organisations.nodes
    return source_name(asking, text) if is_source else text.replace("-", " ")


def _concerns(result: Result | None) -> bool:
    return result is not None and result.status is not Status.NOT_APPLICABLE


def _row(patient: OpenedPatient, indicator: Indicator, result: Result) -> MeasureRow:
    definition = patient.registry.registered.definition
    note = ""
    if result.status is Status.NOT_EVALUATED:
        note = reason_in_words(result.reason or "", definition)
    if result.status is Status.EXCLUDED:
        note = next((a.title for a in indicator.adjustments if a.name == result.adjustment), "")
    return MeasureRow(
        name=indicator.name,
        title=indicator.title,
        look=STATUSES[result.status],
        due="Now" if result.due_now else day_or(result.due_date, NONE),
        result=result_in_words(patient, result),
        note=note,
        day=result.met_date or result.event_date,
        source=source_label(patient, result.event_source),
        why=f"{patient.path}why/{indicator.name}/",
    )
