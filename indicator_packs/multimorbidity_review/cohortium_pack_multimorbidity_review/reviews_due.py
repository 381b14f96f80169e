"""Which yearly reviews of conditions are due, and what one appointment for all of them would save.

Here: the reviews as rules, and the numbers made of them. Not here: their indicators (`reviews`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohortium_pack_multimorbidity_review.conditions import Condition, by_name
from cohortium_pack_multimorbidity_review.phrases import YEAR, in_date
from cohortium_plugins.language import (
    BoolSeries,
    DateSeries,
    Frame,
    case,
    count_true,
    events,
    has_codes,
    maximum_of,
    minimum_of,
    named,
    when,
)

__all__ = ["REVIEWS", "Review", "earliest_review", "latest_review", "needed", "reviewed", "visits"]


@dataclass(frozen=True)
class Review:
    """The yearly review of one condition: of whom it is asked, and the entries that record one."""

    condition: Condition
    recorded: Frame
    known: BoolSeries | None = None

    @property
    def asked(self) -> BoolSeries:
        """Whether it is asked of someone: the condition is present, and there are codes that record a review."""
        present = self.condition.present
        if self.known is None:
            return present
        said = f"on the register of {self.condition.title.lower()}, whose review has codes"
        return named(said, self.known & present)

    @property
    def latest(self) -> DateSeries:
        """The day of the latest review of someone of whom it is asked."""
        return case(when(self.asked).then(self.recorded.latest().date))

    @property
    def due(self) -> BoolSeries:
        """Whether there is none in the last 12 months, for someone of whom it is asked."""
        missing = self.recorded.latest().date.is_missing | ~in_date(self.recorded.latest().date, YEAR)
        return named(f"review of {self.condition.name.replace('-', ' ')} is due", self.asked & missing)


def _listed(condition: Condition) -> Review:
    return Review(condition, events("ltc-annual-review").where_category(condition.name))


def _by_tenant(condition: Condition) -> Review:
    """A review for which no codes were found: it counts where a tenant has given its own."""
    codelist = f"{condition.name}-review"
    return Review(condition, events(codelist), has_codes(codelist))


REVIEWS: Sequence[Review] = (
    *map(
        _listed,
        by_name(
            "asthma",
            "atrial-fibrillation",
            "chronic-kidney-disease",
            "copd",
            "coronary-heart-disease",
            "dementia",
            "depression",
            "diabetes",
            "epilepsy",
            "heart-failure",
            "hypertension",
            "stroke-tia",
        ),
    ),
    *map(_by_tenant, by_name("peripheral-arterial-disease", "chronic-liver-disease")),
)
"""The conditions that have a yearly review of their own."""

needed = named("the number of condition reviews due", count_true(*(review.due for review in REVIEWS)))
"""Reviews needed: how many conditions have a review that is due."""

_days = events("ltc-annual-review").in_last(YEAR)
visits = named("the number of visits for condition reviews", _days.count_days)
"""Visits used: on how many days of the last 12 months some review of a condition was recorded."""

reviewed = named(
    "the number of conditions with a review of their own", count_true(*(review.asked for review in REVIEWS))
)
"""How many conditions with a review of their own someone has."""

_first, *_rest = (review.latest for review in REVIEWS)
earliest_review = named("the day of the least recent review", minimum_of(_first, *_rest))
latest_review = named("the day of the most recent review", maximum_of(_first, *_rest))
