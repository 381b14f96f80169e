"""Every kind of node has words, and a rule reads as a sentence."""

from datetime import date

import pytest

from cohortium_plugins import words
from cohortium_plugins.authoring import Cohort
from cohortium_plugins.language import (
    Measure,
    case,
    category,
    consultations,
    contacts,
    count_true,
    days,
    entry_date,
    episode,
    events,
    index_date,
    kind,
    maximum_of,
    months,
    nth_earliest,
    otherwise,
    patient,
    registrations,
    relationship,
    season_start,
    value,
    weeks,
    when,
    years_between,
)
from cohortium_plugins.model import Code, Codelist, Definition, nodes
from cohortium_plugins.model.serialise import NODE_TYPES
from cohortium_plugins.statement import statement, unit_in_words


def test_every_kind_of_node_has_words():
    assert set(words._WORDS) == set(NODE_TYPES.values())


def test_a_rule_reads_as_a_sentence():
    lists = {"review": Codelist("review", "Care review", "x", "1", ())}
    rule = (patient.age >= 50) & events("review").on_or_after(date(2003, 4, 1)).exists
    assert words.Words(lists).of(rule.node) == (
        "age is at least 50 and ‘Care review’ recorded on or after 1 April 2003"
    )
    window = (index_date - months(12)).node
    assert isinstance(window, nodes.DateAdd)
    assert words.Words(lists).of(window) == "12 months before the index date"


LISTS = {
    "review": Codelist("review", "Care review", "x", "1", (Code(720006006, "Cancer care review (procedure)", "done"),)),
    "weight": Codelist("weight", "Weight", "x", "1", ()),
}
reviews = events("review")
kilograms = Measure("weight", unit="kg", converts={"g": (0.001, 0), "lb": (0.453592, -1)}, without_unit="kg")
weights = events("weight").measured(kilograms)
latest = reviews.where_category("done", "result-normal").latest()

