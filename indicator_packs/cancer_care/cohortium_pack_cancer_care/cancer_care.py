"""The registry's Cancer Care rows: reviews, plans, assessments, support and treatment since the diagnosis.

"Since the diagnosis" is since the one that made the person a member; a second cancer does not start these anew.
Not here: the timed QOF indicators on review and support (`qof`).
"""

from __future__ import annotations

from cohortium_pack_cancer_care.cohort import cancer_cohort
from cohortium_pack_cancer_care.phrases import (
    YEAR,
    declined_category,
    in_date,
    performed,
    since_diagnosis,
    smoking_statuses,
)
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import all_of, case, count_true, events, minimum_of, text, when

__all__ = ["INDICATORS", "TREATMENTS"]

GROUP = "Cancer Care"
SECOND_CANCER = "Counted since the diagnosis that made the person a member; a second cancer does not start it anew."
TREATMENTS = ("chemotherapy-or-systemic", "radiotherapy", "chemoradiotherapy")
"""Categories of `cancer-treatment` that are treatment given; planning, referral and follow-up are not."""

_adherence_plan = since_diagnosis(events("cancer-adherence-care-plan")).latest()

adherence_care_plan = Indicator(
    "adherence-care-plan",
    title="Adherence care plan",
    description="A plan for keeping to treatment was agreed since the diagnosis, and in the last 12 months.",
    group=GROUP,
    cohort=cancer_cohort,
    met=_adherence_plan,
    every=YEAR,
    shows=[_adherence_plan.code],
    source="North Central London cancer registry, row 'Cancer Care - Adherence Care Plan'",
    unsure=(
        "No code was found, and what was meant is not known (adherence to hormone therapy and oral drugs is likely). "
        "The interval of 12 months is a guess. " + SECOND_CANCER
    ),
)

_parts = [
    events("cancer-care-review").latest(),
    events("cancer-holistic-needs-assessment").latest(),
    events("care-planning").where_category("plan-agreed", "plan-reviewed").latest(),
    events("medication-review").latest(),
    smoking_statuses().latest(),
]
_parts_in_date = [in_date(part.date, YEAR) for part in _parts]

comprehensive_review = Indicator(
    "comprehensive-review",
    title="Comprehensive review",
    description=(
        "Each of five parts in the last 12 months: cancer care review, holistic needs assessment, care plan, "
        "medication review, smoking status. The number shown is how many are in date."
    ),
    group=GROUP,
    cohort=cancer_cohort,
    met=all_of(*(part.exists for part in _parts), *_parts_in_date),
    renews=minimum_of(*(part.date for part in _parts)) + YEAR,
    evidence=_parts,
    shows=[count_true(*_parts_in_date), text(f"of {len(_parts)} parts")],
    source="North Central London cancer registry, row 'Cancer Care - Comprehensive Review'",
    unsure=(
        "Which parts make it up is a proposal of our own; the old registry did not say. A smoking status from before "
        "age 11 is ignored, as in QOF practice."
    ),
)

_summary = since_diagnosis(events("cancer-end-of-treatment-summary")).latest()

end_of_treatment_summary = Indicator(
    "end-of-treatment-summary",
    title="End of treatment summary received",
    description="A summary of treatment has arrived since the diagnosis. Once there it does not fall due again.",
    group=GROUP,
    cohort=cancer_cohort,
    met=_summary,
    shows=[_summary.code],
    source="North Central London cancer registry, row 'Cancer Care - End of Treatment Summary'",
    unsure=(
        "It should be due from the end of the first course of treatment, but no code for the end of a course was "
        "found, so it is due from joining the registry. " + SECOND_CANCER
    ),
)

_assessment = since_diagnosis(events("cancer-holistic-needs-assessment")).latest()

