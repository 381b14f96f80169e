"""The registry's rows on national cancer screening: bowel, breast, cervical.

Results often reach a practice as letters, so what is missing here is "not recorded" rather than "not screened".
"""

from __future__ import annotations

from datetime import date

from cohortium_pack_cancer_care.cohort import cancer_cohort
from cohortium_pack_cancer_care.phrases import YEAR, declined_category, from_birthday
from cohortium_plugins.authoring import Indicator, adjustment
from cohortium_plugins.language import (
    BoolSeries,
    case,
    code,
    entry_date,
    events,
    index_date,
    months,
    otherwise,
    patient,
    when,
)
from cohortium_plugins.model.definition import Adjustment

__all__ = ["INDICATORS"]

GROUP = "Screening"
UNDER_RECORDED = "Results often arrive as letters: what is missing is not recorded rather than not screened. "
SITE_MATCHED = "That routine screening stops after a cancer of the same site is a proposal of our own. "


def own_cancer(site: str) -> Adjustment:
    """Give the adjustment for people who have had a cancer of the screened site at any time."""
    return adjustment(
        "own-cancer",
        "Has had a cancer of this site; routine screening does not apply",
        events("cancer-tumour-site").where_category(site).exists,
    )


def aged(first: int, last: int) -> BoolSeries:
    """Tell whether the age at the index date is from first to last, in completed years, both included."""
    return (patient.age >= first) & (patient.age <= last)


# --- bowel ------------------------------------------------------------------------------------------------------

BOWEL_FIRST, BOWEL_LAST = 50, 74
_bowel = events("bowel-screening").where_category("result-normal", "result-abnormal").latest()

bowel = Indicator(
    "bowel-screening",
    title="Bowel cancer screening in the last 24 months",
    description=(
        "From 50 until the 75th birthday: a result, normal or abnormal, in the last 24 months. Kits that were spoilt "
        "or rejected, and tests without a result, do not count."
    ),
    group=GROUP,
    cohort=cancer_cohort,
    applies=aged(BOWEL_FIRST, BOWEL_LAST),
    begins=from_birthday(BOWEL_FIRST),
    met=_bowel,
    every=months(24),
    shows=[_bowel.code, _bowel.category],
    adjustments=[own_cancer("colorectal")],
    source="NHS bowel cancer screening programme; North Central London cancer registry, row 'Screening - Bowel'",
    unsure=UNDER_RECORDED + SITE_MATCHED + "No codes for not responding were found.",
)

# --- breast -----------------------------------------------------------------------------------------------------

BREAST_FIRST, BREAST_LAST = 50, 70
_breast = events("breast-screening").where_category("done", "result-normal", "result-abnormal").latest()
_woman = case(when(patient.sex == "female").then(True), when(patient.sex == "male").then(False))  # noqa: FBT003

breast = Indicator(
    "breast-screening",
    title="Breast cancer screening in the last 36 months",
    description="For women from 50 until the 71st birthday: screening done, or a result, in the last 36 months.",
    group=GROUP,
    cohort=cancer_cohort,
    applies=aged(BREAST_FIRST, BREAST_LAST) & _woman,
    begins=from_birthday(BREAST_FIRST),
    met=_breast,
    every=months(36),
    shows=[_breast.code, _breast.category],
    adjustments=[own_cancer("breast")],
    source="NHS breast screening programme; North Central London cancer registry, row 'Screening - Breast'",
    unsure=(
        UNDER_RECORDED + SITE_MATCHED + "No codes for not attending were found. The list of breast cancers is short "
        "(14 codes). Very high risk programmes are not covered. Where sex is recorded as neither female nor male the "
        "indicator cannot be decided."
    ),
)

# --- cervical ---------------------------------------------------------------------------------------------------

CERVICAL_FIRST, CERVICAL_OLDER, CERVICAL_LAST = 25, 50, 64
HPV_NEGATIVE, HPV_POSITIVE = 888091000000108, 888111000000103
HPV_INTERVAL_START = date(2025, 7, 1)
"""From this day a clinician's sample without HPV gives people of 25 to 49 five years."""
NO_UTERUS = (416099005, 10738891000119107)
"""Among the codes for unsuitable or ceased: no uterus, and a history of total hysterectomy."""
NOT_INDICATED = 413812009
"""The other one; the parent code of exception reporting is not itself an adjustment."""
NO_RESPONSE = 1109911000000100
"""Three invitations without a response."""

_samples = events("cervical-screening").where_category("done")
_cervical = _samples.latest()
_hpv_positive = _samples.where((code == HPV_POSITIVE) & (entry_date == _cervical.date)).exists
_hpv_negative = (
    _samples.where((code == HPV_NEGATIVE) & (entry_date == _cervical.date)).on_or_after(HPV_INTERVAL_START).exists
)
_cervical_due = case(
    when(_hpv_positive).then(_cervical.date + YEAR),
    when((patient.age >= CERVICAL_OLDER) | _hpv_negative).then(_cervical.date + months(60)),
    otherwise(_cervical.date + months(36)),
)
_has_cervix = case(
    when((patient.sex == "female") | _samples.exists).then(True),  # noqa: FBT003
    when(patient.sex == "male").then(False),  # noqa: FBT003
)
_no_cervix = (
    events("hysterectomy").where_category("cervix-removed").exists
    | events("cervical-screening").where(code.is_in(*NO_UTERUS)).exists
)
_not_indicated = events("cervical-screening").where(code == NOT_INDICATED).latest()
_tested_since = _samples.where(entry_date > _not_indicated.date).exists

cervical = Indicator(
    "cervical-screening",
    title="Cervical screening in the last 36 or 60 months",
    description=(
        "For women and people with a cervix from 25 until the 65th birthday. At 25 to 49 a sample counts for 36 "
        "months, or 60 when taken from 1 July 2025 with a negative HPV result; at 50 to 64 for 60 months; with a "
        "positive HPV result for 12. Inadequate samples, refusals, invitations and recall advice do not count."
    ),
    group=GROUP,
    cohort=cancer_cohort,
    applies=aged(CERVICAL_FIRST, CERVICAL_LAST) & _has_cervix,
    begins=from_birthday(CERVICAL_FIRST),
    met=_cervical_due >= index_date,
    due=_cervical_due,
    renews=_cervical_due,
    evidence=[_cervical],
    shows=[_cervical.code],
    adjustments=[
        adjustment("no-cervix", "Has no cervix: hysterectomy, or recorded as having no uterus", _no_cervix),
        adjustment(
            "unsuitable",
            "Recorded as not needing cervical screening, with no test since",
            _not_indicated.exists & ~_tested_since,
        ),
        declined_category("cervical-screening"),
        adjustment(
            "no-response",
            "No response to three invitations, recorded in the last 12 months",
            events("cervical-screening").where(code == NO_RESPONSE).in_last(YEAR).exists,
        ),
    ],
    source="NHS cervical screening programme; QOF CS005, CS006; North Central London cancer registry",
    unsure=(
        "The old registry's due date of 1 January was not reproduced. A negative HPV result counts when it stands on "
        "the day of the latest sample; an unknown one as 36 months. A positive one gives 12 months whatever the "
        "cytology, and wins over a negative one of the same day. The tolerance of six months in CS005 and CS006 is not "
        "used. An abdominal hysterectomy without more may have left the cervix. Someone recorded as male counts when a "
        "sample is on record. A suspended recall is no adjustment."
    ),
)

INDICATORS = [bowel, breast, cervical]
