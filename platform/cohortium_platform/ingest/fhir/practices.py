"""Where someone is registered: a Patient's general practitioner, and the ODS code of an Organization.

Here: which of a patient's references name their practice, and since when. Not here: finding the organisation among the
delivery's (`resolving`).
"""

from __future__ import annotations

from typing import NamedTuple

from cohortium_platform.ingest.fhir.references import ODS_CODE, Origin, contained, lookup, system_of
from cohortium_platform.ingest.fhir.values import Json, day, text

__all__ = ["Registration", "ods_code", "registrations"]


class Registration(NamedTuple):
    """One registration with a practice: its ODS code, or where to look the organisation up (`references.lookup`).

    `is_current` marks the one that a patient's rows are filed under.
    """

    practice: str | None
    organisation: str | None
    start: str | None
    end: str | None
    is_current: bool


def ods_code(organisation: Json) -> str | None:
    """An organisation's ODS code."""
    for identifier in organisation.get("identifier") or ():
        if system_of(identifier) == ODS_CODE and (value := text(identifier.get("value"))):
            return value.upper()
    return None


def registrations(resource: Json, origin: Origin) -> list[Registration]:
    """A patient's registrations, never none: an unknown practice is one without a code.

    The general practitioner counts; the managing organisation stands in where none is an organisation. Of several
    without a period the first counts, since they cannot all be where someone is registered.
    """
    practitioners = resource.get("generalPractitioner") or ()
    found = [each for reference in practitioners if (each := _named(resource, reference, origin))]
    if not found and (manager := _named(resource, resource.get("managingOrganization") or {}, origin)):
        found = [manager]
    dated = [each for each in found if each.start or each.end]
    undated = [each for each in found if not (each.start or each.end)]
    if any(each.end is None for each in dated):
        undated = []
    kept = dated + undated[:1]
    if not kept:
        return [Registration(None, None, None, None, is_current=True)]
    current = max(kept, key=lambda each: (each.end is None, each.start or "", each.end or ""))
    return [each._replace(is_current=each is current) for each in kept]


def _named(resource: Json, reference: Json, origin: Origin) -> Registration | None:
    """The registration that a reference to an organisation means; nothing for a reference to a person."""
    identifier = reference.get("identifier") or {}
    period = identifier.get("period") or {}
    start, end = day(period.get("start"))[0], day(period.get("end"))[0]
    if system_of(identifier) == ODS_CODE and (code := text(identifier.get("value"))):
        return Registration(code.upper(), None, start, end, is_current=False)
    address = reference.get("reference") or ""
    if address.startswith("#"):
        inner = contained(resource, address) or {}
        code = ods_code(inner)
        return Registration(code, None, start, end, is_current=False) if code else None
    is_organisation = "Organization" in address or reference.get("type") == "Organization"
    where = lookup("Organization", reference, resource, origin) if is_organisation or address[:4] == "urn:" else None
    return Registration(None, where, start, end, is_current=False) if where else None
