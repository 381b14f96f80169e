"""The registry's Admin rows: next of kin, contact details, consultations, being on the register.

Not here: the QOF register indicator (`qof`).
"""

from __future__ import annotations

from cohortium_pack_cancer_care.cohort import cancer_cohort, diagnosis
from cohortium_pack_cancer_care.phrases import YEAR
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import case, consultations, contacts, events, kind, patient, relationship, when

__all__ = ["INDICATORS"]

GROUP = "Admin"

_next_of_kin = contacts().where((relationship == "N") | (kind == "next-of-kin")).latest()

next_of_kin = Indicator(
    "admin-next-of-kin",
    title="Next of kin recorded",
    description="A next of kin is on record. Once recorded it does not fall due again.",
    group=GROUP,
    cohort=cancer_cohort,
    met=_next_of_kin,
    shows=[
        case(
            when(_next_of_kin.relationship != "N").then(_next_of_kin.relationship),
            when(_next_of_kin.exists).then("Patient's next of kin"),
        )
    ],
    source="North Central London cancer registry, row 'Admin - Next of Kin'; UK Core relationship code N",
)

_number = contacts().where(kind.is_in("telephone", "mobile") & relationship.is_missing).latest()
_number_code = events("contact-details").where_category("telephone", "mobile").latest()
_has_number = _number.exists | _number_code.exists

contact_details = Indicator(
    "admin-contact-details",
    title="Patient contact details recorded",
    description=(
        "A telephone or mobile number of the patient's own is on the registration record, or coded. The date shown is "
        "that of the extract, since the record says that there is a number and not since when it is right."
    ),
    group=GROUP,
    cohort=cancer_cohort,
    met=_has_number,
    evidence=[_number, _number_code],
    date=patient.records_to,
    shows=[case(when(_has_number).then("Patient telephone number"))],
    source="North Central London cancer registry, row 'Admin - Patient Contact Details'",
)

_in_last_year = consultations().in_last(YEAR)

consulted = Indicator(
    "primary-care-consultations",
    title="Primary care consultations in the last 12 months",
    description="At least one consultation in the last 12 months. The number shown is how many there were.",
    group=GROUP,
    cohort=cancer_cohort,
    met=_in_last_year.exists,
    evidence=[consultations().latest()],
    shows=[_in_last_year.count],
    source="North Central London cancer registry, row 'Number of Primary Care Consultations'",
    unsure="Counted from the consultation table, not from codes; every kind of consultation counts.",
)

on_register = Indicator(
    "gp-cancer-register",
    title="On a GP cancer register",
    description="Everyone in the registry. The date shown is that of the extract.",
    group=GROUP,
    cohort=cancer_cohort,
    met=diagnosis,
    date=patient.records_to,
    shows=[diagnosis.code],
    source="North Central London cancer registry, row 'On a GP Cancer Register'; QOF 2024/25 CAN001",
)

INDICATORS = [next_of_kin, contact_details, consulted, on_register]
