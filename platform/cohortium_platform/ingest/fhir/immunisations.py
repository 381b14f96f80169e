"""Immunization becomes an event of the vaccination procedure, and an event and a medication of the vaccine.

Here: that choice. Codelists of vaccinations given hold procedure codes and codelists of vaccines hold products, and a
pack may look for a product among events or among medications: whichever it asks, it finds the vaccination. Not here:
other events.
"""

from __future__ import annotations

from cohortium_platform.ingest.fhir.reasons import Reason
from cohortium_platform.ingest.fhir.references import Origin
from cohortium_platform.ingest.fhir.rows import Row, Table, event, extension, left_out, prescription
from cohortium_platform.ingest.fhir.values import Json, day, medicine, snomed

__all__ = ["immunization"]

_NEVER = {"entered-in-error": Reason.ENTERED_IN_ERROR, "not-done": Reason.NOT_DONE}


def immunization(resource: Json, _origin: Origin) -> list[Row]:
    """A vaccination on the day it was given, else the day it was recorded; never one not done."""
    status = resource.get("status")
    if status in _NEVER:
        return [left_out(Table.EVENTS, _NEVER[status])]
    when = day(resource.get("occurrenceDateTime") or resource.get("recorded"))
    found = extension(resource, "-VaccinationProcedure")
    procedure = snomed((found or {}).get("valueCodeableConcept") or {})
    vaccine = medicine(resource.get("vaccineCode") or {})
    rows = []
    if procedure[0] is not None or vaccine[0] is None:
        rows.append(event(procedure, when))
    if vaccine[0] is not None:
        rows += [event(vaccine, when), prescription(vaccine, when)]
    return rows
