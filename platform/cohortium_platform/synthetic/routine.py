"""Routine measurements and habits: blood pressure, weight, blood tests, smoking, alcohol, mood scores.

Here: rows with values and their units. Not here: screening, vaccination and reviews (`care.py`).
"""

from __future__ import annotations

import numpy as np

from cohortium_platform.synthetic.arrays import Days, Index, Values
from cohortium_platform.synthetic.codes import sampler
from cohortium_platform.synthetic.rows import EventRows
from cohortium_platform.synthetic.traits import CURRENT, Life, Traits

__all__ = ["add_routine_rows"]

_ADULT, _DRINKING_AGE, _SMOKING_AGE = 18, 16, 11
_NOT_A_STATUS = "consumption|minutes|reason|date|time since|weeks|untrue|before pregnancy|less than 1 year"
_CIGARETTES = 230056004
_UNITS_A_WEEK = 1082641000000106
_AUDIT_C = 763256006
_PHQ9, _GAD7 = 720433000, 445455005
_OLD_UNIT = 0.004


def _chance(traits: Traits, young: float, middle: float, old: float, ill: float) -> Values:
    """Give a yearly chance by age, raised for people with long-term conditions and those seen often."""
    base = np.interp(traits.age, (0, 17, 18, 39, 45, 64, 70), (0.01, 0.02, young, young, middle, middle, old))
    some = np.minimum(traits.long_term, 3) / 3
    return np.clip((base + (ill - base) * some) * (0.6 + 0.4 * traits.seen), 0, 0.97)


def _add(
    rng: np.random.Generator, rows: EventRows, at: tuple[Index, Days], name: str, measured: tuple[Values, str]
) -> None:
    rows.add(at[0], at[1], sampler(name).draw(rng, len(at[0])), measured=measured)


