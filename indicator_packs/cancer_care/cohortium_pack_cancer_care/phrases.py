"""Turns of phrase that several indicators share. Not here: any indicator."""

from __future__ import annotations

from cohortium_pack_cancer_care.cohort import diagnosis
from cohortium_plugins.authoring import adjustment
from cohortium_plugins.language import (
    BoolSeries,
    DateSeries,
    Frame,
    Pick,
    Series,
    TextSeries,
    case,
    events,
    index_date,
    maximum_of,
    months,
    otherwise,
    patient,
    value,
    when,
)
from cohortium_plugins.model.definition import Adjustment
from cohortium_plugins.model.values import Duration

__all__ = [
    "SMOKING_AGE",
    "YEAR",
    "bmi_values",
    "declined_category",
    "from_birthday",
    "in_date",
    "later_of",
    "performed",
    "since_diagnosis",
    "smoking_statuses",
]  # fmt: skip

YEAR = months(12)
SMOKING_AGE = 11


def since_diagnosis(frame: Frame) -> Frame:
    """Keep what was recorded from the diagnosis that made the person a member."""
    return frame.on_or_after(diagnosis.date)


def from_birthday(age: int) -> DateSeries:
    """Give the day from which something with an age limit applies: the later of membership and that birthday."""
    return maximum_of(diagnosis.date, patient.birthday(age))


def in_date(last: DateSeries, interval: Duration) -> BoolSeries:
    """Tell whether something done on a day still holds: that day plus the interval is not before the index date."""
    return last + interval >= index_date


def performed(pick: Pick) -> TextSeries:
    """Give the word that the registry shows for something done once."""
    return case(when(pick.exists).then("Performed"))


def declined_category(codelist: str, category: str = "declined", *, among: BoolSeries | bool = True) -> Adjustment:
    """Give the adjustment for a refusal that the codelist itself carries, for 12 months."""
    refused = events(codelist).where_category(category).in_last(YEAR).exists
    return adjustment("declined", "Declined in the last 12 months", refused if among is True else refused & among)


def bmi_values() -> Frame:
    """Give body mass indexes with a plausible number: 10 to 100 kg/m2 (sources differ, 5 to 400 in one)."""
    lowest, highest = 10, 100
    return events("bmi-value").where(value.between(lowest, highest))


def smoking_statuses() -> Frame:
    """Give smoking statuses from age 11 on; earlier ones are ignored."""
    return events("smoking-status").on_or_after(patient.birthday(SMOKING_AGE))


def later_of(first: Pick, second: Pick) -> tuple[Series, Series]:
    """Give the number and the code of the later of two picks; of the first when they are of one day."""
    later = first.date.is_missing | (second.date > first.date)
    return (
        case(when(later).then(second.value), otherwise(first.value)),
        case(when(later).then(second.code), otherwise(first.code)),
    )
