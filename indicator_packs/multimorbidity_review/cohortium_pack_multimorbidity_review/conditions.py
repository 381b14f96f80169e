"""The registers of long-term conditions: who is on each, and since when.

QOF's registers as of business rules v50, and the conditions that North Central London counts beside them. Ages at which
QOF's registers begin (asthma 6, diabetes 17, the others 18) are not tested, for nobody here is under 18. Not here: how
many make a member (`cohorts`), and what is looked at (the modules of indicators).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cohortium_plugins.language import (
    BoolSeries,
    DateSeries,
    Frame,
    Pick,
    all_of,
    any_of,
    case,
    entry_date,
    episode,
    events,
    has_codes,
    maximum_of,
    medications,
    minimum_of,
    months,
    named,
    otherwise,
    patient,
    value,
    when,
)

__all__ = [
    "CANCER_START", "COUNTED", "DEPRESSION_START", "SHOWN", "Condition", "bmi_values", "by_name",
    "depression_episodes", "earliest_since",
]  # fmt: skip

CANCER_START = date(2003, 4, 1)
"""The first day whose cancers QOF counts (CAN001), as in the cancer care registry."""
DEPRESSION_START = date(2006, 4, 1)
PALLIATIVE_START = date(2008, 4, 1)


def _lower(title: str) -> str:
    """Give a title as it stands within a sentence: names of people and abbreviations keep their capitals."""
    return title if title.isupper() or title.startswith("Parkinson") else title[:1].lower() + title[1:]


@dataclass(frozen=True)
class Condition:
    """A long-term condition: whether someone is on its register (`rule_of`), since when (`start`, of someone who is),
    and the entry shown for it (or another).
    """

    name: str
    title: str
    rule_of: BoolSeries
    start: DateSeries
    entry: Pick
    rule: str
    unsure: str = ""
    other: Pick | None = None

    @property
    def present(self) -> BoolSeries:
        """Whether someone is on the register, by its name."""
        return named(f"on the register of {_lower(self.title)}", self.rule_of)

    @property
    def since(self) -> DateSeries:
        """Since when someone who is on the register is; unknown for anyone else."""
        return named(f"since when on the register of {_lower(self.title)}", case(when(self.present).then(self.start)))


def _ever(name: str, title: str, codelist: str = "", unsure: str = "") -> Condition:
    found = events(codelist or name)
    rule = f"{title}: recorded at any time; never resolved."
    return Condition(name, title, found.exists, found.earliest().date, found.latest(), rule, unsure)


def _unresolved(
    name: str, title: str, *, of: Frame | None = None, besides: BoolSeries | None = None, more: str = ""
) -> Condition:
    """The latest diagnosis is strictly later than any resolved code; since the first one later than that."""
    found = events(name) if of is None else of
    resolved = events(f"{name}-resolved")
    present = found.exists & (~resolved.exists | (found.latest().date > resolved.latest().date))
    again = found.where(~resolved.exists | (entry_date > resolved.latest().date)).earliest()
    rule = f"{title}: the latest diagnosis is later than any resolved code{more}."
    return Condition(name, title, present if besides is None else present & besides, again.date, found.latest(), rule)


def _first_or_new(frame: Frame) -> Frame:
    """Keep entries that begin an episode; where the feed has lost the episode type, all of them."""
    return frame.where(episode.is_missing | episode.is_in("first", "new"))


# --- of QOF -----------------------------------------------------------------------------------------------------

NO_EXIT = "No resolved codes were found, so nobody leaves the register"

asthma = _unresolved(
    "asthma",
    "Asthma",
    besides=medications("asthma-treatment").in_last(months(12)).exists,
    more=", and an asthma drug was issued in the last 12 months",
)

_af, _af_resolved = events("atrial-fibrillation"), events("atrial-fibrillation-resolved")
_af_again = _af.where(~_af_resolved.exists | (entry_date > _af_resolved.latest().date)).earliest()
atrial_fibrillation = Condition(
    "atrial-fibrillation",
    "Atrial fibrillation",
    _af.exists
    & any_of(
        ~has_codes("atrial-fibrillation-resolved"),
        ~_af_resolved.exists,
        _af.latest().date > _af_resolved.latest().date,
    ),
    case(
        when(has_codes("atrial-fibrillation-resolved")).then(_af_again.date),
        when(_af.exists).then(_af.earliest().date),
    ),
    _af.latest(),
    "Atrial fibrillation: the latest diagnosis is later than any resolved code.",
    f"{NO_EXIT} until a tenant gives its own (AFIBRES_COD).",
)

_cancer = _first_or_new(events("cancer-diagnosis")).on_or_after(CANCER_START)
cancer = Condition(
    "cancer",
    "Cancer",
    _cancer.exists,
    _cancer.earliest().date,
    _cancer.latest(),
    "Cancer: a first or new episode on or after 1 April 2003; never resolved. The same rule as that of the cancer care "
    "registry.",
    "Where the feed carries no episode type, every entry counts.",
)

coronary_heart_disease = _ever("coronary-heart-disease", "Coronary heart disease")

_ckd = events("chronic-kidney-disease")
_ckd_early, _ckd_resolved = events("chronic-kidney-disease-stage-1-2"), events("chronic-kidney-disease-resolved")
chronic_kidney_disease = Condition(
    "chronic-kidney-disease",
    "Chronic kidney disease",
    all_of(
        _ckd.exists,
        ~_ckd_early.exists | (_ckd.latest().date > _ckd_early.latest().date),
        ~_ckd_resolved.exists | (_ckd.latest().date > _ckd_resolved.latest().date),
    ),
    _ckd.where(~_ckd_early.exists | (entry_date > _ckd_early.latest().date))
    .where(~_ckd_resolved.exists | (entry_date > _ckd_resolved.latest().date))
    .earliest()
    .date,
    _ckd.latest(),
    "Chronic kidney disease: the latest code of stage 3 to 5 is later than any of stage 1 or 2 and any resolved code.",
)

copd = _unresolved("copd", "COPD")
dementia = _ever("dementia", "Dementia")

depression_episodes = _first_or_new(events("depression")).on_or_after(DEPRESSION_START)
"""Entries of depression that QOF counts."""
depression = _unresolved(
    "depression",
    "Depression",
    of=depression_episodes,
    more=", counting first and new episodes from 1 April 2006 on",
)

diabetes = _unresolved("diabetes", "Diabetes")

epilepsy = _unresolved(
    "epilepsy",
    "Epilepsy",
    besides=~has_codes("epilepsy-treatment") | medications("epilepsy-treatment").in_last(months(6)).exists,
    more=", and an epilepsy drug was issued in the last 6 months",
)

heart_failure = _unresolved("heart-failure", "Heart failure")
hypertension = _unresolved("hypertension", "Hypertension")

_disability = events("learning-disability")
_removed_later = events("learning-disability-removed").where(entry_date > _disability.latest().date).exists
learning_disability = Condition(
    "learning-disability",
    "Learning disability",
    _disability.exists & (~has_codes("learning-disability-removed") | ~_removed_later),
    _disability.earliest().date,
    _disability.latest(),
    "Learning disability: recorded at any time, with no removal code after the latest entry.",
    f"{NO_EXIT} until a tenant gives its own (LDREM_COD).",
)

FIFTY, SEVENTY_FIVE = 50, 75
_osteoporosis, _fracture = events("osteoporosis"), events("fragility-fracture")
_fractures_at_50, _fractures_at_75 = (_fracture.on_or_after(date(year, 4, 1)) for year in (2012, 2014))
_scanned = ~has_codes("dxa-osteoporosis") | events("dxa-osteoporosis").exists
_between_50_and_74 = (patient.age >= FIFTY) & (patient.age < SEVENTY_FIVE)
osteoporosis = Condition(
    "osteoporosis",
    "Osteoporosis",
    _osteoporosis.exists
    & any_of(
        all_of(_between_50_and_74, _fractures_at_50.exists, _scanned),
        (patient.age >= SEVENTY_FIVE) & _fractures_at_75.exists,
    ),
    maximum_of(
        _osteoporosis.earliest().date,
        case(
            when(patient.age < SEVENTY_FIVE).then(_fractures_at_50.earliest().date),
            otherwise(_fractures_at_75.earliest().date),
        ),
    ),
    _osteoporosis.latest(),
    "Osteoporosis: diagnosed, with a fragility fracture: from 50 to 74 one on or after 1 April 2012 and a DXA scan "
    "that confirms it, from 75 on one on or after 1 April 2014.",
    "No codes for a DXA scan were found: until a tenant gives its own, none is asked for.",
)

peripheral_arterial_disease = _ever("peripheral-arterial-disease", "Peripheral arterial disease")

SIXTEEN = 16
_arthritis = events("rheumatoid-arthritis")
rheumatoid_arthritis = Condition(
    "rheumatoid-arthritis",
    "Rheumatoid arthritis",
    _arthritis.exists & (patient.age_on(_arthritis.earliest().date) >= SIXTEEN),
    _arthritis.earliest().date,
    _arthritis.latest(),
    "Rheumatoid arthritis: recorded at any time, first at the age of 16 or over.",
)

_psychosis, _lithium = events("severe-mental-illness"), medications("lithium").in_last(months(6))
severe_mental_illness = Condition(
    "severe-mental-illness",
    "Severe mental illness",
    _psychosis.exists | (has_codes("lithium") & _lithium.exists),
    minimum_of(_psychosis.earliest().date, case(when(has_codes("lithium")).then(_lithium.earliest().date))),
    _psychosis.latest(),
    "Severe mental illness: recorded at any time (remission does not remove), or lithium in the last 6 months.",
    "No codes for lithium were found: until a tenant gives its own, it puts nobody on the register. That it was "
    "stopped is not looked for.",
)

_stroke, _tia = events("stroke"), events("transient-ischaemic-attack")
stroke_tia = Condition(
    "stroke-tia",
    "Stroke or TIA",
    _stroke.exists | _tia.exists,
    minimum_of(_stroke.earliest().date, _tia.earliest().date),
    _stroke.latest(),
    "Stroke or transient ischaemic attack: recorded at any time; never resolved. The two are one condition.",
    other=_tia.latest(),
)

# --- counted by North Central London, without a QOF register ----------------------------------------------------

ONLY_GROWS = "There is no resolved code, so the register only grows; NICE counts treated or recent disease."
anxiety = _ever("anxiety", "Anxiety", "anxiety-disorder", f"The list is wide, symptoms included. {ONLY_GROWS}")
osteoarthritis = _ever("osteoarthritis", "Osteoarthritis", unsure=ONLY_GROWS)
hypothyroidism = _ever("hypothyroidism", "Hypothyroidism", unsure=ONLY_GROWS)
parkinsons_disease = _ever("parkinsons-disease", "Parkinson's disease")
multiple_sclerosis = _ever("multiple-sclerosis", "Multiple sclerosis")
chronic_liver_disease = _ever("chronic-liver-disease", "Chronic liver disease", unsure=ONLY_GROWS)

# --- shown, and not counted -------------------------------------------------------------------------------------

EIGHTEEN = 18
_glycaemia = events("non-diabetic-hyperglycaemia")
non_diabetic_hyperglycaemia = Condition(
    "non-diabetic-hyperglycaemia",
    "Non-diabetic hyperglycaemia",
    all_of(_glycaemia.exists, patient.age_on(_glycaemia.earliest().date) >= EIGHTEEN, ~diabetes.present),
    _glycaemia.earliest().date,
    _glycaemia.latest(),
    "Non-diabetic hyperglycaemia: recorded at any time, first at the age of 18 or over, in someone not on the diabetes "
    "register.",
    "The list has one code: those for impaired glucose tolerance and pre-diabetes were not found.",
)

OBESE, OBESE_BY_BACKGROUND = 30, 27.5
BACKGROUNDS = ("H", "J", "K", "L", "M", "N", "P", "R")
"""Letters of ethnic groups: Indian, Pakistani, Bangladeshi, other Asian, Caribbean, African, other Black, Chinese."""


def bmi_values() -> Frame:
    """Give body mass indexes with a plausible number: 10 to 100 kg/m2 (sources differ, 5 to 400 in one)."""
    lowest, highest = 10, 100
    return events("bmi-value").where(value.between(lowest, highest))


_bmi = bmi_values().latest()
obesity = Condition(
    "obesity",
    "Obesity",
    _bmi.exists
    & any_of(
        _bmi.value >= OBESE,
        (_bmi.value >= OBESE_BY_BACKGROUND) & patient.ethnicity.is_in(*BACKGROUNDS),
    ),
    _bmi.date,
    _bmi,
    "Obesity: the latest BMI is 30 or more, or 27.5 or more for people of a South Asian, Chinese, other Asian, Black "
    "African or African-Caribbean background.",
    "QOF names Middle Eastern backgrounds too, which the groups in the record do not tell apart.",
)

_palliative = events("palliative-care").on_or_after(PALLIATIVE_START)
_not_now = events("palliative-care-no-longer-indicated").where(entry_date > _palliative.latest().date)
palliative_care = Condition(
    "palliative-care",
    "Palliative care",
    _palliative.exists & ~_not_now.exists,
    _palliative.earliest().date,
    _palliative.latest(),
    "Palliative care: recorded on or after 1 April 2008, with no later code that it is not indicated.",
)

COUNTED: Sequence[Condition] = (
    asthma,
    atrial_fibrillation,
    cancer,
    coronary_heart_disease,
    chronic_kidney_disease,
    copd,
    dementia,
    depression,
    diabetes,
    epilepsy,
    heart_failure,
    hypertension,
    learning_disability,
    osteoporosis,
    peripheral_arterial_disease,
    rheumatoid_arthritis,
    severe_mental_illness,
    stroke_tia,
    anxiety,
    osteoarthritis,
    hypothyroidism,
    parkinsons_disease,
    multiple_sclerosis,
    chronic_liver_disease,
)
"""The conditions of which two, three or four make a member."""

SHOWN: Sequence[Condition] = (non_diabetic_hyperglycaemia, obesity, palliative_care)
"""Conditions that are shown and not counted."""

_BY_NAME = {condition.name: condition for condition in (*COUNTED, *SHOWN)}


def by_name(*names: str) -> Sequence[Condition]:
    """Give conditions by name, in the order named."""
    return [_BY_NAME[name] for name in names]


def earliest_since(conditions: Sequence[Condition]) -> DateSeries:
    """Since when someone has the first of several conditions that they have."""
    first, *rest = (condition.since for condition in conditions)
    return minimum_of(first, *rest)
