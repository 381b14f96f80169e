"""The registry's row on influenza vaccination.

Who is eligible, and from which day of the season, follows the programme of 2025/26.
"""

from __future__ import annotations

from cohortium_pack_cancer_care.cancer_care import TREATMENTS
from cohortium_pack_cancer_care.cohort import cancer_cohort
from cohortium_pack_cancer_care.phrases import YEAR, bmi_values
from cohortium_plugins.authoring import Indicator, Parameter
from cohortium_plugins.language import (
    BoolSeries,
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

eligible_only = Parameter(
    "flu-eligible-only",
    False,  # noqa: FBT003 - the parameter's default
    title="Influenza vaccination: count only people eligible for a free vaccine",
    choices=[False, True],
)

# --- eligible from 1 September ----------------------------------------------------------------------------------

ADULT, TODDLER, LEAVES_SCHOOL, OLDER = 18, 2, 15, 65
_pregnancy = events("pregnancy").latest()
_pregnant = (
    _pregnancy.exists
    & (_pregnancy.date >= index_date - months(9))
    & ~events("pregnancy-or-delivery").where(entry_date > _pregnancy.date).exists
)
_minor = patient.age_on(_season) < ADULT
_age_before_season = patient.age_on(_season + days(-1))
_child = (_age_before_season >= TODDLER) & (_age_before_season <= LEAVES_SCHOOL)

# --- clinical risk ----------------------------------------------------------------------------------------------


def unresolved(condition: str, resolved: str) -> BoolSeries:
    """Tell whether the latest diagnosis is strictly later than any resolved code."""
    diagnosed = events(condition).latest()
    return diagnosed.exists & ~events(resolved).where(entry_date >= diagnosed.date).exists


SEVERE_OBESITY = 40
_bmi: Pick = bmi_values().latest()
_severely_obese = (patient.age >= ADULT) & (
    events("severe-obesity").exists | (_bmi.exists & (_bmi.value >= SEVERE_OBESITY))
)
_clinical_risk = any_of(
    *(
        events(f"clinical-risk-{group}").exists
        for group in ("respiratory", "heart", "kidney", "liver", "neurological", "asplenia", "immunosuppression")
    ),
    events("cancer-diagnosis-haematological").exists,
    events("cancer-treatment").where_category(*TREATMENTS).in_last(months(6)).exists,
    events("learning-disability").exists,
    unresolved("diabetes", "diabetes-resolved"),
    unresolved("asthma", "asthma-resolved") & medications("asthma-treatment").in_last(YEAR).exists,
    _severely_obese,
)

# --- eligible from 1 October ------------------------------------------------------------------------------------

_carer = events("carer-status").where_category("carer").latest()
_carer_now = _carer.exists & ~events("carer-status").where_category("not-carer").where(entry_date >= _carer.date).exists
_eligible = any_of(
    _pregnant,
    _child,
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
        "after until 31 March, and from April due on the next 1 September. All members are shown unless the "
        "tenant counts only people eligible for a free vaccine."
    ),
    group="Vaccination",
    cohort=cancer_cohort,
    applies=~eligible_only | _eligible,
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
    source="National influenza immunisation programme 2025/26; North Central London cancer registry; NICE IND152",
    unsure=(
        "A cancer diagnosis alone is not a risk group; chemotherapy, radiotherapy in the last 6 months or blood cancer "
        "is. Not covered, for want of codes: household contacts of people with immunosuppression, frontline carers, "
        "admissions for asthma, immunosuppressive drugs, refusals. Living in a care home is counted once coded. A "
        "pregnancy code holds for 9 months unless a later one says that it ended. School age is taken as up to 15 on "
        "31 August."
    ),
    measure="flu-vaccination",
)

INDICATORS = [flu]
