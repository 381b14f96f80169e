"""MedicationRequest and MedicationStatement become medications; a Medication is what they may refer to.

Here: which requests and statements never count, their days and where their codes come from. Not here: vaccines.
"""

from __future__ import annotations

from cohortium_platform.ingest.fhir.reasons import Reason
from cohortium_platform.ingest.fhir.references import Origin, contained, lookup
from cohortium_platform.ingest.fhir.rows import Row, Table, extension, left_out, prescription
from cohortium_platform.ingest.fhir.values import Coded, Json, day, medicine

__all__ = ["medication_request", "medication_statement"]

_REQUEST = {
    "entered-in-error": Reason.ENTERED_IN_ERROR,
    "cancelled": Reason.CANCELLED,
    "draft": Reason.CANCELLED,
}

_STATEMENT = {
    "entered-in-error": Reason.ENTERED_IN_ERROR,
    "not-taken": Reason.NOT_TAKEN,
    "intended": Reason.PLANNED,
}

_INTENTS = frozenset({"order", "plan", "original-order", "reflex-order", "filler-order", "instance-order"})

_BY_REFERENCE: Coded = (None, None)


def medication_request(resource: Json, origin: Origin) -> tuple[Row, ...]:
    """A medicine ordered or planned, on the day it was written."""
    status = resource.get("status")
    if status in _REQUEST:
        return (left_out(Table.MEDICATIONS, _REQUEST[status]),)
    if resource.get("intent") not in _INTENTS:
        return (left_out(Table.MEDICATIONS, Reason.NOT_ORDERED),)
    if resource.get("doNotPerform") is True:
        return (left_out(Table.MEDICATIONS, Reason.NOT_DONE),)
    written = resource.get("authoredOn")
    if written is None:
        validity = (resource.get("dispenseRequest") or {}).get("validityPeriod") or {}
        written = validity.get("start")
    coded, where = _medicine(resource, origin)
    return (prescription(coded, day(written), where),)


def medication_statement(resource: Json, origin: Origin) -> tuple[Row, ...]:
    """A medicine taken, on the day it began; and once more on the day of its last issue where that is given."""
    status = resource.get("status")
    if status in _STATEMENT:
        return (left_out(Table.MEDICATIONS, _STATEMENT[status]),)
    period = resource.get("effectivePeriod") or {}
    began = (
        resource.get("effectiveDateTime") or period.get("start") or period.get("end") or resource.get("dateAsserted")
    )
    coded, where = _medicine(resource, origin)
    last = extension(resource, "-MedicationStatementLastIssueDate")
    issued = last.get("valueDateTime") if last else None
    if issued is None:
        return (prescription(coded, day(began), where),)
    if began is None:
        return (prescription(coded, day(issued), where),)
    return prescription(coded, day(began), where), prescription(coded, day(issued), where)


def _medicine(resource: Json, origin: Origin) -> tuple[Coded, str | None]:
    """The code of the medicine, or where to look it up."""
    if "medicationCodeableConcept" in resource:
        return medicine(resource["medicationCodeableConcept"]), None
    reference = resource.get("medicationReference") or {}
    address = reference.get("reference")
    if type(address) is str and address.startswith("#"):
        inner = contained(resource, address)
        if inner is None:
            return (None, Reason.DANGLING_MEDICATION), None
        return medicine(inner.get("code") or {}), None
    where = lookup("Medication", reference, resource, origin)
    return (_BY_REFERENCE if where else (None, Reason.NO_SNOMED)), where