holistic_needs_assessment = Indicator(
    "holistic-needs-assessment",
    title="Holistic needs assessment",
    description="A holistic needs assessment since the diagnosis, and who did it. Once done it is not due again.",
    group=GROUP,
    cohort=cancer_cohort,
    met=_assessment,
    shows=[_assessment.code, _assessment.source],
    source="North Central London cancer registry, row 'Cancer Care - Holistic Needs Assessment'",
    unsure=(
        "The national ambition, within 31 days of diagnosis and 6 weeks of the end of treatment, is not tested. "
        + SECOND_CANCER
    ),
)

_medication_review = events("medication-review").latest()

medication_review = Indicator(
    "medication-review",
    title="Medication review in the last 12 months",
    description="A medication review of any kind in the last 12 months, structured reviews included.",
    group=GROUP,
    cohort=cancer_cohort,
    met=_medication_review,
    every=YEAR,
    shows=[_medication_review.code],
    source="North Central London cancer registry, row 'Cancer Care - Medication Review'; refset MEDRVW_COD",
    unsure=(
        "The day shown as due is the last day in date; the old registry showed the day after for lapsed reviews. The "
        "national list counts 'Medication review without patient'."
    ),
    measure="medication-review",
)

_plan_agreed = since_diagnosis(events("care-planning")).where_category("plan-agreed")
_plan = since_diagnosis(events("care-planning")).where_category("plan-agreed", "plan-reviewed").latest()
_plan_renews = _plan.date + YEAR

care_plan = Indicator(
    "care-plan",
    title="Care plan agreed, and reviewed in the last 12 months",
    description=(
        "A personalised care and support plan was agreed since the diagnosis, and agreed again or reviewed in the last "
        "12 months. A plan reviewed but never agreed does not count."
    ),
    group=GROUP,
    cohort=cancer_cohort,
    met=_plan_agreed.exists & in_date(_plan.date, YEAR),
    due=case(when(_plan_agreed.exists).then(_plan_renews)),
    renews=_plan_renews,
    evidence=[_plan],
    shows=[_plan.code],
    adjustments=[declined_category("care-planning")],
    source="North Central London cancer registry, row 'Cancer Care - Plan'; NCL long-term conditions service",
    unsure="The codes are of care planning in general, not of cancer. The interval is a guess. " + SECOND_CANCER,
    measure="care-plan",
)

_care_review = since_diagnosis(events("cancer-care-review")).latest()

care_review = Indicator(
    "care-review",
    title="Cancer care review",
    description="A cancer care review at any time since the diagnosis. CAN004 is the indicator with a window.",
    group=GROUP,
    cohort=cancer_cohort,
    met=_care_review,
    shows=[_care_review.code],
    source="North Central London cancer registry, row 'Cancer Care - Review'",
    unsure=SECOND_CANCER,
    measure="cancer-care-review",
)

_support = since_diagnosis(events("cancer-support-discussed")).latest()

support_discussed = Indicator(
    "support-discussed",
    title="Support discussed",
    description="Support was discussed at any time since the diagnosis. CAN005 is the indicator with a window.",
    group=GROUP,
    cohort=cancer_cohort,
    met=_support,
    shows=[_support.code, performed(_support)],
    source="North Central London cancer registry, row 'Cancer Care - Support Discussed'",
    unsure="The codes (CANPCSUPP_COD) were not found: a tenant fills the list. " + SECOND_CANCER,
)

_treatment = since_diagnosis(events("cancer-treatment")).where_category(*TREATMENTS).latest()

treatments_coded = Indicator(
    "treatments-coded",
    title="Treatments coded",
    description="Chemotherapy, radiotherapy or both coded since the diagnosis, and which. Planning is not treatment.",
    group=GROUP,
    cohort=cancer_cohort,
    met=_treatment,
    shows=[_treatment.code, _treatment.category],
    source="North Central London cancer registry, row 'Cancer Care - Treatments Coded'",
    unsure="Surgery and hormone treatment are not in the list. " + SECOND_CANCER,
)

INDICATORS = [
    adherence_care_plan,
    comprehensive_review,
    end_of_treatment_summary,
    holistic_needs_assessment,
    medication_review,
    care_plan,
    care_review,
    support_discussed,
    treatments_coded,
]
