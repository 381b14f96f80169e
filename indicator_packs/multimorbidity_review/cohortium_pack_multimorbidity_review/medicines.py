"""Reviews of medicines."""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import complex_or_frailty, multimorbidity
from cohortium_pack_multimorbidity_review.phrases import YEAR
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import events

__all__ = ["INDICATORS"]

GROUP = "Medicines"

_review = events("medication-review").latest()

medication_review = Indicator(
    "medication-review",
    title="Medication review in the last 12 months",
    description="A medication review of any kind in the last 12 months, structured reviews included.",
    group=GROUP,
    cohort=multimorbidity,
    met=_review,
    every=YEAR,
    shows=[_review.code],
    source="QOF; PP4M (Bristol); refset MEDRVW_COD",
    unsure="The national list counts 'Medication review without patient'.",
    measure="medication-review",
)

_structured = events("structured-medication-review").latest()

structured_review = Indicator(
    "structured-medication-review",
    title="Structured medication review in the last 12 months",
    description=(
        "For people with conditions of four categories or more, or with moderate or severe frailty: a structured "
        "medication review in the last 12 months."
    ),
    group=GROUP,
    cohort=complex_or_frailty,
    met=_structured,
    every=YEAR,
    shows=[_structured.code],
    source="NICE IND207",
)

INDICATORS = [medication_review, structured_review]
