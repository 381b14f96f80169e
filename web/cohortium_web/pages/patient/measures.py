"""The patient's measure table: status, measure, due date, result, date and source of each, by group."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cohortium_plugins.explain import reason_in_words
from cohortium_plugins.model import Indicator, Status
from cohortium_plugins.record import COHORTIUM, GP, Result
from cohortium_web.pages.patient.opened import OpenedPatient
from cohortium_web.pages.patient.views import AlsoAsked, MeasureGroup, MeasureRow
from cohortium_web.pages.registry.opened import source_name
from cohortium_web.words import NONE, STATUSES, day_or

__all__ = ["MeasureSet", "measure_set", "result_in_words", "source_label"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a patient stands on one indicator of one of their registries."""

    patient: OpenedPatient
    indicator: Indicator
    result: Result

    @property
    def pressing(self) -> tuple[int, date]:
        """How pressing it is: the least of several is the one that asks for most."""
        return _PRESSING.index(self.result.status), self.result.due_date or date.max


_PRESSING = (
    Status.OVERDUE,
    Status.DUE,
    Status.EXCLUDED,
    Status.MET,
    Status.NOT_EVALUATED,
    Status.NOT_APPLICABLE,
)
"""Statuses, most pressing first."""


@dataclass(frozen=True, slots=True)
class MeasureSet:
    """All measures of a patient, each once, by group; and how many are overdue and due."""

    groups: Sequence[MeasureGroup]
    gaps: int
    due: int


def measure_set(patient: OpenedPatient, elsewhere: Sequence[OpenedPatient] = ()) -> MeasureSet:
    """Every measure of the registry, grouped as its pack groups them, then those that only the patient's other
    registries ask for. What two registries measure alike stands once, in its first place, as the more pressing says.
    """
    every = [_standings(each) for each in (patient, *elsewhere)]
    shown, also = _each_once(every)
    groups = []
    for standings in every:
        of = standings[0].patient if standings else patient
        rows = {
            name: [shown[id(standing)] for standing in standings if id(standing) in shown and _group(standing) == name]
            for name in of.registry.groups
        }
        groups += [
            MeasureGroup(
                title=name if of is patient else f"{of.registry.title}: {name[:1].lower()}{name[1:]}",
                rows=[_row(each, also.get(id(each), ()), apart=each.patient is not patient) for each in rows[name]],
                not_applicable=_not_applicable(patient, name) if of is patient else (),
            )
            for name in of.registry.groups
            if rows[name] or of is patient
        ]
    statuses = [standing.result.status for standing in shown.values()]
    return MeasureSet(groups, statuses.count(Status.OVERDUE), statuses.count(Status.DUE))


def _group(standing: Standing) -> str:
    return standing.indicator.group


def _standings(patient: OpenedPatient) -> Sequence[Standing]:
    """The indicators of a registry that concern the patient, in its order."""
    by_name = {result.indicator: result for result in patient.results}
    return [
        Standing(patient, indicator, by_name[indicator.name])
        for indicator in patient.registry.indicators
        if _concerns(by_name.get(indicator.name))
    ]


def _not_applicable(patient: OpenedPatient, group: str) -> Sequence[str]:
    concerned = {standing.indicator.name for standing in _standings(patient)}
    return [i.title for i in patient.registry.indicators if i.group == group and i.name not in concerned]


def _each_once(every: Sequence[Sequence[Standing]]) -> tuple[Mapping[int, Standing], Mapping[int, Sequence[Standing]]]:
    """By the place where it stands: what is shown there; and by what is shown, the others that measure the same."""
    shown: dict[int, Standing] = {}
    also: dict[int, Sequence[Standing]] = {}
    taken: set[int] = set()
    for place, standings in enumerate(every):
        for standing in standings:
            if id(standing) in taken:
                continue
            alike = [other for later in every[place + 1 :] if (other := _alike(standing, later)) is not None]
            first = min([standing, *alike], key=lambda each: each.pressing)
            shown[id(standing)] = first
            also[id(first)] = [each for each in (standing, *alike) if each is not first]
            taken.update(map(id, alike))
    return shown, also


def _alike(standing: Standing, others: Sequence[Standing]) -> Standing | None:
    measure = standing.indicator.measure
    return next((each for each in others if measure and each.indicator.measure == measure), None)


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


def _row(standing: Standing, also: Sequence[Standing], *, apart: bool) -> MeasureRow:
    """The row of a measure. `apart`: it is that of another registry than the page's own."""
    patient, indicator, result = standing.patient, standing.indicator, standing.result
    definition = patient.registry.registered.definition
    note = ""
    if result.status is Status.NOT_EVALUATED:
        note = reason_in_words(result.reason or "", definition)
    if result.status is Status.EXCLUDED:
        note = next((a.title for a in indicator.adjustments if a.name == result.adjustment), "")
    return MeasureRow(
        name=f"{patient.registry.id}-{indicator.name}" if apart else indicator.name,
        title=indicator.title,
        look=STATUSES[result.status],
        due="Now" if result.due_now else day_or(result.due_date, NONE),
        result=result_in_words(patient, result),
        note=note,
        day=result.met_date or result.event_date,
        source=source_label(patient, result.event_source),
        why=_why(standing),
        registry=patient.registry.title if also else "",
        also=[
            AlsoAsked(each.patient.registry.title, each.indicator.title, STATUSES[each.result.status], _why(each))
            for each in also
        ],
    )


def _why(standing: Standing) -> str:
    return f"{standing.patient.path}why/{standing.indicator.name}/"
