"""Encounter becomes a consultation of a kind.

Here: which encounters never count and the kind that class and type together give. Not here: events.
"""

from __future__ import annotations

from cohortium_platform.ingest.fhir.reasons import Reason
from cohortium_platform.ingest.fhir.references import Origin
from cohortium_platform.ingest.fhir.rows import Row, Table, consultation, left_out
from cohortium_platform.ingest.fhir.values import Json, day
from cohortium_platform.ingest.fhir.versions import OtherRelease

__all__ = ["KINDS", "encounter"]

_NEVER = {
    "entered-in-error": Reason.ENTERED_IN_ERROR,
    "cancelled": Reason.CANCELLED,
    "planned": Reason.PLANNED,
}

_CLASSES = {
    "AMB": "face-to-face",
    "VR": "remote",
    "HH": "home-visit",
    "FLD": "home-visit",
    "EMER": "emergency",
    "IMP": "inpatient",
    "ACUTE": "inpatient",
    "NONAC": "inpatient",
    "OBSENC": "inpatient",
    "SS": "day-case",
}
"""HL7 v3 ActCode of the encounter's class, and the kind."""

_WORDS = (
    ("telephone", "telephone"),
    ("phone", "telephone"),
    ("video", "video"),
    ("e-consult", "online"),
    ("econsult", "online"),
    ("online", "online"),
    ("home visit", "home-visit"),
    ("remote", "remote"),
    ("telemedicine", "remote"),
    ("telehealth", "remote"),
    ("face to face", "face-to-face"),
    ("face-to-face", "face-to-face"),
)
"""Words of an encounter's type that say more than its class; the first that occurs decides."""

_UNDECIDED = frozenset({None, "face-to-face", "remote"})
"""Kinds that the type may refine: most senders give every encounter of a practice the class ambulatory."""

KINDS = frozenset(kind for _, kind in _WORDS) | frozenset(_CLASSES.values()) | {"other"}
"""Every kind there is."""


def encounter(resource: Json, _origin: Origin) -> tuple[Row, ...]:
    """A consultation on the day it began."""
    status = resource.get("status")
    if status in _NEVER:
        return (left_out(Table.CONSULTATIONS, _NEVER[status]),)
    period = resource.get("period") or {}
    return (consultation(_kind(resource), day(period.get("start") or period.get("end"))),)


def _kind(resource: Json) -> str:
    coded = resource.get("class") or {}
    if type(coded) is not dict:
        # R5 gives a list of concepts, DSTU2 a bare code.
        raise OtherRelease("R5" if type(coded) is list else "DSTU2")
    kind = _CLASSES.get(coded.get("code", ""))
    if kind in _UNDECIDED and "type" in resource:
        words = " ".join(_words(resource["type"])).lower()
        kind = next((kind for word, kind in _WORDS if word in words), kind)
    return kind or "other"


def _words(concepts: list[Json]) -> list[str]:
    said = [concept.get("text") for concept in concepts]
    said += [coding.get("display") for concept in concepts for coding in concept.get("coding") or ()]
    return [each for each in said if type(each) is str]
