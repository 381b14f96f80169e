"""How the registry is divided: by number and category of conditions, frailty, reviews, and whom inequality touches."""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import (
    CATEGORIES,
    OLDER,
    categories,
    counted,
    fit,
    is_mild,
    is_moderate,
    is_severe,
)
from cohortium_pack_multimorbidity_review.conditions import by_name
from cohortium_pack_multimorbidity_review.phrases import ethnic_groups
from cohortium_pack_multimorbidity_review.reviews_due import needed, visits
from cohortium_plugins.authoring import Stratifier, age_band
from cohortium_plugins.composing import Segments
from cohortium_plugins.language import NumberSeries, case, coalesce, otherwise, patient, when
from cohortium_plugins.model.definition import Stratifier as Made

__all__ = ["STRATIFIERS"]


def _numbers(name: str, title: str, number: NumberSeries, last: int) -> Made:
    """Divide by a whole number, the last group open at the end."""
    branches = [when(number <= up_to).then(str(up_to)) for up_to in range(last)]
    labels = {**{str(up_to): str(up_to) for up_to in range(last)}, f"{last}+": f"{last} or more"}
    return Stratifier(name, title=title, value=case(*branches, otherwise(f"{last}+")), labels=labels)


number_of_conditions = _numbers("number-of-conditions", "Number of conditions", counted, 5)
number_of_categories = _numbers("number-of-categories", "Number of categories of conditions", categories, 5)

in_category = [
    Stratifier(
        f"category-{name}",
        title=f"Category: {category.title.lower()}",
        value=case(when(category.present).then("yes"), otherwise("no")),
        labels={"yes": "Has a condition of it", "no": "Has none"},
    )
    for name, category in CATEGORIES.items()
]

frailty_level = Segments(
    "frailty",
    title="Frailty",
    groups={
        "under-65": ("Under 65: not asked", patient.age < OLDER),
        "severe": ("Severe", is_severe),
        "moderate": ("Moderate", is_moderate),
        "mild": ("Mild", is_mild),
        "fit": ("Level 1 to 4 of the scale: not frail", fit.is_known),
    },
    otherwise=("not-recorded", "Not recorded"),
)

reviews_needed = _numbers("reviews-needed", "Condition reviews due", needed, 6)
visits_used = _numbers("visits-used", "Visits for condition reviews in the last 12 months", visits, 6)
visits_saved = _numbers("visits-saved", "Condition reviews due, less visits used", needed - visits, 6)

MOST_DEPRIVED = 2
WHITE_OR_NOT_STATED = ("A", "B", "C", "Z")
"""Letters of ethnic groups: White British, Irish and other, not stated."""
_core = patient.imd_decile <= MOST_DEPRIVED
_minority = ~patient.ethnicity.is_in(*WHITE_OR_NOT_STATED)
_plus = _minority | by_name("learning-disability")[0].present | by_name("severe-mental-illness")[0].present

core20plus5 = Segments(
    "core20plus5",
    title="Core20PLUS5",
    groups={
        "core20-and-plus": ("Most deprived fifth, and a group named locally", _core & _plus),
        "core20": ("Most deprived fifth", _core),
        "plus": ("Minority ethnic group, learning disability or severe mental illness", _plus),
        "not-known": ("Deprivation not known", patient.imd_decile.is_missing),
    },
    otherwise=("neither", "Neither"),
)

deprivation = Segments(
    "deprivation",
    title="Deprivation",
    groups={
        **{
            str(fifth): (("1: most deprived fifth", "2", "3", "4", "5: least deprived fifth")[fifth - 1],
                         patient.imd_quintile == fifth)
            for fifth in range(1, 6)
        },
    },
    otherwise=("not-known", "Not known"),
)  # fmt: skip

ethnicity = Segments(
    "ethnicity",
    title="Ethnic group",
    groups=ethnic_groups,
    otherwise=("not-known", "Not stated, or not recorded"),
)

age = Stratifier(
    "age-band",
    title="Age",
    value=coalesce(age_band(18, 30, 40, 50, 60, 70, 80), "unknown"),
    labels={
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

STRATIFIERS = [
    number_of_conditions,
    number_of_categories,
    *in_category,
    frailty_level,
    reviews_needed,
    visits_used,
    visits_saved,
    core20plus5,
    deprivation,
    ethnicity,
    age,
    sex,
]
