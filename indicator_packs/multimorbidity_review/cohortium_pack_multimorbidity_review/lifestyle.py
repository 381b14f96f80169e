"""Smoking, alcohol, body mass index, activity and diet."""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import multimorbidity
from cohortium_pack_multimorbidity_review.conditions import bmi_values
from cohortium_pack_multimorbidity_review.phrases import YEAR, declined_category, in_date, later_of
from cohortium_pack_multimorbidity_review.yearly_review import last_review
from cohortium_plugins.authoring import Indicator, adjustment
from cohortium_plugins.language import (
    Frame,
    case,
    category,
    code,
    entry_date,
    events,
    minimum_of,
    otherwise,
    patient,
    value,
    when,
)

__all__ = ["INDICATORS"]

GROUP = "Lifestyle"

# --- smoking ----------------------------------------------------------------------------------------------------

SMOKING_AGE = 11
AMOUNTS = (230056004, 230057008, 230058003, 266918002, 836001000000109)
"""Codes among the current smokers that state an amount (cigarettes, cigars, pipe, any tobacco, waterpipe): 0 is no
smoker."""

_statuses = events("smoking-status").on_or_after(patient.birthday(SMOKING_AGE))
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

smoking = Indicator(
    "smoking-status-and-advice",
    title="Smoking status, and advice for smokers, in the last 12 months",
    description=(
        "Smoking status in the last 12 months and, for those who smoke, advice or referral in the last 12 months. "
        "Someone recorded as a non-smoker after being recorded as smoking is an ex-smoker."
    ),
    group=GROUP,
    cohort=multimorbidity,
    met=_status_in_date & (~_smoker | in_date(_advice.date, YEAR)),
    due=_smoking_due,
    renews=_smoking_due,
    evidence=[_status, _advice],
    shows=[
        _status.value,
        _status.code,
        case(
            when(_smoker).then("current"),
            when(_smoked_earlier).then("ex"),
            when(_status.category == "current").then("non-smoker-history-unknown"),
            otherwise(_status.category),
        ),
    ],
    adjustments=[declined_category("smoking-cessation-intervention", among=_status_in_date)],
    source="QOF SMOK002; NICE IND97, IND156",
    unsure="Codes recorded before age 11 are ignored, as in QOF practice.",
    measure="smoking-status",
)

# --- alcohol ----------------------------------------------------------------------------------------------------

ALCOHOL_AGE = 16
_alcohol = (
    events("alcohol-consumption").where_not_category("declined").on_or_after(patient.birthday(ALCOHOL_AGE)).latest()
)

alcohol = Indicator(
    "alcohol",
    title="Alcohol use in the last 12 months",
    description=(
        "AUDIT, AUDIT-C, units or a drinking category in the last 12 months. The number shown is a score or units; the "
        "code says which, and whether a day or a week."
    ),
    group=GROUP,
    cohort=multimorbidity,
    met=_alcohol,
    every=YEAR,
    shows=[_alcohol.value, _alcohol.code, _alcohol.category],
    adjustments=[declined_category("alcohol-consumption")],
    source="NICE IND201, IND202",
    unsure="Codes recorded before age 16 are ignored, as in QOF practice.",
    measure="alcohol-use",
)

# --- weight, activity, diet -------------------------------------------------------------------------------------

_bmi = bmi_values().latest()

bmi = Indicator(
    "bmi",
    title="BMI in the last 12 months",
    description="A body mass index in the last 12 months.",
    group=GROUP,
    cohort=multimorbidity,
    met=_bmi,
    every=YEAR,
    shows=[_bmi.value, _bmi.code],
    source="NICE IND320",
    unsure="A BMI counts from 10 to 100; limits differ by source. The cancer care registry asks every 24 months.",
    measure="body-mass-index",
)


def _since_review(frame: Frame) -> Frame:
    """Keep what was recorded since the last whole-person review; everything where there is none."""
    return frame.where(last_review.date.is_missing | (entry_date >= last_review.date))


_activity = _since_review(events("physical-activity-advice").where_category("advice-or-referral")).latest()
_diet = _since_review(
    events("weight-management-and-diet-advice").where_category("diet-advice-or-referral", "weight-management-referral")
).latest()
_refused = (
    events("physical-activity-advice").where_category("declined").in_last(YEAR).exists
    | events("weight-management-and-diet-advice").where_category("diet-declined").in_last(YEAR).exists
)

activity_and_diet = Indicator(
    "activity-and-diet-advice",
    title="Advice on physical activity or diet since the last review",
    description=(
        "Advice on physical activity or on diet and weight, or a referral, on the day of the last whole-person review "
        "or since; at any time where there was no review. It does not fall due on a day."
    ),
    group=GROUP,
    cohort=multimorbidity,
    met=_activity.exists | _diet.exists,
    evidence=[_activity, _diet],
    shows=[later_of(_activity, _diet)[1]],
    adjustments=[adjustment("declined", "Declined in the last 12 months", _refused)],
    source="North Central London long-term conditions service",
    unsure="Either kind of advice counts; whether both are asked for is not settled. Some codes have no term.",
)

INDICATORS = [smoking, alcohol, bmi, activity_and_diet]
