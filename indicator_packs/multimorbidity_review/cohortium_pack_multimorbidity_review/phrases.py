"""Turns of phrase that several indicators share. Not here: any indicator."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cohortium_plugins.authoring import adjustment
from cohortium_plugins.language import (
    BoolSeries,
    DateSeries,
    Pick,
    Series,
    case,
    days,
    events,
    index_date,
    months,
    otherwise,
    patient,
    season_start,
    when,
)
from cohortium_plugins.model.definition import Adjustment
from cohortium_plugins.model.values import Duration

__all__ = [
    "YEAR",
    "coded_refusal",
    "declined_category",
    "ethnic_groups",
    "in_date",
    "later_of",
    "qof_adjustments",
    "recently",
]

YEAR = months(12)
_ADJUSTMENTS = "personalised-care-adjustment"

ethnic_groups: Mapping[str, tuple[str, BoolSeries]] = {
    "asian": ("Asian or Asian British", patient.ethnicity.is_in("H", "J", "K", "L", "R")),
    "black": ("Black or Black British", patient.ethnicity.is_in("M", "N", "P")),
    "mixed": ("Mixed", patient.ethnicity.is_in("D", "E", "F", "G")),
    "other": ("Another group", patient.ethnicity.is_in("S")),
    "white": ("White", patient.ethnicity.is_in("A", "B", "C")),
}
"""Five groups of the letters that stand for ethnic groups in the record, each with its words."""


def in_date(last: DateSeries, interval: Duration) -> BoolSeries:
    """Tell whether something done on a day still holds: that day plus the interval is not before the index date."""
    return last + interval >= index_date


def later_of(first: Pick, second: Pick) -> tuple[Series, Series]:
    """Give the number and the code of the later of two picks; of the first when they are of one day."""
    later = first.date.is_missing | (second.date > first.date)
    return (
        case(when(later).then(second.value), otherwise(first.value)),
        case(when(later).then(second.code), otherwise(first.code)),
    )


def declined_category(codelist: str, category: str = "declined", *, among: BoolSeries | bool = True) -> Adjustment:
    """Give the adjustment for a refusal that the codelist itself carries, for 12 months."""
    refused = events(codelist).where_category(category).in_last(YEAR).exists
    return adjustment("declined", "Declined in the last 12 months", refused if among is True else refused & among)


def _coded(*categories: str) -> BoolSeries:
    """Whether one of the adjustment's codes was recorded in the last 12 months; they must be renewed after that."""
    return events(_ADJUSTMENTS).where_category(*categories).in_last(YEAR).exists


def coded_refusal(category: str) -> Adjustment:
    """Give the adjustment for a test that was refused, whatever the condition it was asked for."""
    return adjustment("declined", "Test declined in the last 12 months", _coded(f"any|{category}"))


def _no_response(condition: str) -> BoolSeries:
    """Two invitations of the QOF year, at least 7 days apart. A review since the first of them would be of the last 12
    months, and met is tested first.
    """
    invitations = (
        events(_ADJUSTMENTS).where_category(f"{condition}|invitation").on_or_after(season_start(index_date, 4, 1))
    )
    first = invitations.earliest()
    return invitations.on_or_after(first.date + days(7)).exists


def qof_adjustments(condition: str, *, since: DateSeries, found: Collection[str]) -> list[Adjustment]:
    """Give the adjustments of a condition's review in the order in which QOF tests them.

    `since`: when the condition was diagnosed; `found`: the kinds of codes that the list has for the condition
    (unsuitable, dissent, invitation).
    """
    made = {
        "unsuitable": adjustment(
            "unsuitable", "Recorded as unsuitable in the last 12 months", _coded(f"{condition}|unsuitable")
        ),
        "dissent": adjustment("dissent", "Informed dissent in the last 12 months", _coded(f"{condition}|dissent")),
        "invitation": adjustment(
            "no-response",
            "Invited twice in the QOF year, at least 7 days apart, without an answer",
            _no_response(condition),
        ),
    }
    return [*(item for kind, item in made.items() if kind in found), *recently(since)]


def recently(since: DateSeries | None = None) -> list[Adjustment]:
    """Give the adjustments for people diagnosed, or registered, in the last 3 months."""
    start = index_date - months(3)
    diagnosed = (
        [] if since is None else [adjustment("diagnosed-recently", "Diagnosed in the last 3 months", since >= start)]
    )
    registered = adjustment("registered-recently", "Registered in the last 3 months", patient.registered_since >= start)
    return [*diagnosed, registered]
