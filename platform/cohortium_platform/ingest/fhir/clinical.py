"""Condition, Observation and Procedure become events.

Here: which statuses never count, which date and which code an event has, and what an observation's value becomes. Not
here: immunisations, medicines, consultations, and whose the event is.
"""

from __future__ import annotations

from cohortium_platform.ingest.fhir.reasons import Reason
from cohortium_platform.ingest.fhir.references import Origin
from cohortium_platform.ingest.fhir.rows import Day, Row, Table, event, extension, left_out
from cohortium_platform.ingest.fhir.values import Coded, Json, coding_code, day, number, quantity, snomed, text
from cohortium_platform.ingest.fhir.versions import OtherRelease

__all__ = ["condition", "observation", "procedure"]

_NO_CODE: Coded = (None, Reason.NO_SNOMED)

_VERIFICATION = {"refuted": Reason.REFUTED, "entered-in-error": Reason.ENTERED_IN_ERROR}
_UNCONFIRMED = frozenset({"unconfirmed", "provisional", "differential"})

_OBSERVATION = {
    "entered-in-error": Reason.ENTERED_IN_ERROR,
    "cancelled": Reason.CANCELLED,
    "registered": Reason.NO_RESULT_YET,
}

_PROCEDURE = {
    "entered-in-error": Reason.ENTERED_IN_ERROR,
    "not-done": Reason.NOT_DONE,
    "preparation": Reason.PLANNED,
}

_ABSENT = frozenset({2667000, 410516002, 410594000, 373067005})
"""Answers that deny what was asked: absent, known absent, definitely not present, no. Not `negative`: a test with a
negative result was done."""


def condition(resource: Json, _origin: Origin) -> tuple[Row, ...]:
    """A diagnosis on the day of its onset, else the day it was recorded; never one refuted or entered in error."""
    remark = None
    verification = resource.get("verificationStatus")
    if type(verification) is str or type(resource.get("clinicalStatus")) is str:
        release = "STU3"
        raise OtherRelease(release)
    for coding in (verification or {}).get("coding") or ():
        status = coding.get("code")
        if status in _VERIFICATION:
            return (left_out(Table.EVENTS, _VERIFICATION[status]),)
        if status in _UNCONFIRMED:
            remark = Reason.UNCONFIRMED
    code, about = snomed(resource.get("code") or {})
    when = _first_day(
        resource.get("onsetDateTime"), _start(resource.get("onsetPeriod")), resource.get("recordedDate"),
        (extension(resource, "/condition-assertedDate") or {}).get("valueDateTime"),
    )  # fmt: skip
    coded = (code, about or remark) if code is not None else (None, about)
    return (event(coded, when, episode=_episode(resource)),)


def _episode(resource: Json) -> str | None:
    """The episode type: first, new, review or end."""
    if "extension" not in resource:
        return None
    found = extension(resource, "-ConditionEpisode")
    if found is None:
        return None
    return text(found.get("valueCode")) or coding_code(found.get("valueCodeableConcept") or {})


def observation(resource: Json, _origin: Origin) -> list[Row]:
    """A measurement or finding, and one more event for each of its components."""
    status = resource.get("status")
    if status in _OBSERVATION:
        return [left_out(Table.EVENTS, _OBSERVATION[status])]
    # The commonest form first; the others only when it is absent.
    when = day(resource["effectiveDateTime"]) if "effectiveDateTime" in resource else _effective(resource)
    rows: list[Row] = []
    components = resource.get("component")
    _add_finding(resource, when, rows, has_parts=bool(components))
    for component in components or ():
        _add_finding(component, when, rows, has_parts=False)
    return rows


def _effective(resource: Json) -> Day:
    timing = resource.get("effectiveTiming") or {}
    return _first_day(
        _start(resource.get("effectivePeriod")),
        resource.get("effectiveInstant"),
        next(iter(timing.get("event") or ()), None),
        resource.get("issued"),
    )


def _add_finding(holder: Json, when: Day, rows: list[Row], *, has_parts: bool) -> None:
    """Add the events of an observation, or of a component of one: its code with its number, and its coded answer."""
    coded = snomed(holder["code"]) if "code" in holder else _NO_CODE
    if "valueQuantity" in holder:
        value, unit = quantity(holder["valueQuantity"])
        rows.append(event(coded, when, value, unit))
    elif "valueCodeableConcept" in holder:
        _add_answer(coded, snomed(holder["valueCodeableConcept"]), when, rows)
    elif holder.get("valueBoolean") is False:
        rows.append(left_out(Table.EVENTS, Reason.STATED_FALSE))
    elif "dataAbsentReason" in holder and not has_parts:
        rows.append(event((None, Reason.VALUE_ABSENT), when))
    else:
        plain = holder.get("valueInteger")
        rows.append(event(coded, when, number(holder.get("valueString") if plain is None else plain)))


def _add_answer(coded: Coded, answer: Coded, when: Day, rows: list[Row]) -> None:
    if answer[0] in _ABSENT:
        rows.append(left_out(Table.EVENTS, Reason.STATED_FALSE))
        return
    if coded[0] is not None or answer[0] is None:
        rows.append(event(coded, when))
    if answer[0] is not None:
        rows.append(event(answer, when))


def procedure(resource: Json, _origin: Origin) -> tuple[Row, ...]:
    """Something done on the day it was done or begun."""
    status = resource.get("status")
    if status in _PROCEDURE:
        return (left_out(Table.EVENTS, _PROCEDURE[status]),)
    when = _first_day(resource.get("performedDateTime"), _start(resource.get("performedPeriod")))
    return (event(snomed(resource.get("code") or {}), when),)


def _start(period: Json | None) -> object:
    """The start of a period, or its end when it has no start."""
    return (period.get("start") or period.get("end")) if period else None


def _first_day(*candidates: object) -> Day:
    """The day of the first candidate that is a date; without one, what is wrong with the last that is given."""
    found: Day = (None, Reason.NO_DATE)
    for candidate in candidates:
        if candidate is not None:
            found = day(candidate)
            if found[0] is not None:
                return found
    return found
