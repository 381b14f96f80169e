"""Blood pressure, blood and urine tests, for people whose conditions ask for them."""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import multimorbidity, since
from cohortium_pack_multimorbidity_review.conditions import by_name
from cohortium_pack_multimorbidity_review.phrases import YEAR, coded_refusal, in_date, later_of, recently
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import (
    BoolSeries,
    Frame,
    any_of,
    case,
    events,
    index_date,
    maximum_of,
    months,
    otherwise,
    patient,
    value,
    when,
)

__all__ = ["INDICATORS"]

GROUP = "Checks and tests"
EXCEPTIONS = (
    "Where a condition's own codes say unsuitable, dissent or invited without an answer, that adjusts the condition's "
    "review and not the test."
)


def _with(*names: str) -> BoolSeries:
    """Whether someone has one of several conditions."""
    first, *rest = (condition.present for condition in by_name(*names))
    return any_of(first, *rest)


def _measured(codelist: str) -> Frame:
    """Keep values that are numbers above 0."""
    return events(codelist).where(value > 0)


# --- blood pressure ---------------------------------------------------------------------------------------------

LOWEST, HIGHEST = 50, 300
FORTY = 40
_pairs = (
    events("blood-pressure-systolic")
    .where(value.between(LOWEST, HIGHEST))
    .on_same_day_as(_measured("blood-pressure-diastolic"))
)
_pressure = _pairs.latest()
_needs_pressure = _with(
    "hypertension",
    "diabetes",
    "coronary-heart-disease",
    "stroke-tia",
    "peripheral-arterial-disease",
    "chronic-kidney-disease",
    "severe-mental-illness",
)
_pressure_due = case(when(_needs_pressure).then(_pressure.date + YEAR), otherwise(_pressure.date + months(60)))

blood_pressure = Indicator(
    "blood-pressure",
    title="Blood pressure",
    description=(
        "A systolic and a diastolic number on one day, in the last 12 months for people with hypertension, diabetes, "
        "coronary heart disease, stroke or TIA, peripheral arterial disease, chronic kidney disease or severe mental "
        "illness; in the last 60 months for everyone else from 40 on. The systolic number is shown."
    ),
    group=GROUP,
    cohort=multimorbidity,
    applies=_needs_pressure | (patient.age >= FORTY),
    begins=case(
        when(_needs_pressure).then(since),
        otherwise(maximum_of(since, patient.birthday(FORTY))),
    ),
    met=_pressure_due >= index_date,
    due=_pressure_due,
    renews=_pressure_due,
    evidence=[_pressure],
    shows=[_pressure.value, _pressure.code],
    adjustments=[coded_refusal("bp-declined"), *recently()],
    source="QOF HYP, DM, CHD, STIA, CKD; NICE",
    unsure=(
        "60 months from 40 on is a proposal for people whose conditions do not ask for it. A systolic number counts "
        "from 50 to 300, a diastolic above 0. Of two pairs on one day the last entry counts; QOF takes the lowest of "
        f"the day. {EXCEPTIONS}"
    ),
)

# --- blood and urine --------------------------------------------------------------------------------------------

TESTED = "A number above 0 counts. "

_lowest, _highest = 10, 250
_hba1c = events("hba1c").where(value.between(_lowest, _highest)).latest()

hba1c = Indicator(
    "hba1c",
    title="HbA1c in the last 12 months",
    description="For people with diabetes or non-diabetic hyperglycaemia: an HbA1c in mmol/mol in the last 12 months.",
    group=GROUP,
    cohort=multimorbidity,
    applies=_with("diabetes", "non-diabetic-hyperglycaemia"),
    met=_hba1c,
    every=YEAR,
    shows=[_hba1c.value, _hba1c.code],
    adjustments=[coded_refusal("blood-test-declined"), *recently()],
    source="QOF DM, NDH",
    unsure=f"A value counts from 10 to 250 mmol/mol; limits differ by source. Values in per cent do not. {EXCEPTIONS}",
)

_egfr, _creatinine = _measured("egfr").latest(), _measured("creatinine").latest()
_kidney = maximum_of(_egfr.date, _creatinine.date)

kidney_function = Indicator(
    "kidney-function",
    title="Kidney function in the last 12 months",
    description=(
        "For people with diabetes, chronic kidney disease, hypertension or heart failure: an eGFR or a serum "
        "creatinine in the last 12 months. The later is shown."
    ),
    group=GROUP,
    cohort=multimorbidity,
    applies=_with("diabetes", "chronic-kidney-disease", "hypertension", "heart-failure"),
    met=in_date(_kidney, YEAR),
    due=_kidney + YEAR,
    renews=_kidney + YEAR,
    evidence=[_egfr, _creatinine],
    shows=later_of(_egfr, _creatinine),
    adjustments=[coded_refusal("blood-test-declined"), *recently()],
    source="NICE care processes",
    unsure=TESTED + EXCEPTIONS,
)

_ratio = _measured("urine-albumin-creatinine-ratio").latest()

urine_acr = Indicator(
    "urine-acr",
    title="Urine albumin to creatinine ratio in the last 12 months",
    description="For people with diabetes or chronic kidney disease: a ratio in mg/mmol in the last 12 months.",
    group=GROUP,
    cohort=multimorbidity,
    applies=_with("diabetes", "chronic-kidney-disease"),
    met=_ratio,
    every=YEAR,
    shows=[_ratio.value, _ratio.code],
    adjustments=recently(),
    source="NICE care processes",
    unsure=f"{TESTED}Results below what a laboratory can measure often come without a number. {EXCEPTIONS}",
)

_cholesterol = _measured("cholesterol-total").latest()
_ldl = events("lipids").where_category("ldl").where(value > 0).latest()
_lipids = maximum_of(_cholesterol.date, _ldl.date)

cholesterol = Indicator(
    "cholesterol",
    title="Cholesterol in the last 12 months",
    description=(
        "For people with diabetes, coronary heart disease, stroke or TIA, peripheral arterial disease, chronic kidney "
        "disease or severe mental illness: total cholesterol, or low density cholesterol, in the last 12 months."
    ),
    group=GROUP,
    cohort=multimorbidity,
    applies=_with(
        "diabetes",
        "coronary-heart-disease",
        "stroke-tia",
        "peripheral-arterial-disease",
        "chronic-kidney-disease",
        "severe-mental-illness",
    ),
    met=in_date(_lipids, YEAR),
    due=_lipids + YEAR,
    renews=_lipids + YEAR,
    evidence=[_cholesterol, _ldl],
    shows=later_of(_cholesterol, _ldl),
    adjustments=[coded_refusal("blood-test-declined"), *recently()],
    source="QOF CHOL; NICE",
    unsure=f"High density cholesterol, ratios and triglycerides alone do not count. {TESTED}{EXCEPTIONS}",
)

INDICATORS = [blood_pressure, hba1c, kidney_function, urine_acr, cholesterol]
