"""Frailty, and falls of people with it."""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import OLDER, frailty, multimorbidity, since
from cohortium_pack_multimorbidity_review.phrases import YEAR, in_date, later_of
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import events, maximum_of, patient

__all__ = ["INDICATORS"]

GROUP = "Frailty"

_marked = events("frailty").where_category("efi-score", "mild", "moderate", "severe").latest()
_scale = events("clinical-frailty-scale").latest()
_assessed = maximum_of(_marked.date, _scale.date)

frailty_assessed = Indicator(
    "frailty-assessed",
    title="Frailty assessed in the last 12 months",
    description=(
        "From 65 on: the electronic Frailty Index, a degree of frailty, or a level of the Clinical Frailty Scale in "
        "the last 12 months. Frailty without a degree does not count."
    ),
    group=GROUP,
    cohort=multimorbidity,
    applies=patient.age >= OLDER,
    begins=maximum_of(since, patient.birthday(OLDER)),
    met=in_date(_assessed, YEAR),
    due=_assessed + YEAR,
    renews=_assessed + YEAR,
    evidence=[_marked, _scale],
    shows=later_of(_marked, _scale),
    source="NICE IND206; GP contract",
)

_falls = events("falls")

falls_asked = Indicator(
    "falls-asked",
    title="Falls asked about in the last 12 months",
    description=(
        "For people with moderate or severe frailty: a fall recorded, or asked about, in the last 12 months. The "
        "number shown is on how many days of them one was recorded."
    ),
    group=GROUP,
    cohort=frailty,
    met=_falls.latest(),
    every=YEAR,
    shows=[_falls.in_last(YEAR).count_days, _falls.latest().code],
    source="NICE IND208",
    unsure="Codes for having asked were not found: a tenant adds its own, and until then only falls are seen.",
)

INDICATORS = [frailty_assessed, falls_asked]
