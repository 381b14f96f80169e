"""How the cancer care cohort is divided. A stratifier over an empty list says "no codes configured"."""

from __future__ import annotations

from cohortium_pack_cancer_care.cancer_care import TREATMENTS
from cohortium_pack_cancer_care.cohort import diagnosis, new_diagnosis
from cohortium_pack_cancer_care.phrases import since_diagnosis
from cohortium_plugins.authoring import Stratifier, age_band
from cohortium_plugins.language import (
    case,
    coalesce,
    code,
    events,
    index_date,
    otherwise,
    patient,
    when,
    years_between,
)

__all__ = ["STRATIFIERS"]

NOT_RECORDED = "not-recorded"

_current_code = coalesce(new_diagnosis.code, diagnosis.code)

tumour_site = Stratifier(
    "tumour-site",
    title="Tumour site",
    value=coalesce(events("cancer-tumour-site").where(code == _current_code).latest().category, "other"),
    labels={
        "breast": "Breast",
        "colorectal": "Colorectal",
        "gynaecological": "Gynaecological",
        "lung": "Lung",
        "lymphoma": "Lymphoma",
        "melanoma": "Melanoma",
        "myeloma": "Myeloma",
        "pancreatic": "Pancreatic",
        "prostate": "Prostate",
        "other": "Another site, or not grouped",
    },
)

_years = years_between(new_diagnosis.date, index_date)
FIVE, TEN = 5, 10

time_since_diagnosis = Stratifier(
    "time-since-diagnosis",
    title="Time since the latest new diagnosis",
    value=case(
        when(_years < 1).then("under-1-year"),
        when(_years < FIVE).then("1-to-4-years"),
        when(_years < TEN).then("5-to-9-years"),
        when(new_diagnosis.exists).then("10-years-or-more"),
        otherwise("not-known"),
    ),
    labels={
        "under-1-year": "Under 1 year",
        "1-to-4-years": "1 to 4 years",
        "5-to-9-years": "5 to 9 years",
        "10-years-or-more": "10 years or more",
        "not-known": "Not known: no new primary cancer coded since April 2003",
    },
)

_treatments = since_diagnosis(events("cancer-treatment"))
_systemic, _radiotherapy, _combined = (_treatments.where_category(kind).exists for kind in TREATMENTS)

treatment_recorded = Stratifier(
    "treatment-recorded",
    title="Treatment recorded",
    value=case(
        when(_combined | (_systemic & _radiotherapy)).then("both"),
        when(_systemic).then("chemotherapy"),
        when(_radiotherapy).then("radiotherapy"),
        otherwise(NOT_RECORDED),
    ),
    labels={
        "chemotherapy": "Chemotherapy or other systemic treatment",
        "radiotherapy": "Radiotherapy",
        "both": "Both",
        NOT_RECORDED: "None coded (surgery and hormones are not in the list)",
    },
)

stage = Stratifier(
    "stage",
    title="Stage",
    value=coalesce(events("cancer-stage").latest().category, NOT_RECORDED),
    labels={
        "stage-1": "Stage 1",
        "stage-2": "Stage 2",
        "stage-3": "Stage 3",
        "stage-4": "Stage 4",
        NOT_RECORDED: "Not recorded",
    },
)

follow_up_pathway = Stratifier(
    "follow-up-pathway",
    title="Follow-up pathway",
    value=coalesce(events("cancer-follow-up-pathway").latest().category, NOT_RECORDED),
    labels={
        "supported-self-management": "Supported self-management",
        "shared-care": "Shared care",
        "specialist-led": "Led by a specialist",
        NOT_RECORDED: "Not recorded",
    },
)

age = Stratifier(
    "age-band",
    title="Age",
    value=coalesce(age_band(0, 18, 30, 40, 50, 60, 70, 80), "unknown"),
    labels={
        "0-17": "0 to 17",
        "18-29": "18 to 29",
        "30-39": "30 to 39",
        "40-49": "40 to 49",
        "50-59": "50 to 59",
        "60-69": "60 to 69",
        "70-79": "70 to 79",
        "80+": "80 and over",
        "unknown": "Not recorded",
    },
)

sex = Stratifier(
    "sex",
    title="Sex",
    value=coalesce(patient.sex, "unknown"),
    labels={"female": "Female", "male": "Male", "indeterminate": "Indeterminate", "unknown": "Not recorded"},
)

STRATIFIERS = [tumour_site, time_since_diagnosis, treatment_recorded, stage, follow_up_pathway, age, sex]