def _blood_pressure(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add pairs; people with circulatory disease are measured more than once a year."""
    traits, yearly = life.traits, life.yearly
    usual = np.where(traits.circulatory | traits.diabetic, 0.88, _chance(traits, 0.14, 0.3, 0.55, 0.6))
    extra = np.where(traits.circulatory, 0.55, 0.04)
    for chance in (usual, extra, extra * 0.6):
        person, day = yearly.draw(rng, chance)
        age = yearly.age(person, day)
        high = traits.circulatory[person] * 9
        top = np.rint(108 + 0.32 * np.minimum(age, 80) + high + rng.normal(0, 12, len(person)))
        bottom = np.rint(
            np.minimum(66 + 0.12 * np.minimum(age, 60) + high / 2 + rng.normal(0, 8, len(person)), top - 15)
        )
        _add(rng, rows, (person, day), "blood-pressure-systolic", (np.clip(top, 80, 230), "mm[Hg]"))
        _add(rng, rows, (person, day), "blood-pressure-diastolic", (np.clip(bottom, 40, 130), "mm[Hg]"))


def _build(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add weight, sometimes height, and body mass index."""
    traits, yearly = life.traits, life.yearly
    person, day = yearly.draw(rng, _chance(traits, 0.2, 0.28, 0.42, 0.75))
    age = yearly.age(person, day)
    bmi = np.clip(traits.bmi_at(age, person) + rng.normal(0, 0.7, len(person)), 11, 65)
    height = traits.height_at(age, person)
    _add(rng, rows, (person, day), "body-weight", (np.round(bmi * (height / 100) ** 2, 1), "kg"))
    tall = rng.random(len(person)) < 0.6
    _add(rng, rows, (person[tall], day[tall]), "body-height", (np.rint(height[tall]), "cm"))
    grown = (age >= _ADULT) & (rng.random(len(person)) < 0.92)
    _add(rng, rows, (person[grown], day[grown]), "bmi-value", (np.round(bmi[grown], 1), "kg/m2"))


def _smoking(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add smoking status, cigarettes a day for some, and advice to most current smokers."""
    traits, yearly = life.traits, life.yearly
    person, day = yearly.draw(rng, _chance(traits, 0.27, 0.33, 0.45, 0.85))
    old_enough = yearly.age(person, day) >= _SMOKING_AGE
    person, day = person[old_enough], day[old_enough]
    state = traits.smoking[person]
    for number, categories in enumerate((("never",), ("ex",), ("current",))):
        mine = state == number
        draw = sampler("smoking-status", *categories, without=_NOT_A_STATUS).draw
        rows.add(person[mine], day[mine], draw(rng, int(mine.sum())))
    counted = (state == CURRENT) & (rng.random(len(person)) < 0.25)
    cigarettes = np.clip(np.rint(rng.gamma(2.5, 5, int(counted.sum()))), 1, 60)
    rows.add(person[counted], day[counted], _CIGARETTES, measured=(cigarettes, "{cigarettes}/d"))
    advised = (state == CURRENT) & (rng.random(len(person)) < 0.7)
    advice = sampler("smoking-cessation-intervention", "given", without="pregnan").draw(rng, int(advised.sum()))
    rows.add(person[advised], day[advised] + rng.integers(0, 3, int(advised.sum()), dtype=np.int32), advice)
    refused = (state == CURRENT) & ~advised & (rng.random(len(person)) < 0.3)
    code = sampler("smoking-cessation-intervention", "declined").draw(rng, int(refused.sum()))
    rows.add(person[refused], day[refused], code)


def _alcohol(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add AUDIT-C scores, weekly units or a category of drinking."""
    traits, yearly = life.traits, life.yearly
    person, day = yearly.draw(rng, _chance(traits, 0.2, 0.26, 0.36, 0.62))
    old_enough = yearly.age(person, day) >= _DRINKING_AGE
    person, day = person[old_enough], day[old_enough]
    units = np.maximum(np.rint(traits.units[person] * rng.uniform(0.7, 1.3, len(person))), 0)
    kind = rng.random(len(person))
    scored, counted = kind < 0.45, (kind >= 0.45) & (kind < 0.75)
    score = np.clip(np.rint(np.sqrt(units[scored]) * 1.5 + rng.normal(0, 1, int(scored.sum()))), 0, 12)
    rows.add(person[scored], day[scored], _AUDIT_C, measured=(score, "{score}"))
    rows.add(person[counted], day[counted], _UNITS_A_WEEK, measured=(units[counted], "{units}/wk"))
    edges = (0.5, 14.5, 34.5)
    band = np.searchsorted(edges, units, side="right")
    for number, category in enumerate(("non-drinker", "low-risk", "increasing-risk", "higher-risk")):
        mine = (band == number) & ~scored & ~counted
        rows.add(person[mine], day[mine], sampler("alcohol-consumption", category).draw(rng, int(mine.sum())))


def _blood(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add HbA1c (a few in the old unit), cholesterol, kidney function and urine albumin."""
    traits, yearly, conditions = life.traits, life.yearly, life.conditions
    at_risk = conditions.has("non-diabetic-hyperglycaemia")
    usual = _chance(traits, 0.06, 0.2, 0.32, 0.4)
    for chance in (
        np.where(traits.diabetic, 0.92, np.where(at_risk, 0.72, usual)),
        np.where(traits.diabetic, 0.55, 0.01),
    ):
        person, day = yearly.draw(rng, chance)
        level = np.where(traits.diabetic[person], 56, np.where(at_risk[person], 43.5, 36))
        value = np.clip(np.rint(level + rng.gamma(2, np.where(traits.diabetic[person], 6, 1.2)) - 2), 20, 160)
        old = rng.random(len(person)) < _OLD_UNIT
        _add(rng, rows, (person[~old], day[~old]), "hba1c", (value[~old], "mmol/mol"))
        percent = np.round(value[old] * 0.0915 + 2.15, 1)
        _add(rng, rows, (person[old], day[old]), "hba1c-dcct-old-unit", (percent, "%"))
    treated = traits.diabetic | traits.circulatory
    person, day = yearly.draw(rng, np.where(treated, 0.72, usual))
    total = np.clip(np.round(rng.normal(5.1 - 0.9 * treated[person], 1.0), 1), 2.2, 10)
    _add(rng, rows, (person, day), "cholesterol-total", (total, "mmol/L"))
    kidney = conditions.has("chronic-kidney-disease")
    person, day = yearly.draw(rng, np.where(treated, 0.8, usual))
    rate = (
        118 - 0.75 * np.maximum(yearly.age(person, day) - 20, 0) - 22 * kidney[person] + rng.normal(0, 11, len(person))
    )
    rate = np.clip(np.rint(rate), 8, 120)
    creatinine = np.rint(np.clip(6400 / rate * (0.85 + 0.3 * traits.male[person]), 35, 700))
    _add(rng, rows, (person, day), "egfr", (rate, "mL/min/{1.73_m2}"))
    _add(rng, rows, (person, day), "creatinine", (creatinine, "umol/L"))
    person, day = yearly.draw(rng, np.where(traits.diabetic | kidney, 0.62, 0.02))
    albumin = np.round(rng.gamma(0.8, 2.5, len(person)) + 0.3, 1)
    _add(rng, rows, (person, day), "urine-albumin-creatinine-ratio", (albumin, "mg/mmol"))


def _mood(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add PHQ-9 and GAD-7 scores, mostly on one day, and other screening."""
    traits, yearly = life.traits, life.yearly
    person, day = yearly.draw(rng, np.where(traits.mental, 0.34, np.where(traits.long_term > 1, 0.12, 0.03)))
    low = yearly.age(person, day) >= _DRINKING_AGE
    person, day = person[low], day[low]
    sad = np.where(traits.mental[person], 9.0, 3.5)
    phq = np.clip(np.rint(rng.gamma(1.6, sad / 1.6)), 0, 27)
    rows.add(person, day, _PHQ9, measured=(phq, "{score}"))
    both = rng.random(len(person)) < 0.5
    gad = np.clip(np.rint(phq[both] * 0.7 + rng.normal(0, 2, int(both.sum()))), 0, 21)
    rows.add(person[both], day[both], _GAD7, measured=(gad, "{score}"))
    person, day = yearly.draw(rng, np.where(traits.age >= _ADULT, 0.03 + 0.04 * (traits.long_term > 0), 0.0))
    rows.add(person, day, sampler("depression-screening", "screening-done", "declined").draw(rng, len(person)))


def add_routine_rows(rng: np.random.Generator, rows: EventRows, life: Life) -> None:
    """Add all routine measurements of a block's people."""
    traits, yearly = life.traits, life.yearly
    for part in (_blood_pressure, _build, _smoking, _alcohol, _blood, _mood):
        part(rng, rows, life)
    heavy = np.where(traits.bmi > 30, 0.16, 0.015) * (traits.age >= _ADULT)
    person, day = yearly.draw(rng, heavy)
    advice = sampler("weight-management-and-diet-advice", "diet-advice-or-referral", "weight-management-referral")
    rows.add(person, day, advice.draw(rng, len(person)))
    person, day = yearly.draw(rng, heavy * 0.6)
    rows.add(person, day, sampler("physical-activity-advice", "advice-or-referral").draw(rng, len(person)))
