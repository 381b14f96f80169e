"""Audit entries as FHIR R4 AuditEvent resources, in the manner of IHE's Basic Audit Log Patterns.

A patient is named by the tenant's keyed hash, as in the log itself, never by a number or a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cohortium_auth.login import Purpose
from cohortium_platform.audit import AuditEntry, Outcome

__all__ = ["as_bundle"]

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_SUBTYPE = "http://hl7.org/fhir/restful-interaction"
_ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_PURPOSES: Mapping[str, tuple[str, str]] = {
    Purpose.DIRECT_CARE: ("TREAT", "treatment"),
    Purpose.SERVICE_EVALUATION: ("HQUALIMP", "health quality improvement"),
    Purpose.PLANNING: ("HOPERAT", "healthcare operations"),
    Purpose.RESEARCH: ("HRESCH", "healthcare research"),
    Purpose.IG_AUDIT: ("HCOMPL", "health compliance"),
    Purpose.PLATFORM_OPERATION: ("HSYSADMIN", "health system administration"),
}
_BROKEN_GLASS = ("BTG", "break the glass")
_OUTCOMES = {Outcome.DONE: "0", Outcome.DENIED: "4", Outcome.FAILED: "8"}
_SEARCHES = frozenset({"view-registry", "export-list", "view-aggregates", "search-audit"})


def as_bundle(entries: Iterable[AuditEntry]) -> Mapping[str, object]:
    """A collection of AuditEvents, in the order given."""
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": f"urn:uuid:{entry.id}", "resource": _event(entry)} for entry in entries],
    }


def _event(entry: AuditEntry) -> Mapping[str, object]:
    searches = entry.action in _SEARCHES
    return {
        "resourceType": "AuditEvent",
        "id": str(entry.id),
        "type": {"system": _TYPE, "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"system": _SUBTYPE, "code": "search" if searches else "read"}, {"display": entry.action}],
        "action": "E" if searches else "R",
        "recorded": entry.at.isoformat(),
        "outcome": _OUTCOMES[Outcome(entry.outcome)],
        "purposeOfEvent": [_purpose(entry)],
        "agent": [_agent(entry), _server()],
        "source": {"observer": {"display": "Cohortium"}, "type": [{"code": "4", "display": "Application Server"}]},
        "entity": [*_patients(entry), _query(entry), _transaction(entry)],
    }


def _purpose(entry: AuditEntry) -> Mapping[str, object]:
    broken = "broken-glass" in entry.policy.split() or entry.action == "break-glass"
    code, display = _BROKEN_GLASS if broken else _PURPOSES.get(entry.purpose, ("HOPERAT", "healthcare operations"))
    return {"coding": [{"system": _REASON, "code": code, "display": display}], "text": entry.purpose or "none stated"}


def _agent(entry: AuditEntry) -> Mapping[str, object]:
    return {
        "type": {"text": entry.role or "none"},
        "who": {"identifier": {"value": entry.actor}, "display": entry.organisation},
        "requestor": True,
        "policy": [f"urn:cohortium:policy:{name}" for name in entry.policy.split()],
    }


def _server() -> Mapping[str, object]:
    return {
        "type": {"coding": [{"system": _DCM, "code": "110152", "display": "Destination Role ID"}]},
        "who": {"display": "Cohortium"},
        "requestor": False,
    }


def _patients(entry: AuditEntry) -> list[Mapping[str, object]]:
    return [
        {
            "what": {"identifier": {"system": "urn:cohortium:audit-hash", "value": bytes(patient).hex()}},
            "type": {"system": _ENTITY, "code": "1", "display": "Person"},
            "role": {"system": _ROLE, "code": "1", "display": "Patient"},
        }
        for patient in entry.patients
    ]


def _query(entry: AuditEntry) -> Mapping[str, object]:
    return {
        "type": {"system": _ENTITY, "code": "2", "display": "System Object"},
        "role": {"system": _ROLE, "code": "24", "display": "Query"},
        "description": entry.resource,
        "detail": [{"type": name, "valueString": str(value)} for name, value in sorted(entry.detail.items())]
        or [{"type": "resource", "valueString": entry.resource}],
    }


def _transaction(entry: AuditEntry) -> Mapping[str, object]:
    return {
        "type": {"code": "XrequestId"},
        "what": {"identifier": {"value": entry.request_id or str(entry.id)}},
    }
