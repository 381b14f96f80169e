"""Every clock that changes a status with nothing recorded, one by one, and what is said of it."""

from dataclasses import replace
from datetime import date

import pytest

from cohortium_plugins.authoring import Cohort, Indicator, declined
from cohortium_plugins.explain import explain
from cohortium_plugins.language import case, events, index_date, months, otherwise, patient, season_start, when
from cohortium_plugins.model import Code, Codelist, Definition, Status
from cohortium_plugins.next_change import next_change
from cohortium_plugins.record import Record, Row

TODAY, OVERDUE = date(2025, 6, 30), Status.OVERDUE
LISTS = {name: Codelist(name, name, "made for this test", "1", (Code(n, name),)) for n, name in
         enumerate(("illness", "review", "declined"), 1)}  # fmt: skip
LISTS["none"] = Codelist("none", "none", "made for this test", "1", ())
illness, review = events("illness"), events("review")


def define(members=patient.is_registered & illness.exists, **parts):
    people = Cohort("people", title="People", members=members, since=illness.earliest().date)
    indicator = Indicator("measure", title="Measure", cohort=people, source="made for this test", **parts)
    return Definition(LISTS, (), (people,), (indicator,))


def a_record(*rows, registered_to=None, **fields):
    registered = Row(date(2000, 1, 1), practice="Y00001", end_date=registered_to)
    events_ = (Row(date(2024, 1, 31), code=1), *rows)
    tables = {"registrations": (registered,), "events": events_}
    return replace(Record(7, "Y00001", date(1960, 5, 5), rows=tables), **fields)


def reviewed(on):
    return Row(on, code=2)


yearly = define(met=review.latest(), every=months(12))
once = define(met=review.exists, due=illness.latest().date + months(24))
seasonal = define(
    met=review.on_or_after(season_start(index_date, 9, 1)).latest(),
    due=case(when(index_date >= season_start(index_date, 9, 1) + months(7)).then(season_start(index_date, 9, 1)
             + months(12)), otherwise(season_start(index_date, 9, 1) + months(1))),
)  # fmt: skip
lapsing = define(met=review.exists, due=illness.latest().date + months(1), adjustments=[declined("declined")])

CASES = {
    "an interval": (yearly, a_record(reviewed(date(2024, 12, 1))), date(2025, 12, 2), OVERDUE),
    "an interval from the end of a month": (
        define(met=review.latest(), every=months(6)), a_record(reviewed(date(2025, 3, 31))), date(2025, 10, 1), OVERDUE,
    ),
    "an interval that has run out": (yearly, a_record(reviewed(date(2024, 2, 29))), None, None),
    "a window that closes": (once, a_record(), date(2026, 2, 1), OVERDUE),
    "a season that ends": (seasonal, a_record(reviewed(date(2024, 10, 1))), date(2025, 9, 1), Status.DUE),
    "a season's own due date": (seasonal, a_record(), date(2025, 10, 2), OVERDUE),
    "an age": (
        define(applies=patient.age < 70, met=review.exists), a_record(), date(2030, 5, 5), Status.NOT_APPLICABLE,
    ),
    "an age to come": (
        define(applies=patient.age >= 70, met=review.exists), a_record(), date(2030, 5, 5), OVERDUE,
    ),
    "an adjustment that lapses": (
        lapsing, a_record(Row(date(2025, 1, 31), code=3)), date(2026, 2, 1), OVERDUE,
    ),
    "a row of the future": (once, a_record(reviewed(date(2025, 8, 1))), date(2025, 8, 1), Status.MET),
    "a registration that ends": (
        once, a_record(registered_to=date(2025, 7, 14)), date(2025, 7, 15), Status.NOT_APPLICABLE,
    ),
    "a death": (once, a_record(date_of_death=date(2025, 7, 2)), date(2025, 7, 2), Status.NOT_APPLICABLE),
    "records that run no further": (
        once, a_record(records_to=date(2025, 7, 31)), date(2026, 2, 1), Status.NOT_EVALUATED,
    ),
    "what stays for good": (once, a_record(reviewed(date(2025, 1, 1))), None, None),
    "what cannot be decided": (define(met=events("none").in_last(months(1)).exists), a_record(), None, None),
    "what is never known": (
        define(met=events("declined").latest().date >= index_date - months(3)), a_record(), None, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_clock(name):
    definition, record, day, status = CASES[name]
    change = next_change(definition, definition.indicators[0], record, TODAY)
    assert (change and (change.date, change.status)) == (day and (day, status))


def said(definition, record):
    return explain(definition, definition.indicators[0], record, TODAY).outlook


def test_words():
    reviewed_once = a_record(reviewed(date(2024, 12, 1)))
    assert said(yearly, reviewed_once) == "Becomes overdue on 2 December 2025 if nothing is recorded."
    assert said(once, a_record(reviewed(date(2025, 1, 1)))) == "Stays as it is if nothing is recorded."
    assert said(once, a_record(records_to=date(2025, 7, 31))) == (
        "Becomes overdue on 1 February 2026 if nothing is recorded; until newer records are loaded, it then shows as "
        "not evaluated."
    )
    ends = a_record(registered_to=date(2025, 7, 14))
    assert said(once, ends) == "No longer applies from 15 July 2025 if nothing is recorded."
