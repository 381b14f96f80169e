"""Why a measure is as it is: the sentence, the entries that decided it, and the rule part by part with its values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date

from cohortium_platform.errors import NotFound
from cohortium_plugins.entered import standing_with_entries
from cohortium_plugins.explain import DecidingEvent, Explanation, Step, explain, reason_in_words
from cohortium_plugins.model import Duration, Indicator, Scalar
from cohortium_web.pages.patient.measures import source_label
from cohortium_web.pages.patient.opened import OpenedPatient
from cohortium_web.pages.patient.views import DecidingEntry, TreeStep, WhyView
from cohortium_web.words import STATUSES, long_day, plain_term, value_with_unit

__all__ = ["explain_measure"]

_ASKS = re.compile(r"(?P<opening>.*To turn it green, record[^:]*): (?P<wanted>.*)", re.DOTALL)
_TABLES = {
    "events": "Coded entry",
    "medications": "Medication",
    "consultations": "Consultation",
    "contacts": "Contact on record",
    "registrations": "Registration",
}


def explain_measure(patient: OpenedPatient, name: str) -> WhyView:
    """Explain one measure of a patient, as of the registry's day, or that of an entry made here which decides it.

    Raises `NotFound` when there is no such measure.
    """
    registered, registry = patient.registry.registered, patient.registry
    indicator = next((each for each in registry.indicators if each.name == name), None)
    if indicator is None:
        raise NotFound("There is no such measure.", "Go back to the patient.")
    record = patient.record
    with registry.asking.timed("explain"):
        stands = standing_with_entries(registered.definition, indicator, record, registry.index_date)
        found = explain(registered.definition, indicator, stands.record, stands.day)
    return _view(patient, indicator, found, stands.day)


def _view(patient: OpenedPatient, indicator: Indicator, found: Explanation, day: date) -> WhyView:
    sentence, wanted = _laid_out(found.sentence)
    return WhyView(
        name=indicator.name,
        title=indicator.title,
        day=day,
        look=STATUSES[found.result.status],
        sentence=sentence,
        wanted=wanted,
        outlook=found.outlook,
        entries=[_entry(patient, event) for event in found.events],
        steps=list(_steps(patient, found)),
        source=indicator.source,
        unsure=indicator.unsure,
    )


def _laid_out(sentence: str) -> tuple[str, Sequence[str]]:
    """The sentence as it is, or, when it asks for several entries, its opening and those as a list."""
    asked = _ASKS.match(sentence)
    wanted = [] if asked is None else asked["wanted"].removesuffix(".").split("; and ")
    if asked is None or len(wanted) == 1:
        return sentence, []
    return f"{asked['opening']} all of these:", wanted


def _entry(patient: OpenedPatient, event: DecidingEvent) -> DecidingEntry:
    row = event.row
    term = plain_term(event.term or "") or patient.registry.registered.term(row.code)
    what = term or _TABLES.get(event.table, event.table)
    kind = f": {row.kind.replace('-', ' ')}" if row.kind else ""
    return DecidingEntry(row.date, what + kind, value_with_unit(row.value, row.unit), source_label(patient, row.source))


def _steps(patient: OpenedPatient, found: Explanation) -> Iterator[tuple[str, TreeStep]]:
    yield "Applies to this patient when", _step(patient, found.applies)
    yield "Met when", _step(patient, found.met)
    for adjustment in found.adjustments:
        yield "Left out of the rate when", _step(patient, adjustment)


def _step(patient: OpenedPatient, step: Step) -> TreeStep:
    return TreeStep(step.words, _value(patient, step), [_step(patient, each) for each in step.steps])


def _value(patient: OpenedPatient, step: Step) -> str:
    if step.reason is not None:
        return reason_in_words(step.reason, patient.registry.registered.definition).removesuffix(".")
    return _scalar(patient, step.value)


def _scalar(patient: OpenedPatient, value: Scalar | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return long_day(value)
    if isinstance(value, int) and value in patient.registry.registered.codes:
        return patient.registry.registered.term(value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, Duration | int) else value
