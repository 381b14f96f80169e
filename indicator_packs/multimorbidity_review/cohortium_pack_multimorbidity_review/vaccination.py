"""Influenza vaccination, for people who are eligible for a free vaccine.

Who is eligible, and from which day of the season, follows the programme of 2025/26.
"""

from __future__ import annotations

from cohortium_pack_multimorbidity_review.cohorts import multimorbidity
from cohortium_pack_multimorbidity_review.conditions import bmi_values, by_name
from cohortium_pack_multimorbidity_review.phrases import YEAR
from cohortium_plugins.authoring import Indicator
from cohortium_plugins.language import (
    Pick,
    any_of,
    case,
    days,
    entry_date,
    events,
    index_date,
    medications,
    months,
    otherwise,
    patient,
    season_start,
    when,
)

__all__ = ["INDICATORS"]

_season = season_start(index_date, 9, 1)
_season_closes = _season + months(7)
"""1 April: nobody is vaccinated from then to 31 August."""

# --- eligible from 1 September ----------------------------------------------------------------------------------

ADULT, OLDER = 18, 65
_pregnancy = events("pregnancy").latest()
_pregnant = (
    _pregnancy.exists
    & (_pregnancy.date >= index_date - months(9))
    & ~events("pregnancy-or-delivery").where(entry_date > _pregnancy.date).exists
)
_minor = patient.age_on(_season) < ADULT

# --- clinical risk ----------------------------------------------------------------------------------------------


TREATMENTS = ("chemotherapy-or-systemic", "radiotherapy", "chemoradiotherapy")
"""Categories of `cancer-treatment` that are treatment given; planning, referral and follow-up are not."""
SEVERE_OBESITY = 40
_bmi: Pick = bmi_values().latest()
_severely_obese = events("severe-obesity").exists | (_bmi.exists & (_bmi.value >= SEVERE_OBESITY))
_clinical_risk = any_of(
    *(
        events(f"clinical-risk-{group}").exists
        for group in ("respiratory", "heart", "kidney", "liver", "neurological", "asplenia", "immunosuppression")
    ),
    events("cancer-diagnosis-haematological").exists,
    events("cancer-treatment").where_category(*TREATMENTS).in_last(months(6)).exists,
    events("learning-disability").exists,
    *(condition.present for condition in by_name("diabetes", "asthma")),
    _severely_obese,
)

# --- eligible from 1 October ------------------------------------------------------------------------------------

_carer = events("carer-status").where_category("carer").latest()
_carer_now = _carer.exists & ~events("carer-status").where_category("not-carer").where(entry_date >= _carer.date).exists
_eligible = any_of(
    _pregnant,
    patient.age_on(_season_closes + days(-1)) >= OLDER,
    events("care-home-resident").exists,
    _carer_now,
    _clinical_risk,
)

_eligible_from = case(when(_pregnant | _minor).then(_season), otherwise(_season + months(1)))
_due = case(when(index_date >= _season_closes).then(_season + YEAR), otherwise(_eligible_from))

# --- the indicator ----------------------------------------------------------------------------------------------

_given = events("flu-vaccination").on_or_after(_season).latest()
_issued = medications("flu-vaccine-product").on_or_after(_season).latest()

flu = Indicator(
    "flu-vaccination",
    title="Influenza vaccination this season",
    description=(
        "Vaccinated since the last 1 September; next due on the one after. Those not vaccinated are due on the day "
        "from which they can be (1 September when pregnant or under 18, otherwise 1 October), overdue from the day "
        "after until 31 March, and from April due on the next 1 September. Only people eligible for a free vaccine "
        "are counted: those at clinical risk, 65 or over by 31 March, pregnant, carers, or living in a care home."
    ),
    group="Vaccination",
    cohort=multimorbidity,
    applies=_eligible,
    met=_given.exists | _issued.exists,
    due=_due,
    renews=_season + YEAR,
    evidence=[_given, _issued],
    shows=[
        case(
            when(_given.date.is_missing | (_issued.date > _given.date)).then(_issued.code),
            otherwise(_given.code),
        )
    ],
    source="National influenza immunisation programme 2025/26; NICE IND152",
    unsure=(
        "Not covered, for want of codes: household contacts of people with immunosuppression, frontline carers, "
        "admissions for asthma, immunosuppressive drugs, refusals. A cancer diagnosis alone is not a risk group; "
        "chemotherapy, radiotherapy in the last 6 months or blood cancer is. A pregnancy code holds for 9 months "
        "unless a later one says that it ended."
    ),
    measure="flu-vaccination",
)

INDICATORS = [flu]
