"""Planned care: screening, vaccination, reviews, frailty, and facts recorded once.

Here: rows without values for the most part. Not here: measurements (`routine.py`), cancer care (`cancer_rows.py`).
"""

from __future__ import annotations

import numpy as np

from cohortium_platform.synthetic.arrays import Days, Flags, Index
from cohortium_platform.synthetic.codes import sampler
from cohortium_platform.synthetic.places import ETHNIC_GROUPS
from cohortium_platform.synthetic.population import People
from cohortium_platform.synthetic.rows import EventRows
from cohortium_platform.synthetic.traits import YEARS_OF_HISTORY, Life, Yearly

__all__ = ["add_care_rows", "flu_days"]

_GROUP_NAMES = {
    "A": "White - British",
    "B": "White - Irish",
    "C": "White - Any other White background",
    "D": "Mixed - White and Black Caribbean",
    "E": "Mixed - White and Black African",
    "F": "Mixed - White and Asian",
    "G": "Mixed - Any other mixed background",
    "H": "Asian or Asian British - Indian",
    "J": "Asian or Asian British - Pakistani",
    "K": "Asian or Asian British - Bangladeshi",
    "L": "Asian or Asian British - Any other Asian background",
    "M": "Black or Black British - Caribbean",
    "N": "Black or Black British - African",
    "P": "Black or Black British - Any other Black background",
    "R": "Other Ethnic Groups - Chinese",
    "S": "Other Ethnic Groups - Any other ethnic group",
}
_REVIEWED = {
    "asthma": ("asthma",),
    "atrial-fibrillation": ("atrial-fibrillation",),
    "chronic-kidney-disease": ("chronic-kidney-disease",),
    "copd": ("copd",),
    "coronary-heart-disease": ("coronary-heart-disease",),
    "dementia": ("dementia",),
    "depression": ("depression",),
    "diabetes": ("diabetes",),
    "epilepsy": ("epilepsy",),
    "heart-failure": ("heart-failure",),
    "hypertension": ("hypertension",),
    "stroke-tia": ("stroke", "transient-ischaemic-attack"),
}
_FRAIL_AGE = 65
_SEPTEMBER = 8


def _between(yearly: Yearly, at: tuple[Index, Days], low: float, high: float) -> tuple[Index, Days]:
    """Keep events at ages from low up to, not including, high."""
    age = yearly.age(*at)
    kept = (age >= low) & (age < high)
    return at[0][kept], at[1][kept]


