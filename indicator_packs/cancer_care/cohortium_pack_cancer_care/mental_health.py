"""The registry's row on depression and anxiety screening."""

from __future__ import annotations

from cohortium_pack_cancer_care.cohort import cancer_cohort
from cohortium_pack_cancer_care.phrases import YEAR, declined_category, in_date, later_of
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import events, maximum_of

__all__ = ["INDICATORS"]

_depression = events("depression-screening").where_not_category("declined").latest()
_anxiety = events("anxiety-screening").latest()
_last = maximum_of(_depression.date, _anxiety.date)

screening = Indicator(
    "depression-and-anxiety-screening",
    title="Depression and anxiety screening in the last 12 months",
    description=(
        "PHQ-2, PHQ-9, Whooley, HADS or another tool for depression, or GAD-2 or GAD-7, in the last 12 months. The "
        "tool and its score are shown."
    ),
    group="Depression and Anxiety",
    cohort=cancer_cohort,
    met=in_date(_last, YEAR),
    due=_last + YEAR,
    renews=_last + YEAR,
    evidence=[_depression, _anxiety],
    shows=later_of(_depression, _anxiety),
    adjustments=[declined_category("depression-screening")],
    source="North Central London cancer registry, row 'Depression and Anxiety Screening'",
    unsure=(
        "Whether both depression and anxiety must be screened is not settled: either counts. The old registry's due "
        "date was not counted from the result; ours is. The interval is a guess."
    ),
    measure="depression-screening",
)

INDICATORS = [screening]
