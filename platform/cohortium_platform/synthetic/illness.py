"""The long-term conditions of the generator: how common, in whom, and what they go with.

Here: the table, as data. Not here: drawing people's conditions from it (`conditions.py`).

Prevalence is in per cent at ages 5, 20, 40, 60, 75 and 90, rounded from published English figures. `goes_with` gives
the share of the tendency that comes from something shared: conditions with the same cause come together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["AGES", "CAUSES", "CONDITIONS", "Condition"]

AGES = (5, 20, 40, 60, 75, 90)
CAUSES = ("metabolic", "mental", "airways", "joints", "immune", "frailty")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `men` multiplies prevalence in men, `poverty` moves it with deprivation, `resolved` is the share
    of records that later say resolved, `from_age` the youngest onset and `years` the mean time since diagnosis.
    """

    codelist: str
    prevalence: tuple[float, float, float, float, float, float]
    goes_with: Mapping[str, float] = field(default_factory=dict)
    men: float = 1.0
    poverty: float = 0.0
    resolved: float = 0.0
    from_age: int = 0
    years: float = 8.0


_METABOLIC = {"metabolic": 0.6}
_HEART = {"metabolic": 0.5, "frailty": 0.35}

CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "asthma", (7, 10, 9, 9, 9, 8), {"airways": 0.55}, men=0.9, poverty=0.1, resolved=0.12, from_age=2, years=15
    ),
    Condition("atrial-fibrillation", (0, 0.05, 0.4, 2.5, 9, 19), _HEART, men=1.4, from_age=25, years=6),
    Condition("coronary-heart-disease", (0, 0.02, 0.6, 5, 13, 20), _HEART, men=1.9, poverty=0.15, from_age=30),
    Condition(
        "chronic-kidney-disease", (0, 0.1, 0.6, 3.5, 14, 33), _HEART, men=0.85, resolved=0.03, from_age=18, years=6
    ),
    Condition(
        "copd",
        (0, 0, 0.5, 4, 7.5, 7),
        {"airways": 0.5, "frailty": 0.3},
        men=1.1,
        poverty=0.35,
        resolved=0.01,
        from_age=35,
    ),
    Condition("dementia", (0, 0, 0.02, 0.3, 3.5, 17), {"frailty": 0.55}, men=0.75, from_age=50, years=3),
    Condition(
        "depression",
        (0.1, 9, 16, 15, 11, 9),
        {"mental": 0.65},
        men=0.6,
        poverty=0.2,
        resolved=0.35,
        from_age=12,
        years=9,
    ),
    Condition("diabetes", (0.2, 0.7, 4.5, 12, 17, 14), _METABOLIC, men=1.25, poverty=0.2, resolved=0.01, from_age=4),
    Condition("epilepsy", (0.4, 0.8, 1, 1.1, 1.2, 1.2), {"mental": 0.15}, resolved=0.05, from_age=1, years=18),
    Condition(
        "heart-failure",
        (0, 0.02, 0.2, 1.2, 4.5, 12),
        {"metabolic": 0.5, "frailty": 0.5},
        men=1.4,
        resolved=0.02,
        from_age=25,
        years=4,
    ),
    Condition("hypertension", (0, 0.4, 6, 27, 50, 58), _METABOLIC, men=1.05, poverty=0.1, resolved=0.01, from_age=18),
    Condition("learning-disability", (0.6, 0.8, 0.6, 0.4, 0.2, 0.1), {}, men=1.5, poverty=0.1, years=30),
    Condition("non-diabetic-hyperglycaemia", (0, 0.5, 4, 11, 14, 11), _METABOLIC, poverty=0.1, from_age=18, years=4),
    Condition(
        "osteoporosis", (0, 0.02, 0.15, 2, 7.5, 14), {"joints": 0.3, "frailty": 0.4}, men=0.2, from_age=50, years=6
    ),
    Condition("peripheral-arterial-disease", (0, 0, 0.1, 1.1, 3, 4), _HEART, men=1.8, poverty=0.25, from_age=40),
    Condition("palliative-care", (0, 0, 0.05, 0.3, 1, 4), {"frailty": 0.6}, from_age=18, years=1),
    Condition(
        "rheumatoid-arthritis", (0, 0.1, 0.5, 1.2, 1.9, 1.8), {"joints": 0.4, "immune": 0.3}, men=0.45, from_age=16
    ),
    Condition(
        "severe-mental-illness",
        (0, 0.5, 1.2, 1.3, 1.1, 1),
        {"mental": 0.6},
        men=1.1,
        poverty=0.35,
        from_age=14,
        years=15,
    ),
    Condition("stroke", (0, 0.05, 0.4, 2, 6, 11), _HEART, men=1.2, poverty=0.15, from_age=20, years=7),
    Condition("transient-ischaemic-attack", (0, 0, 0.1, 0.9, 3.2, 6), _HEART, men=1.1, from_age=30, years=7),
    Condition(
        "anxiety-disorder", (0.6, 14, 17, 14, 11, 9), {"mental": 0.65}, men=0.55, poverty=0.15, from_age=6, years=9
    ),
    Condition("osteoarthritis", (0, 0.2, 3, 18, 36, 42), {"joints": 0.55, "metabolic": 0.2}, men=0.65, from_age=30),
    Condition("hypothyroidism", (0.05, 0.5, 2.5, 6, 9, 10), {"immune": 0.4}, men=0.25, from_age=5, years=10),
    Condition("parkinsons-disease", (0, 0, 0.01, 0.2, 1, 1.8), {"frailty": 0.35}, men=1.5, from_age=40, years=5),
    Condition("multiple-sclerosis", (0, 0.03, 0.25, 0.4, 0.3, 0.1), {"immune": 0.3}, men=0.45, from_age=18, years=13),
    Condition(
        "chronic-liver-disease", (0.02, 0.1, 0.6, 1.2, 1, 0.5), {"metabolic": 0.35}, men=1.4, poverty=0.3, from_age=15
    ),
    Condition("inflammatory-bowel-disease", (0.05, 0.4, 0.9, 1, 1, 0.8), {"immune": 0.35}, from_age=6, years=13),
    Condition("coeliac-disease", (0.2, 0.4, 0.7, 0.8, 0.8, 0.6), {"immune": 0.45}, men=0.6, from_age=1, years=11),
    Condition("psoriasis", (0.4, 1.8, 2.8, 3.2, 3, 2.2), {"immune": 0.35, "joints": 0.2}, from_age=4, years=14),
    Condition("bronchiectasis", (0.02, 0.05, 0.2, 0.8, 1.9, 1.7), {"airways": 0.5}, men=0.8, from_age=5, years=6),
    Condition(
        "interstitial-lung-disease", (0, 0.01, 0.05, 0.4, 1.1, 1), {"airways": 0.4}, men=1.3, from_age=30, years=4
    ),
)
"""Conditions of the Quality and Outcomes Framework's registers, then others that count as long-term."""
