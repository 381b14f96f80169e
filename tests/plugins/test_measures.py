"""Numbers in two units never stand side by side; a bare number takes the unit of the other side."""

import json
from datetime import date

import pytest

from cohortium_plugins.authoring import Cohort, Indicator
from cohortium_plugins.errors import DefinitionError, MalformedPack
from cohortium_plugins.explain import explain
from cohortium_plugins.language import (
    Measure,
    case,
    coalesce,
    days,
    events,
    maximum_of,
    months,
    otherwise,
    patient,
    value,
    when,
)
from cohortium_plugins.measures import unit_of
from cohortium_plugins.model import Code, Codelist, Conversion, Definition, nodes
from cohortium_plugins.model.serialise import from_json, to_json
from cohortium_plugins.record import Record, Row

HBA1C = Measure("hba1c", unit="mmol/mol", converts={"%": (10.93, -23.5)}, without_unit="mmol/mol")
PERCENT = Measure("hba1c", unit="%", converts={"mmol/mol": (0.09148, 2.152)})
new = events("hba1c").measured(HBA1C).latest().value
old = events("hba1c").measured(PERCENT).where(value > 4).latest().value
bare = events("hba1c").latest().value


@pytest.mark.parametrize(
    "write",
    [
        lambda: new > old,
        lambda: old == new,
        lambda: new - old,
        lambda: maximum_of(new, old),
        lambda: coalesce(new, old),
        lambda: case(when(patient.sex == "female").then(new), otherwise(old)),
        lambda: (new + 1) < (old * 2),
        lambda: new > events("hba1c").measured(PERCENT).mean,
        lambda: events("hba1c").measured(PERCENT).where(value > new),
    ],
)
def test_two_units_are_refused_with_both_named_and_what_to_write(write):
    with pytest.raises(DefinitionError) as refused:
        write()
    assert "mmol/mol" in refused.value.message
    assert "%" in refused.value.message
    assert "converts=" in refused.value.advice


def test_numbers_without_a_unit_take_that_of_the_other_side():
    for written in (new > 48, new > bare, new - 5, new * 2, new > patient.age, coalesce(new, 0)):
        assert isinstance(written.node, nodes.Series)
    events("hba1c").measured(HBA1C).where(value >= bare)
    in_percent = events("hba1c").measured(PERCENT)
    events("hba1c").measured(HBA1C).on_or_after(in_percent.where(value > old).latest().date)


def test_the_unit_of_what_is_reckoned():
    assert unit_of((new - 5).node) == "mmol/mol"
    assert unit_of((new * 2).node) == "mmol/mol"
    assert unit_of((new / 2).node) == "mmol/mol"
    assert unit_of((new / new).node) is None
    assert unit_of((new * new).node) is None
    assert unit_of(maximum_of(bare, new).node) == "mmol/mol"
    assert unit_of(events("hba1c").measured(HBA1C).within(days(1), of=events("b")).mean.node) == "mmol/mol"
    assert unit_of(events("hba1c").measured(HBA1C).count.node) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"unit": "kg", "converts": {"kg": (1, 0)}}, "needs no conversion to itself"),
        ({"unit": "kg", "converts": {"g": (0, 0)}}, "g has no conversion"),
        ({"unit": "kg", "converts": {"g": (float("inf"), 0)}}, "g has no conversion"),
        ({"unit": "kg", "without_unit": "lb"}, "Choose from kg"),
    ],
)
def test_a_measure_without_meaning_is_refused(arguments, words):
    with pytest.raises(DefinitionError, match=words):
        Measure("weight", **arguments)


@pytest.mark.parametrize("write", [
    lambda: events("a").within(days(-1), of=events("b")),
    lambda: events("a").within_after(days(-1), events("b")),
])  # fmt: skip
def test_nothing_is_within_a_negative_length(write):
    with pytest.raises(DefinitionError, match=r"Nothing is within -1 days\. Write days\(1\)\."):
        write()


# --- as data ------------------------------------------------------------------------------------------------------

measured = events("hba1c").measured(HBA1C).within_after(months(3), events("review")).where(value <= 58).latest()
people = Cohort("people", title="People", members=patient.is_registered, since=patient.registered_since)
controlled = Indicator("controlled", title="Controlled", cohort=people, met=measured, every=months(12), source="x")
LISTS = {
    "hba1c": Codelist("hba1c", "HbA1c", "x", "1", (Code(999791000000106, "HbA1c"),)),
    "review": Codelist("review", "Review", "x", "1", (Code(720006006, "Review"),)),
}
DEFINITION = Definition(LISTS, (), (people,), (controlled,))


def test_conversions_are_written_and_read():
    data = json.loads(json.dumps(to_json(DEFINITION)))
    assert from_json(data) == DEFINITION
    conversions = next(item["conversions"] for item in data["nodes"] if item["node"] == "InUnit")
    assert conversions == [["%", 10.93, -23.5], [None, 1.0, 0.0]]
    conversions[0] = ["%", "10.93", 0]
    with pytest.raises(MalformedPack):
        from_json(data)


def test_a_conversion_is_one_of_the_unit_to_itself_or_not():
    assert HBA1C.conversions == (Conversion("%", 10.93, -23.5), Conversion(None, 1.0, 0.0))
    assert PERCENT.conversions == (Conversion("mmol/mol", 0.09148, 2.152),)


def test_advice_gives_the_unit_and_what_must_stand_beside_it():
    record = Record(1, "Y1", date(1960, 1, 1), rows={"registrations": (Row(date(2000, 1, 1), practice="Y1"),)})
    found = explain(DEFINITION, controlled, record, date(2025, 6, 30))
    assert {entry.codelist for entry in found.entries} == {"hba1c", "review"}
    assert "HbA1c with its value in mmol/mol" in found.sentence
    reviewed = Row(date(2025, 5, 1), code=720006006)
    beside = Record(1, "Y1", date(1960, 1, 1), rows={**record.rows, "events": (reviewed,)})
    assert [e.codelist for e in explain(DEFINITION, controlled, beside, date(2025, 6, 30)).entries] == ["hba1c"]
