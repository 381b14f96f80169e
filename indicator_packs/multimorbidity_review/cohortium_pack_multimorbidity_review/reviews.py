"""The yearly review of each condition, and all of them in one appointment."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cohortium_pack_multimorbidity_review.cohorts import multimorbidity
from cohortium_pack_multimorbidity_review.phrases import YEAR, qof_adjustments
from cohortium_pack_multimorbidity_review.reviews_due import (
    REVIEWS,
    Review,
    earliest_review,
    latest_review,
    needed,
    reviewed,
)
from cohortium_plugins.authoring import Indicator, Parameter
from cohortium_plugins.language import case, count_true, days_between, when
from cohortium_plugins.model.definition import Indicator as Made

__all__ = ["INDICATORS"]

GROUP = "Condition reviews"
ALL = ("unsuitable", "dissent", "invitation")
CODES: Mapping[str, Collection[str]] = {
    "chronic-liver-disease": (),
    "epilepsy": ("invitation",),
}
"""Where the adjustment list has not all three kinds of codes for a condition."""
UNSURE: Mapping[str, str] = {
    "copd": "QOF in 2026/27 asks for review, MRC grade and exacerbations: a review code alone is less.",
    "diabetes": "QOF in 2026/27 asks for several components: a review code alone is less.",
    "heart-failure": (
        "The list holds monitoring, self-management, initial assessment and education: wider than a yearly review."
    ),
    "peripheral-arterial-disease": "No codes for the review were found: a tenant fills the list.",
    "chronic-liver-disease": "No codes for the review, or for exceptions, were found: a tenant fills the list.",
}


def _indicator(review: Review) -> Made:
    condition, latest = review.condition, review.recorded.latest()
    return Indicator(
        f"review-{condition.name}",
        title=f"{condition.title}: yearly review",
        description=(
            f"For people on the register: a review of this condition in the last 12 months. {condition.rule} Met is "
            "tested first, so that someone reviewed is counted whatever adjustments exist."
        ),
        group=GROUP,
        cohort=multimorbidity,
        applies=condition.present,
        met=latest,
        every=YEAR,
        shows=[latest.code],
        adjustments=qof_adjustments(
            condition.name,
            since=condition.since,
            found=CODES.get(condition.name, ALL),
        ),
        source="QOF; North Central London long-term conditions service",
        unsure=" ".join(
            text
            for text in (
                condition.unsure,
                UNSURE.get(condition.name, ""),
                "Any entry since the first invitation answers it.",
            )
            if text
        ),
    )


within = Parameter(
    "combined-within-days",
    28,
    title="One appointment: reviews within how many days of each other count as one",
    choices=[14, 28, 56],
)
_never = count_true(*(review.asked & review.latest.is_missing for review in REVIEWS))
_together = days_between(earliest_review, latest_review) <= within
SEVERAL = 2

combined = Indicator(
    "combined-appointment",
    title="All condition reviews in one appointment",
    description=(
        "For people with two or more conditions that have a yearly review: every one of them was reviewed in the last "
        "12 months, all within 28 days of each other (or as the tenant chooses). The number shown is how many are due."
    ),
    group=GROUP,
    cohort=multimorbidity,
    applies=reviewed >= SEVERAL,
    met=(needed == 0) & _together,
    due=case(when((_never == 0) & _together).then(earliest_review + YEAR)),
    renews=earliest_review + YEAR,
    date=latest_review,
    shows=[needed],
    source="A proposal of our own, after PP4M (Bristol)",
    unsure=(
        "No outside authority defines it. Conditions whose review has no codes are left out. The review of a condition "
        "that someone no longer has is not looked at."
    ),
)

INDICATORS = [combined, *map(_indicator, REVIEWS)]
