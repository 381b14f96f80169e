"""The registry's rows on a healthy lifestyle: alcohol, smoking, weight and BMI, advice on weight and diet."""

from __future__ import annotations

from cohortium_pack_cancer_care.cohort import cancer_cohort
from cohortium_pack_cancer_care.phrases import (
    SMOKING_AGE,
    YEAR,
    bmi_values,
    declined_category,
    from_birthday,
    in_date,
    later_of,
    performed,
    since_diagnosis,
    smoking_statuses,
)
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import (
    case,
    category,
    code,
    events,
    maximum_of,
    minimum_of,
    months,
    otherwise,
    patient,
    value,
    when,
)

__all__ = ["INDICATORS"]

GROUP = "HP lifestyle"
ADULT = 18

# --- alcohol ----------------------------------------------------------------------------------------------------

ALCOHOL_AGE = 16
_alcohol = (
    events("alcohol-consumption").where_not_category("declined").on_or_after(patient.birthday(ALCOHOL_AGE)).latest()
)

alcohol = Indicator(
    "alcohol-use-screening",
    title="Alcohol use screening in the last 12 months",
    description=(
        "From age 16: AUDIT, AUDIT-C, units or a drinking category in the last 12 months. The number shown is a score "
        "or units; the code says which, and whether a day or a week."
    ),
    group=GROUP,
    cohort=cancer_cohort,
    applies=patient.age >= ALCOHOL_AGE,
    begins=from_birthday(ALCOHOL_AGE),
    met=_alcohol,
    every=YEAR,
    shows=[_alcohol.value, _alcohol.code, _alcohol.category],
    adjustments=[declined_category("alcohol-consumption")],
    source="North Central London cancer registry, row 'Alcohol Use Screening'; NICE IND201",
    unsure="Codes recorded before age 16 are ignored, as in QOF practice.",
    measure="alcohol-use",
)

# --- smoking ----------------------------------------------------------------------------------------------------

AMOUNTS = (230056004, 230057008, 230058003, 266918002, 836001000000109)
"""Codes among the current smokers that state an amount (cigarettes, cigars, pipe, any tobacco, waterpipe): 0 is no
smoker. Minutes from waking to the first cigarette are no amount."""

_statuses = smoking_statuses()
_smoked_earlier = _statuses.where(
    (category == "current") & (value.is_missing | (value != 0) | ~code.is_in(*AMOUNTS))
).exists
_status = _statuses.latest()
_none_smoked = _status.value.is_known & (_status.value == 0) & _status.code.is_in(*AMOUNTS)
_smoker = (_status.category == "current") & ~_none_smoked
_advice = events("smoking-cessation-intervention").where_category("given").where(_smoker).latest()
_status_in_date = in_date(_status.date, YEAR)
_smoking_due = case(
    when(~_smoker).then(_status.date + YEAR),
    when(_advice.exists).then(minimum_of(_status.date, _advice.date) + YEAR),
)
_smoking_words = case(
    when(_smoker).then("current"),
    when(_smoked_earlier).then("ex"),
    when(_status.category == "current").then("non-smoker-history-unknown"),
    otherwise(_status.category),
)

smoking = Indicator(
    "smoking-status-and-advice",
    title="Smoking status, and advice for smokers, in the last 12 months",
    description=(
        "From age 11: smoking status in the last 12 months and, for those who smoke, advice or referral in the last 12 "
        "months. Someone recorded as a non-smoker after being recorded as smoking is an ex-smoker."
    ),
    group=GROUP,
    cohort=cancer_cohort,
    applies=patient.age >= SMOKING_AGE,
    begins=from_birthday(SMOKING_AGE),
    met=_status.exists & _status_in_date & (~_smoker | in_date(_advice.date, YEAR)),
    due=_smoking_due,
    renews=_smoking_due,
    evidence=[_status, _advice],
    shows=[_status.value, _status.code, _smoking_words],
    adjustments=[declined_category("smoking-cessation-intervention", among=_status_in_date)],
    source="North Central London cancer registry, row 'Smoking Status & Cessation Advice'; QOF SMOK002, SMOK004",
    unsure="Codes recorded before age 11 are ignored, as in QOF practice, so the indicator applies from 11.",
    measure="smoking-status",
)

# --- weight -----------------------------------------------------------------------------------------------------

_bmi = bmi_values().latest()
_measured = value > 0
_adult_height = events("body-height").where(_measured).on_or_after(patient.birthday(ADULT))
_weight = events("body-weight").where(_measured).where(_adult_height.exists).latest()
_weighed = maximum_of(_bmi.date, _weight.date)
_WEIGHT_INTERVAL = months(24)

weight_and_bmi = Indicator(
    "weight-and-bmi",
    title="Weight and BMI in the last 24 months",
    description=(
        "From age 18: a BMI in the last 24 months, or a weight in that time when an adult height is on record. The "
        "later of the two is shown."
    ),
    group=GROUP,
    cohort=cancer_cohort,
    applies=patient.age >= ADULT,
    begins=from_birthday(ADULT),
    met=in_date(_weighed, _WEIGHT_INTERVAL),
    due=_weighed + _WEIGHT_INTERVAL,
    renews=_weighed + _WEIGHT_INTERVAL,
    evidence=[_bmi, _weight],
    shows=later_of(_bmi, _weight),
    source="North Central London cancer registry, row 'Weight and BMI'",
    unsure="A BMI counts from 10 to 100; limits differ by source. No limits for weight and height: above 0 counts.",
    measure="body-mass-index",
)

OVERWEIGHT = 25
_diet_advice = since_diagnosis(
    events("weight-management-and-diet-advice").where_category("diet-advice-or-referral", "weight-management-referral")
).latest()

weight_advice = Indicator(
    "weight-management-and-diet-advice",
    title="Weight management and diet advice",
    description=(
        "For adults whose latest BMI is 25 or more: advice or a referral since the diagnosis. Once given it does not "
        "fall due again."
    ),
    group=GROUP,
    cohort=cancer_cohort,
    applies=(patient.age >= ADULT) & _bmi.exists & (_bmi.value >= OVERWEIGHT),
    begins=from_birthday(ADULT),
    met=_diet_advice,
    shows=[_diet_advice.code, performed(_diet_advice)],
    adjustments=[declined_category("weight-management-and-diet-advice", "diet-declined")],
    source="North Central London cancer registry, row 'Weight Management & Diet Advice'",
    unsure=(
        "The limit is 25 for everyone; lower limits by ethnicity (23 and 27.5) are not applied. Someone without a BMI "
        "is not applicable here and stands out under weight and BMI."
    ),
)

INDICATORS = [alcohol, smoking, weight_and_bmi, weight_advice]
