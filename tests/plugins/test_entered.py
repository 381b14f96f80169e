"""Entries made in Cohortium after the records end: what they decide counts, and nothing else moves."""

from datetime import date

import pytest

from cohortium_plugins.authoring import Cohort, Indicator
from cohortium_plugins.entered import late_entries, standing_with_entries
from cohortium_plugins.language import events, months
from cohortium_plugins.model import Code, Codelist, Status
from cohortium_plugins.pack import Pack
from cohortium_plugins.record import COHORTIUM, Record, Row

DAY, TO = date(2025, 6, 30), date(2025, 6, 20)
ILL, REVIEW, SMEAR, DECLINED = 1001, 1002, 1003, 1004


def definition():
    lists = {
        name: Codelist(name, name, "x", "1", (Code(code, name),))
        for name, code in (("illness", ILL), ("review", REVIEW), ("smear", SMEAR))
    }
    ill = events("illness").earliest()
    people = Cohort("people", title="People", members=ill.exists, since=ill.date)
    review = Indicator("review", title="Review", cohort=people, met=events("review").latest(), every=months(12),
                       source="x")  # fmt: skip
    smear = Indicator("smear", title="Smear", cohort=people, met=events("smear").latest(), every=months(12), source="x")
    return Pack.build(
        id="p", version="1", title="P", publisher="x", codelists=lists, cohorts=[people], indicators=[review, smear]
    ).definition


def standing_of(name, *rows, records_to=TO, day=DAY):
    found = definition()
    record = Record(1, "A", date(1960, 1, 1), rows={"events": (Row(date(2020, 1, 1), code=ILL), *rows)},
                    records_to=records_to)  # fmt: skip
    return standing_with_entries(found, found.indicator(name), record, day)


def entry(day, code=REVIEW, source=COHORTIUM):
    return Row(day, code=code, source=source)


@pytest.mark.parametrize(
    ("made", "status", "met", "day"),
    [
        (date(2025, 6, 10), Status.MET, date(2025, 6, 10), DAY),  # within the records: as any entry
        (date(2025, 6, 20), Status.MET, date(2025, 6, 20), DAY),  # on their last day
        (date(2025, 6, 25), Status.MET, date(2025, 6, 25), DAY),  # after them, and not after the registry's day
        (date(2025, 6, 30), Status.MET, date(2025, 6, 30), DAY),
        (date(2025, 9, 1), Status.MET, date(2025, 9, 1), date(2025, 9, 1)),  # after both
    ],
)
def test_an_entry_counts_from_the_day_it_is_made(made, status, met, day):
    found = standing_of("review", entry(made))
    assert (found.result.status, found.result.met_date, found.day) == (status, met, day)


def test_an_entry_of_the_practices_own_after_its_records_end_is_held_back_as_ever():
    found = standing_of("review", entry(date(2025, 6, 25), source="gp"))
    assert (found.result.status, found.result.reason) == (Status.NOT_EVALUATED, "records_to:2025-06-20")


def test_what_an_entry_says_nothing_about_stays_as_of_the_registrys_day():
    """The smear of July 2024 is in date on 30 June 2025 and no longer on 1 September: nobody knows what came since."""
    smear = Row(date(2024, 7, 10), code=SMEAR)
    found = standing_of("smear", smear, entry(date(2025, 9, 1)), records_to=None)
    assert (found.result.status, found.day) == (Status.MET, DAY)
    assert found.result.index_date == DAY
    review = standing_of("review", smear, entry(date(2025, 9, 1)), records_to=None)
    assert (review.result.status, review.day) == (Status.MET, date(2025, 9, 1))


def test_the_latest_of_several_gives_the_day():
    found = standing_of("review", entry(date(2025, 7, 1)), entry(date(2025, 8, 1)), entry(date(2025, 8, 3), SMEAR))
    assert (found.result.met_date, found.day) == (date(2025, 8, 1), date(2025, 8, 3))


def test_late_is_after_what_evaluating_sees():
    rows = {"events": tuple(entry(date(2025, 6, number)) for number in (19, 20, 21))}
    record = Record(1, "A", date(1960, 1, 1), rows=rows, records_to=TO)
    assert [row.date.day for row in late_entries(record, DAY)] == [21]
    assert [row.date.day for row in late_entries(record, date(2025, 6, 18))] == [19, 20, 21]
    assert late_entries(Record(1, "A", date(1960, 1, 1), rows=rows), DAY) == []
