"""Advice must be true: what the sentence names, once recorded, turns the status to met; or it says nothing can."""

from dataclasses import replace
from datetime import date

import pytest

from cohortium_plugins.authoring import Cohort, Indicator, declined
from cohortium_plugins.explain import explain
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.language import (
    all_of,
    consultations,
    contacts,
    events,
    kind,
    months,
    patient,
    relationship,
    value,
)
from cohortium_plugins.model import Code, Codelist, Definition, Status, nodes
from cohortium_plugins.record import Record, Row
from cohortium_plugins.remedy import with_entries
from cohortium_plugins.status import result_of

TODAY = date(2025, 6, 30)


def codelist(name, *codes):
    return Codelist(name, name.capitalize(), "made for this test", "1", tuple(Code(*code) for code in codes))


LISTS = {
    c.name: c
    for c in [
        codelist("illness", (1001, "Illness")),
        codelist("review", (2001, "Review done", "done"), (2002, "Review declined", "declined")),
        codelist("weight", (3001, "Body mass index")),
        codelist("plan", (4001, "Plan agreed")),
        codelist("unknown"),
    ]
}
illness = events("illness").earliest()
people = Cohort("people", title="People", members=patient.is_registered & illness.exists, since=illness.date)


def define(**parts):
    indicator = Indicator("measure", title="Measure", cohort=people, source="made for this test", **parts)
    return Definition(LISTS, (), (people,), (indicator,))


def a_record(*rows, **tables):
    registered = Row(date(2000, 1, 1), practice="Y00001")
    events_ = (Row(date(2024, 1, 31), code=1001), *rows)
    return Record(7, "Y00001", date(1960, 5, 5), rows={"registrations": (registered,), "events": events_, **tables})


CASES = {
    "a category that counts": define(met=events("review").where_category("done").latest(), every=months(12)),
    "a plausible value": define(met=events("weight").where((value >= 10) & (value <= 100)).latest(), every=months(24)),
    "several parts at once": define(
        met=all_of(events("review").where_category("done").exists, events("plan").exists, events("weight").exists)
    ),
    "a contact": define(met=contacts().where((kind == "next-of-kin") & (relationship == "N")).latest()),
    "a consultation": define(met=consultations().in_last(months(12)).latest()),
    "an open window": define(
        met=events("review").where_category("done").between(illness.date, illness.date + months(18)).earliest(),
        due=illness.date + months(18),
    ),
    "although declined": define(
        met=events("review").where_category("done").latest(), every=months(12), adjustments=[declined("plan")]
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_the_sentence_names_turns_the_status_to_met(name):
    definition = CASES[name]
    indicator = definition.indicators[0]
    record = a_record(Row(date(2025, 6, 1), code=2002))
    found = explain(definition, indicator, record, TODAY)
    assert found.result.status in (Status.DUE, Status.OVERDUE)
    assert found.entries
    for entry in found.entries:
        if entry.codelist is not None:
            assert str(entry.row.code) in found.sentence
    after = Evaluation(with_entries(record, found.entries), TODAY, definition.codelists)
    assert result_of(definition, indicator, after).status is Status.MET


def test_only_the_missing_part_is_asked_for():
    definition = CASES["several parts at once"]
    record = a_record(Row(date(2025, 6, 1), code=2001), Row(date(2025, 6, 1), code=3001, value=27.0))
    found = explain(definition, definition.indicators[0], record, TODAY)
    assert [entry.row.code for entry in found.entries] == [4001]


def test_a_closed_window_says_so_and_asks_for_nothing():
    window = illness.date + months(12)
    definition = define(met=events("review").between(illness.date, window).earliest(), due=window)
    found = explain(definition, definition.indicators[0], a_record(), TODAY)
    assert found.result.status is Status.OVERDUE
    assert found.entries == ()
    assert "can no longer be met: its window closed on 31 January 2025" in found.sentence


def test_what_cannot_be_decided_names_the_list():
    definition = define(met=events("unknown").latest())
    found = explain(definition, definition.indicators[0], a_record(), TODAY)
    assert found.result.status is Status.NOT_EVALUATED
    assert found.result.reason == "no_codes:unknown"
    assert "No codes are configured for ‘Unknown’" in found.sentence


def every_step(step):
    yield step
    for part in step.steps:
        yield from every_step(part)


def test_the_tree_holds_values_and_words():
    definition = CASES["a category that counts"]
    done = date(2025, 1, 1)
    found = explain(definition, definition.indicators[0], a_record(Row(done, code=2001)), TODAY)
    assert found.met.value is True
    assert "falls due again on 1 January 2026" in found.sentence
    assert done in [step.value for step in every_step(found.met)]
    assert [event.term for event in found.events] == ["Review done"]


def test_parts_are_shown_one_by_one_and_not_said_twice():
    definition = CASES["several parts at once"]
    found = explain(definition, definition.indicators[0], a_record(), TODAY)
    assert found.met.words == "all of these"
    assert [step.words for step in found.met.steps][1:] == ["‘Plan’ recorded", "‘Weight’ recorded"]


def test_someone_not_a_member_is_told_apart_from_a_rule_that_does_not_apply():
    definition = CASES["several parts at once"]
    stranger = Record(8, "Y00001", date(1960, 5, 5))
    assert explain(definition, definition.indicators[0], stranger, TODAY).sentence == (
        "The patient is not in this registry."
    )


def test_records_that_end_before_the_index_date_do_not_hide_what_to_record():
    definition = CASES["a category that counts"]
    record = replace(a_record(), records_to=date(2025, 6, 29))
    assert explain(definition, definition.indicators[0], record, TODAY).entries


def test_entries_made_here_before_do_not_pass_for_the_one_advised():
    definition = CASES["several parts at once"]
    record = a_record(Row(date(2020, 1, 1), code=2002, source="cohortium"))
    found = explain(definition, definition.indicators[0], record, TODAY)
    assert sorted(entry.row.code for entry in found.entries) == [2001, 3001, 4001]


def test_a_frame_that_was_not_touched_is_not_read_again():
    definition = CASES["several parts at once"]
    record = a_record(Row(date(2025, 6, 1), code=2001))
    before = Evaluation(record, TODAY, definition.codelists)
    met = definition.indicators[0].met
    before.value(met)
    entry = Row(TODAY, code=4001)
    more = replace(record, rows={**record.rows, "events": (*record.rows["events"], entry)})
    after = before.following(more, lambda rows: rows.codelist == "plan")
    fresh = Evaluation(more, TODAY, definition.codelists)
    assert after.value(met) == fresh.value(met)
    for node in nodes.walk(met):
        if isinstance(node, nodes.Frame):
            assert after.frame(node) == fresh.frame(node)


def test_a_negation_is_said_in_one_with_what_it_negates():
    definition = define(
        met=~(events("review").exists & events("plan").exists) & events("weight").latest().date.is_known
    )
    found = explain(definition, definition.indicators[0], a_record(), TODAY)
    neither, known = found.met.steps
    assert (neither.words, neither.value) == ("not all of these", True)
    assert [step.words for step in neither.steps] == ["‘Review’ recorded", "‘Plan’ recorded"]
    assert known.words == "the day of the latest ‘Weight’ is known"
    assert [step.words for step in known.steps] == ["the day of the latest ‘Weight’"]