def _screening(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add cervical, breast and bowel screening at the programmes' ages and intervals, with some other outcomes."""
    traits, yearly = life.traits, life.yearly
    womb_removed = ~traits.male & (traits.age > 48) & (rng.random(len(traits.age)) < 0.07)
    removed = np.flatnonzero(womb_removed).astype(np.int32)
    when = (yearly.today - rng.integers(200, 6000, len(removed))).astype(np.int32)
    rows.add(removed, when, sampler("hysterectomy").draw(rng, len(removed)))
    invited = ~traits.male & ~womb_removed
    for low, high, every in ((24.6, 50, 3), (50, 65, 5)):
        person, day = _between(yearly, yearly.draw(rng, np.where(invited, 0.72, 0), every=every), low, high)
        rows.add(person, day, sampler("cervical-screening", "done").draw(rng, len(person)))
        person, day = _between(yearly, yearly.draw(rng, np.where(invited, 0.12, 0), every=every), low, high)
        other = sampler("cervical-screening", "no-response", "declined", "recall-advice", "inadequate")
        rows.add(person, day, other.draw(rng, len(person)))
    person, day = _between(yearly, yearly.draw(rng, np.where(traits.male, 0, 0.66), every=3), 50, 71)
    rows.add(person, day, sampler("breast-screening").draw(rng, len(person)))
    person, day = _between(yearly, yearly.draw(rng, np.full(len(traits.age), 0.62), every=2), 56, 75)
    rows.add(person, day, sampler("bowel-screening", "result-normal").draw(rng, len(person)))
    person, day = _between(yearly, yearly.draw(rng, np.full(len(traits.age), 0.09), every=2), 56, 75)
    other = sampler("bowel-screening", "result-abnormal", "inadequate", "no-result", without="cancer detected")
    rows.add(person, day, other.draw(rng, len(person)))


def flu_days(rng: np.random.Generator, life: Life, at_risk: Flags) -> tuple[Index, Days]:
    """Draw who was vaccinated against influenza on which day of which season (September to January)."""
    age, yearly = life.traits.age, life.yearly
    share = np.select([age >= _FRAIL_AGE, at_risk & (age >= 2), age < 11], [0.74, 0.45, 0.38], 0.05)
    willing = np.clip(share[:, None] + rng.normal(0, 0.12, (len(age), 1)), 0, 0.97) * yearly.thinned
    person, season = np.nonzero(rng.random((len(age), YEARS_OF_HISTORY)) < willing)
    this_year = int(np.array(yearly.today, dtype="datetime64[D]").astype("datetime64[Y]").astype(np.int64))
    months = ((this_year - season) * 12 + _SEPTEMBER).astype("datetime64[M]")
    start = months.astype("datetime64[D]").astype(np.int32)
    day = start + 5 + np.minimum(rng.gamma(2.0, 20, len(person)), 140).astype(np.int32)
    return person.astype(np.int32), day.astype(np.int32)


def _reviews(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add medication reviews, annual reviews of each condition, and care plans."""
    traits, yearly, conditions = life.traits, life.yearly, life.conditions
    chance = np.clip(0.03 + 0.2 * np.minimum(traits.long_term, 3.5) + 0.15 * (traits.age >= _FRAIL_AGE), 0, 0.85)
    person, day = yearly.draw(rng, chance)
    rows.add(person, day, sampler("medication-review").draw(rng, len(person)))
    many = np.where((traits.long_term >= 4) & (traits.age >= _FRAIL_AGE), 0.22, 0.005)
    person, day = yearly.draw(rng, many)
    rows.add(person, day, sampler("structured-medication-review").draw(rng, len(person)))
    for category, names in _REVIEWED.items():
        person, day = yearly.draw(rng, np.where(conditions.has(*names), 0.62, 0.0))
        rows.add(person, day, sampler("ltc-annual-review", category).draw(rng, len(person)))
    person, day = yearly.draw(rng, np.where(traits.long_term >= 2, 0.14, 0.0))
    rows.add(person, day, sampler("care-planning").draw(rng, len(person)))


def _later_life(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add frailty (worse with age and conditions) and falls."""
    traits, yearly = life.traits, life.yearly
    old = traits.age >= _FRAIL_AGE
    burden = traits.long_term + (traits.age - _FRAIL_AGE) / 7 + rng.normal(0, 1, len(traits.age))
    for category, low, high in (("mild", 2.5, 4.5), ("moderate", 4.5, 6.5), ("severe", 6.5, np.inf)):
        mine = old & (burden >= low) & (burden < high)
        person, day = yearly.draw(rng, np.where(mine, 0.2, 0.0))
        rows.add(person, day, sampler("frailty", category).draw(rng, len(person)))
    person, day = yearly.draw(rng, np.where(old, 0.06, 0.004))
    rows.add(person, day, sampler("falls").draw(rng, len(person)))


def _once(rng: np.random.Generator, share: float, people: People) -> tuple[Index, Days]:
    """Choose people for whom something was recorded once, on some day since they registered."""
    person = np.flatnonzero(rng.random(people.size) < share).astype(np.int32)
    start = people.origin_start[person]
    room = np.maximum(people.last[person] - start, 1)
    return person, (start + np.minimum(rng.random(len(person)) ** 3, 0.999) * room).astype(np.int32)


def _facts(rng: np.random.Generator, rows: EventRows, people: People) -> None:
    """Add ethnic group, language, carer status and contact details as coded entries."""
    person, day = _once(rng, 0.82, people)
    for place, letter in enumerate(ETHNIC_GROUPS):
        if letter in _GROUP_NAMES:
            mine = people.ethnicity[person] == place
            draw = sampler("ethnicity-16-groups", _GROUP_NAMES[letter]).draw
            rows.add(person[mine], day[mine], draw(rng, int(mine.sum())))
    for name, share in (("preferred-language", 0.3), ("carer-status", 0.04), ("contact-details", 0.2)):
        person, day = _once(rng, share, people)
        rows.add(person, day, sampler(name).draw(rng, len(person)))


def add_care_rows(rng: np.random.Generator, rows: EventRows, life: Life, flu: tuple[Index, Days]) -> None:
    """Add all planned care of a block's people; `flu` as `flu_days` drew it."""
    traits, yearly = life.traits, life.yearly
    _screening(rng, rows, life)
    rows.add(flu[0], flu[1], sampler("flu-vaccination", without="second|midwife|school").draw(rng, len(flu[0])))
    _reviews(rng, rows, life)
    _later_life(rng, rows, life)
    _facts(rng, rows, life.people)
    expecting = ~traits.male & (traits.age > 18) & (traits.age < 50)
    person, day = _between(yearly, yearly.draw(rng, np.where(expecting, 0.07, 0.0)), 18, 43)
    rows.add(person, day, sampler("pregnancy", without="fetus|twin|neoplasm|leuk|carcin").draw(rng, len(person)))