SAID = {
    "at least 2 of these hold: (age is at least 50; sex is female; ‘Care review’ recorded)": count_true(
        patient.age >= 50, patient.sex == "female", reviews.exists
    )
    >= 2,
    "the day by which 2 of these have come: (the day of the first ‘Care review’; the day of the first ‘Weight’)": (
        nth_earliest(2, reviews.earliest().date, events("weight").earliest().date)
    ),
    "(the highest value of ‘Weight’ minus the lowest value of ‘Weight’) divided by the mean value of ‘Weight’": (
        events("weight").highest().value - events("weight").lowest().value
    )
    / events("weight").mean,
    "the day of the ‘Weight’ with the highest value is known": events("weight").highest().date.is_known,
    "the last day of the latest registration is known": registrations().latest().end_date.is_known,
    "the latest consultation (telephone) is in the last 6 months": (
        consultations().where(kind == "telephone").latest().date + months(6) >= index_date
    ),
    "‘Care review’ (done) recorded in the last 6 months and within 7 days of ‘Weight’": reviews.where_category("done")
    .within(days(7), of=events("weight"))
    .in_last(months(6))
    .exists,
    "no ‘Care review’ recorded on the day of ‘Weight’ with a value above 0": ~reviews.on_same_day_as(
        events("weight").where(value > 0)
    ).exists,
    "the day of the latest ‘Weight’ at most 2 weeks before ‘Care review’ is known": events("weight")
    .within_before(weeks(2), reviews)
    .latest()
    .date.is_known,
    "the number of ‘Weight’ at most 3 months after ‘Care review’ is above 1": events("weight")
    .within_after(months(3), reviews)
    .count
    > 1,
    "the value of the latest ‘Weight’ (in kg) is at least 100": weights.latest().value >= 100,
    "‘Weight’ (in kg) recorded with a value of at least 100": weights.where(value >= 100).exists,
    "‘Weight’ with a value above 3 (converted to kg) recorded in the last 6 months": events("weight")
    .where(value > 3)
    .measured(kilograms)
    .in_last(months(6))
    .exists,
    "the latest ‘Care review’ (done or result normal) is in the last 12 months": latest.date + months(12) >= index_date,
    "the start of registration is in the last 3 months": patient.registered_since >= index_date - months(3),
    "‘Care review’ recorded in the last 6 months": reviews.in_last(months(6)).exists,
    "no ‘Care review’ (not declined) recorded": ~reviews.where_not_category("declined").exists,
    "‘Care review’ (episode not given or first or new episode) recorded": reviews.where(
        episode.is_missing | episode.is_in("first", "new")
    ).exists,
    "‘Care review’ recorded from 1 April 2003 to 2 April 2003": reviews.between(
        date(2003, 4, 1), date(2003, 4, 2)
    ).exists,
    "‘Weight’ recorded with a value of 10 to 100": events("weight").where(value.between(10, 100)).exists,
    "‘Weight’ recorded with a value above 0 and on or after the 18th birthday": events("weight")
    .where(value > 0)
    .on_or_after(patient.birthday(18))
    .exists,
    "contacts (telephone or mobile, relationship not given) recorded": contacts()
    .where(kind.is_in("telephone", "mobile") & relationship.is_missing)
    .exists,
    "the code of the latest ‘Care review’ is ‘Cancer care review’": reviews.latest().code == 720006006,
    "the latest 1 September is on or after 1 day before the index date": (
        season_start(index_date, 9, 1) >= index_date + days(-1)
    ),
    "age is at least 50 and (first if sex is female; otherwise second) is first": (patient.age >= 50)
    & (case(when(patient.sex == "female").then("first"), otherwise("second")) == "first"),
    "the later of (the day of the latest ‘Care review’ and 1 April 2003) is in the last 24 months": maximum_of(
        reviews.latest().date, date(2003, 4, 1)
    )
    + months(24)
    >= index_date,
    "completed years from the day of the latest ‘Care review’ to the index date is below 5": years_between(
        reviews.latest().date, index_date
    )
    < 5,
    "not: (sex is female and age is at least 50)": ~((patient.sex == "female") & (patient.age >= 50)),
    "‘Care review’ recorded where (the category is done or the day is on 1 April 2003)": reviews.where(
        (category == "done") | (entry_date == date(2003, 4, 1))
    ).exists,
}


@pytest.mark.parametrize("sentence", SAID)
def test_rules_in_plain_words(sentence):
    assert words.Words(LISTS).of(SAID[sentence].node) == sentence


def test_what_has_a_name_of_its_own_is_called_by_it():
    named = {reviews.earliest().date.node: "the day of joining"}
    since = reviews.on_or_after(reviews.earliest().date).exists
    assert words.Words(LISTS, named).of(since.node) == "‘Care review’ recorded on or after the day of joining"


def test_what_a_conversion_does_is_said_once():
    assert unit_in_words(weights.node) == (
        "In kg: a value in g counts times 0.001; a value in lb counts times 0.453592 minus 1; a value without a unit "
        "is taken as it is; a value in any other unit is left out."
    )
    people = Cohort("people", title="People", members=weights.exists, since=weights.latest().date)
    page = statement(Definition(LISTS, (), (people,), ()))
    assert page.count("counts times 0.001") == 1


def test_what_a_rule_repeats_is_described_once_and_called_by_a_letter():
    review = reviews.where_category("done").on_or_after(patient.birthday(18)).latest()
    people = Cohort("people", title="People", members=review.exists & (review.date < index_date), since=review.date)
    said = statement(Definition(LISTS, (), (people,), ()))
    assert "- Members: the day of A is before the index date.\n- Since: the day of A.\n- A is the latest" in said
    assert "- A is the latest ‘Care review’ (done) on or after the 18th birthday." in said
    short = Cohort("people", title="People", members=latest.exists & (latest.date < index_date), since=latest.date)
    assert "A is" not in statement(Definition(LISTS, (), (short,), ()))
