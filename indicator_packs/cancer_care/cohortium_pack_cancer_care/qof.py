"""The three quality indicators of QOF and NICE, retired from QOF on 1 April 2025 and kept as quality indicators.

Not here: the registry's own rows on the same subjects, which have no window (`cancer_care`).
"""

from __future__ import annotations

from cohortium_pack_cancer_care.cohort import cancer_cohort, diagnosis, new_diagnosis
from cohortium_pack_cancer_care.phrases import YEAR, performed
from cohortium_plugins.authoring import Indicator, adjustment, declined, unsuitable
from cohortium_plugins.language import (
    BoolSeries,
    days,
    events,
    index_date,
    months,
    patient,
    season_start,
)
from cohortium_plugins.model.definition import Adjustment

__all__ = ["INDICATORS"]

GROUP = "QOF and NICE"
ORDER = (
    "Met is tested first, so that someone reviewed is counted whatever adjustments exist. "
    "People diagnosed too recently are no adjustment here: while the window is open they are due, and a rate leaves "
    "out those who are due."
)


def adjustments(answered: BoolSeries) -> list[Adjustment]:
    """Give the adjustments in the order in which QOF tests them. `answered`: whether the invitations were answered."""
    return [
        unsuitable("cancer-care-unsuitable"),
        declined("cancer-care-declined"),
        adjustment(
            "no-response",
            "Invited twice in the QOF year, at least 7 days apart, without an answer",
            _second_invitation.exists & ~answered,
        ),
        adjustment(
            "registered-recently",
            "Registered in the last 3 months",
            patient.registered_since >= index_date - months(3),
        ),
    ]


_invitations = events("cancer-care-invitation").on_or_after(season_start(index_date, 4, 1))
_first_invitation = _invitations.earliest()
_second_invitation = _invitations.on_or_after(_first_invitation.date + days(7)).earliest()
_reviewed_since = events("cancer-care-review").on_or_after(_first_invitation.date).exists
_supported_since = events("cancer-support-discussed").on_or_after(_first_invitation.date).exists

register = Indicator(
    "can001-cancer-register",
    title="On the QOF cancer register",
    description="Everyone in the registry is on the cancer register. Shown to reconcile the registry with QOF.",
    group=GROUP,
    cohort=cancer_cohort,
    met=diagnosis,
    shows=[diagnosis.code],
    source="QOF 2024/25 CAN001; NICE IND250",
    measure="cancer-register",
)

_review_due = new_diagnosis.date + YEAR
_review = events("cancer-care-review").between(new_diagnosis.date, _review_due).earliest()

care_review = Indicator(
    "can004-care-review-12-months",
    title="Cancer care review within 12 months of diagnosis",
    description=(
        "For people with a new cancer diagnosis in the last 24 months: a cancer care review from the day of diagnosis "
        f"to 12 months after it. {ORDER}"
    ),
    group=GROUP,
    cohort=cancer_cohort,
    applies=new_diagnosis.exists & (new_diagnosis.date >= index_date - months(24)),
    met=_review,
    due=_review_due,
    shows=[_review.code],
    adjustments=adjustments(_reviewed_since),
    source="QOF 2024/25 CAN004; NICE IND223",
    unsure=(
        "That a structured template was used cannot be seen in codes. Secondary rows do not start a new clock, though "
        "NICE says 'latest new diagnosis'. The groups of tumour sites are short (breast has 14 codes): cancers whose "
        "codes are in none count as one site together, unless the feed carries the episode type. A review counts as "
        "the answer to invitations from the first one of the QOF year on."
    ),
)

_support_due = new_diagnosis.date + days(93)
_support = events("cancer-support-discussed").between(new_diagnosis.date, _support_due).earliest()

support = Indicator(
    "can005-support-within-3-months",
    title="Support from primary care offered within 3 months of diagnosis",
    description=(
        "For people with a new cancer diagnosis in the last 12 months: support discussed, or information about it "
        f"given, from the day of diagnosis to 93 days after it. {ORDER}"
    ),
    group=GROUP,
    cohort=cancer_cohort,
    applies=new_diagnosis.exists & (new_diagnosis.date >= index_date - YEAR),
    met=_support,
    due=_support_due,
    shows=[_support.code, performed(_support)],
    adjustments=adjustments(_supported_since | _reviewed_since),
    source="QOF 2024/25 CAN005; NICE IND222",
    unsure=(
        "The codes (CANPCSUPP_COD) were not found: a tenant fills the list. QOF looks back 15 months so that a late "
        "diagnosis still gets its 93 days; for a whole year's rate count only people whose 93 days have passed."
    ),
)

INDICATORS = [register, care_review, support]
