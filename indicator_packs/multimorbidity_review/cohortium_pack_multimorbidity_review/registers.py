"""The registers that someone is on, as rows: since when, by which entry. They are met whenever they apply."""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import multimorbidity
from cohortium_pack_multimorbidity_review.conditions import COUNTED, SHOWN, Condition
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import coalesce
from cohortium_plugins.model.definition import Indicator as Made

__all__ = ["INDICATORS"]

GROUP = "Conditions"
SAME_MEASURE = {"cancer": "cancer-register"}


def _indicator(condition: Condition) -> Made:
    counted = "" if condition in COUNTED else " It is shown, and does not count towards membership."
    code = condition.entry.code if condition.other is None else coalesce(condition.entry.code, condition.other.code)
    return Indicator(
        f"condition-{condition.name}",
        title=condition.title,
        description=f"{condition.rule}{counted} The date is that since when, the code that of the latest entry.",
        group=GROUP,
        cohort=multimorbidity,
        applies=condition.present,
        met=condition.present,
        date=condition.since,
        evidence=[condition.entry, *(() if condition.other is None else (condition.other,))],
        shows=[code],
        source="QOF business rules v50; North Central London long-term conditions service",
        unsure=condition.unsure,
        measure=SAME_MEASURE.get(condition.name, ""),
    )


INDICATORS = [_indicator(condition) for condition in (*COUNTED, *SHOWN)]
