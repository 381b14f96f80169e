"""The steps of the one yearly review of the whole person: preparation, results, discussion, plan, and its review."""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import multimorbidity
from cohortium_pack_multimorbidity_review.conditions import by_name
from cohortium_pack_multimorbidity_review.phrases import YEAR, declined_category, in_date
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import entry_date, events, maximum_of

__all__ = ["INDICATORS", "last_review"]

GROUP = "Yearly review"
NCL = "North Central London long-term conditions service"
SINGLE = "The codes are single concepts, meant with their descendants: expand them with a terminology server."

_planning = events("care-planning")
last_review = _planning.where_category("annual-review-completed", "plan-reviewed").latest()
"""The latest whole-person review: completed, or the plan reviewed."""

annual_review = Indicator(
    "annual-review",
    title="Whole-person review in the last 12 months",
    description=(
        "A review of the whole person was completed, or the care and support plan reviewed, in the last 12 months. The "
        "combined review template records the code of a completed review."
    ),
    group=GROUP,
    cohort=multimorbidity,
    met=last_review,
    every=YEAR,
    shows=[last_review.code],
    source="PP4M (Bristol); North Central London long-term conditions service; Wessex Cancer Alliance, March 2026",
    unsure="That a review was due in the month of birth, as some practices plan it, is not looked at.",
)

_reviewed_this_year = last_review.exists & in_date(last_review.date, YEAR)
_check = (
    _planning.where_category("check-and-test").where(~_reviewed_this_year | (entry_date <= last_review.date)).latest()
)

check_and_test = Indicator(
    "check-and-test",
    title="Checks and tests before the review",
    description=(
        "The initial assessment was recorded in the last 12 months and, where a review was done in that time, not "
        "after the latest one."
    ),
    group=GROUP,
    cohort=multimorbidity,
    met=_check,
    every=YEAR,
    shows=[_check.code],
    source=f"{NCL}, stage 1",
    unsure=SINGLE,
)

_summary = _planning.where_category("summary-shared").latest()

summary_shared = Indicator(
    "summary-shared",
    title="Results and summary shared before the discussion",
    description="A summary of results was sent to the person in the last 12 months.",
    group=GROUP,
    cohort=multimorbidity,
    met=_summary,
    every=YEAR,
    shows=[_summary.code],
    source=f"{NCL}, stage 2",
    unsure=f"That it came before the discussion is not tested. {SINGLE}",
)

_what_matters = events("what-matters-to-you").latest()

what_matters = Indicator(
    "what-matters",
    title="What matters to the person recorded",
    description="The person's own words on what matters to them were recorded in the last 12 months.",
    group=GROUP,
    cohort=multimorbidity,
    met=_what_matters,
    every=YEAR,
    shows=[_what_matters.code],
    source="PP4M (Bristol); NICE QS153",
    unsure="No code was found: a tenant fills the list with the code that its template records.",
)

_agreed = _planning.where_category("plan-agreed")

plan_agreed = Indicator(
    "care-plan-agreed",
    title="Care and support plan agreed",
    description="A personalised care and support plan was agreed in the last 12 months. A refusal is not done.",
    group=GROUP,
    cohort=multimorbidity,
    met=_agreed.latest(),
    every=YEAR,
    shows=[_agreed.latest().code],
    adjustments=[declined_category("care-planning")],
    source=f"{NCL}, stage 3",
    unsure=f"North Central London counts a refusal as done; we do not. {SINGLE}",
    measure="care-plan",
)

_plan_reviewed = _planning.where_category("plan-reviewed").on_or_after(_agreed.earliest().date).latest()
_plan_due = maximum_of(_agreed.latest().date, _plan_reviewed.date) + YEAR

plan_reviewed = Indicator(
    "care-plan-reviewed",
    title="Care and support plan reviewed",
    description=(
        "For people with an agreed plan: it was reviewed in the last 12 months. Until then it is due 12 months after "
        "it was last agreed or reviewed."
    ),
    group=GROUP,
    cohort=multimorbidity,
    applies=_agreed.exists,
    met=in_date(_plan_reviewed.date, YEAR),
    due=_plan_due,
    renews=_plan_reviewed.date + YEAR,
    evidence=[_plan_reviewed],
    shows=[_plan_reviewed.code],
    source=f"{NCL}, stage 4",
    unsure=SINGLE,
)

(_cancer,) = by_name("cancer")
_cancer_review = events("cancer-care-review").latest()

cancer_review = Indicator(
    "cancer-review",
    title="Cancer as a heading of the review",
    description="For people who are also in the cancer registry: a cancer care review in the last 12 months.",
    group=GROUP,
    cohort=multimorbidity,
    applies=_cancer.present,
    met=_cancer_review,
    every=YEAR,
    shows=[_cancer_review.code],
    source="Wessex Cancer Alliance, March 2026 (Tower Hamlets' yearly integrated review)",
    unsure="The cancer item of the review template records the code of a cancer care review.",
    measure="cancer-care-review",
)

INDICATORS = [
    annual_review,
    check_and_test,
    summary_shared,
    what_matters,
    plan_agreed,
    plan_reviewed,
    cancer_review,
]
