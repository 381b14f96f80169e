"""Screening for depression and for anxiety."""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import multimorbidity
from cohortium_pack_multimorbidity_review.conditions import by_name
from cohortium_pack_multimorbidity_review.phrases import YEAR, declined_category
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import events

__all__ = ["INDICATORS"]

GROUP = "Mental health"

(_depressed,) = by_name("depression")
_screened = events("depression-screening").where_not_category("declined").latest()

depression_screening = Indicator(
    "depression-screening",
    title="Depression screening in the last 12 months",
    description=(
        "For people who are not on the depression register: PHQ-2, PHQ-9, Whooley or another tool in the last 12 "
        "months. The score is shown; a PHQ-9 of 10 or more asks for follow-up."
    ),
    group=GROUP,
    cohort=multimorbidity,
    applies=~_depressed.present,
    met=_screened,
    every=YEAR,
    shows=[_screened.value, _screened.code],
    adjustments=[declined_category("depression-screening")],
    source="3D trial; NICE",
    unsure="The interval is not settled. The list holds the ten most used codes of the refset, and a few more.",
    measure="depression-screening",
)

_anxiety = events("anxiety-screening").latest()

anxiety_screening = Indicator(
    "anxiety-screening",
    title="Anxiety screening in the last 12 months",
    description="GAD-2, GAD-7 or the hospital scale in the last 12 months. The score is shown.",
    group=GROUP,
    cohort=multimorbidity,
    met=_anxiety,
    every=YEAR,
    shows=[_anxiety.value, _anxiety.code],
    source="A proposal of our own",
    unsure="No outside authority asks for it. The code of the GAD-2 score was not found.",
)

INDICATORS = [depression_screening, anxiety_screening]
