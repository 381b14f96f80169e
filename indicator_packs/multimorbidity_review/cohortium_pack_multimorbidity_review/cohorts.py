"""Who is in the registry: people with several conditions, with four categories of them, or with frailty.

Not here: the registers of conditions (`conditions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cohortium_pack_multimorbidity_review.conditions import COUNTED, Condition, by_name
from cohortium_pack_multimorbidity_review.qof_registers import two_registers
from cohortium_plugins.authoring import Cohort, Parameter
from cohortium_plugins.language import (
    BoolSeries,
    DateSeries,
    all_of,
    any_of,
    case,
    count_true,
    entry_date,
    events,
    has_codes,
    maximum_of,
    medications,
    minimum_of,
    months,
    named,
    nth_earliest,
    patient,
    when,
)

__all__ = [
    "CATEGORIES",
    "COHORTS",
    "OLDER",
    "Category",
    "categories",
    "complex_or_frailty",
    "counted",
    "fit",
    "frailty",
    "is_mild",
    "is_moderate",
    "is_severe",
    "multimorbidity",
    "since",
]

ADULT, OLDER = 18, 65

minimum = Parameter(
    "multimorbidity-minimum",
    2,
    title="Multimorbidity: how many long-term conditions make a member",
    choices=[2, 3, 4],
)

counted = named("the number of long-term conditions", count_true(*(condition.present for condition in COUNTED)))

since = nth_earliest(minimum, *(condition.since for condition in COUNTED))
"""Since when someone is a member: the day by which they had so many of the conditions that they have now."""

multimorbidity = Cohort(
    "multimorbidity",
    title="People with several long-term conditions",
    description=(
        "Adults registered and alive who have two or more long-term conditions (or three or four, as the tenant "
        "chooses): those with a QOF register, and anxiety, osteoarthritis, hypothyroidism, Parkinson's disease, "
        "multiple sclerosis and chronic liver disease. Obesity, non-diabetic hyperglycaemia, frailty and palliative "
        "care are shown and not counted. Someone is a member since the day by which they had so many of the "
        "conditions that they have now."
    ),
    members=all_of(patient.is_registered, patient.age >= ADULT, counted >= minimum),
    since=since,
    shows=[counted],
    reference=two_registers(counted, minimum),
    source="NICE NG56, QS153; North Central London long-term conditions service",
)

# --- four categories of eleven ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Category:
    """A group of conditions that counts once, whether someone has one of them, and since when."""

    title: str
    present: BoolSeries
    since: DateSeries


def _category(title: str, *conditions: Condition, lists: Mapping[str, Sequence[str]] | None = None) -> Category:
    """A category of conditions, and of further codelists (with the categories of their codes that count)."""
    frames = [events(name).where_category(*words) if words else events(name) for name, words in (lists or {}).items()]
    present = [condition.present for condition in conditions] + [frame.exists for frame in frames]
    since = [condition.since for condition in conditions] + [frame.earliest().date for frame in frames]
    first, *rest = since
    if not rest:
        return _named_category(title, present[0], first)
    return _named_category(title, any_of(*present), minimum_of(first, *rest))


def _named_category(title: str, present: BoolSeries, since: DateSeries) -> Category:
    said = title.lower()
    return Category(
        title,
        named(f"with a condition of the category {said}", present),
        named(f"since when with a condition of the category {said}", since),
    )


def _prescribed(codelist: str, *, unless: BoolSeries | None = None) -> tuple[BoolSeries, DateSeries]:
    """Whether so many were issued in 12 months, and since when; a list without codes counts nobody."""
    often, issued = 4, medications(codelist).in_last(months(12))
    present = has_codes(codelist) & (issued.count >= often)
    present = present if unless is None else present & ~unless
    return present, case(when(present).then(issued.earliest().date))


(_epilepsy,) = by_name("epilepsy")
_analgesics, _analgesics_since = _prescribed("analgesics")
_antiepileptics, _antiepileptics_since = _prescribed("antiepileptics-for-pain", unless=_epilepsy.present)

DIGESTIVE = ("peptic-ulcer-disease", "irritable-bowel-syndrome", "diverticular-disease")
CATEGORIES: Mapping[str, Category] = {
    "cancer": _category("Cancer", *by_name("cancer")),
    "circulatory": _category(
        "Circulatory",
        *by_name(
            "coronary-heart-disease",
            "atrial-fibrillation",
            "heart-failure",
            "hypertension",
            "stroke-tia",
            "peripheral-arterial-disease",
        ),
    ),
    "diabetes": _category("Diabetes", *by_name("diabetes")),
    "digestive": _category(
        "Digestive",
        *by_name("chronic-liver-disease"),
        lists={"inflammatory-bowel-disease": (), "multimorbidity-other-conditions": DIGESTIVE},
    ),
    "learning-disability": _category("Learning disability", *by_name("learning-disability")),
    "mental-health": _category("Mental health", *by_name("depression", "anxiety", "severe-mental-illness", "dementia")),
    "musculoskeletal": _category("Musculoskeletal", *by_name("rheumatoid-arthritis", "osteoarthritis", "osteoporosis")),
    "neurological": _category("Neurological", *by_name("epilepsy", "parkinsons-disease", "multiple-sclerosis")),
    "renal": _category("Renal", *by_name("chronic-kidney-disease")),
    "respiratory": _category("Respiratory", *by_name("asthma", "copd"), lists={"bronchiectasis": ()}),
    "chronic-pain": _named_category(
        "Chronic pain",
        _analgesics | _antiepileptics,
        minimum_of(_analgesics_since, _antiepileptics_since),
    ),
}

FOUR = 4
categories = named(
    "the number of categories of conditions", count_true(*(category.present for category in CATEGORIES.values()))
)
is_complex = all_of(patient.is_registered, patient.age >= ADULT, categories >= FOUR)
_complex_since = named(
    "since when with four categories of conditions",
    nth_earliest(FOUR, *(category.since for category in CATEGORIES.values())),
)

complex_multimorbidity = Cohort(
    "multimorbidity-complex",
    title="People with conditions of four categories or more",
    description=(
        "Adults registered and alive with conditions of at least 4 of 11 categories: cancer, circulatory, diabetes, "
        "digestive, learning disability, mental health (dementia among it), musculoskeletal, neurological, renal, "
        "respiratory, chronic pain (at least four analgesics, or four of certain antiepileptics without epilepsy, in "
        "12 months). A category counts once. Which conditions make a category is our own mapping. Chronic pain is "
        "known only where a tenant gives codes of these drugs."
    ),
    members=is_complex,
    since=_complex_since,
    shows=[categories],
    source="NICE IND205",
)

# --- frailty ----------------------------------------------------------------------------------------------------

_marked, _scale = events("frailty"), events("clinical-frailty-scale")


def _latest(word: str, *levels: str) -> DateSeries:
    """The latest day on which frailty of a degree was recorded, in words or as a level of the scale."""
    marked, scaled = _marked.where_category(word).latest().date, _scale.where_category(*levels).latest().date
    return named(f"the latest day of {word} frailty", maximum_of(marked, scaled))


def _not_later(than: DateSeries, day: DateSeries) -> BoolSeries:
    """Tell whether a day is known and another is not later; of one day, the higher degree counts."""
    return than.is_known & (day.is_missing | (than >= day))


fit = _scale.where_category("1", "2", "3", "4").latest().date
mild, moderate, severe = _latest("mild", "5"), _latest("moderate", "6"), _latest("severe", "7", "8", "9")
_lower = named("the latest day of no frailty or mild frailty", maximum_of(fit, mild))
is_severe = named("severely frail", _not_later(severe, maximum_of(moderate, _lower)))
is_moderate = named("moderately frail or more", is_severe | _not_later(moderate, _lower))
is_mild = named("mildly frail or more", is_moderate | _not_later(mild, fit))

_higher = [_marked.where_category("moderate", "severe"), _scale.where_category("6", "7", "8", "9")]
_frail_since = named(
    "since when moderately or severely frail",
    minimum_of(*(frame.where(_lower.is_missing | (entry_date >= _lower)).earliest().date for frame in _higher)),
)
is_frail = all_of(patient.is_registered, patient.age >= OLDER, is_moderate)

frailty = Cohort(
    "multimorbidity-frailty",
    title="People with moderate or severe frailty",
    description=(
        "People of 65 and over, registered and alive, whose latest record of frailty is moderate or severe: in words, "
        "or level 6 (moderate) or 7 to 9 (severe) of the Clinical Frailty Scale. Of several on one day the highest "
        "counts. Frailty without a degree, and scores, say nothing here."
    ),
    members=is_frail,
    since=_frail_since,
    source="NICE IND206",
)

complex_or_frailty = Cohort(
    "multimorbidity-complex-or-frailty",
    title="People with conditions of four categories, or with frailty",
    description="Everyone of the two cohorts above: those whose medicines need a structured review every year.",
    members=is_complex | is_frail,
    since=minimum_of(case(when(is_complex).then(_complex_since)), case(when(is_frail).then(_frail_since))),
    source="NICE IND207",
)

COHORTS = [multimorbidity, complex_multimorbidity, frailty, complex_or_frailty]
