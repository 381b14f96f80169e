"""The combined review: only the sections that a person needs, and each condition's own review code."""

from datetime import date

import pytest

from cohortium_pack_multimorbidity_review import pack
from cohortium_plugins.answering import items_for, read_answers, recorded, shown_items
from cohortium_plugins.model.serialise import bind
from cohortium_plugins.record import Record, Row
from cohortium_plugins.status import evaluate

DAY = date(2025, 11, 30)
DEFINITION = bind(pack.definition, {})
TEMPLATE = pack.templates["long-term-conditions-review"]
DIABETES, HYPERTENSION, BREAST_CANCER, COPD = 44054006, 38341003, 254837009, 13645005
ALWAYS = {"present", "matters", "measured", "mind", "living", "medicines", "plan", "next"}


def a_patient(*codes, born=date(1970, 5, 5), more=()):
    spans = (Row(date(2000, 1, 1), practice="A"),)
    events = (*(Row(date(2019, 3, 1), code=code, episode="first") for code in codes), *more)
    return Record(1, "A", born, sex="female", rows={"events": events, "registrations": spans})


def sections(record):
    shown = items_for(TEMPLATE, DEFINITION, record, DAY)
    return {item.link_id for item in TEMPLATE.items if item.link_id in shown}


def codes(record, **typed):
    answers, wrong = read_answers(TEMPLATE, {link.replace("__", "."): [words] for link, words in typed.items()})
    assert wrong == {}
    shown = shown_items(TEMPLATE, answers, items_for(TEMPLATE, DEFINITION, record, DAY))
    return [(each.code and each.code.code, each.value, each.unit)
            for each in recorded(TEMPLATE, DEFINITION, answers, shown)]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "own"),
    [
        (a_patient(DIABETES, HYPERTENSION), {"diabetes", "hypertension"}),
        (a_patient(DIABETES, BREAST_CANCER), {"diabetes", "cancer"}),
        (a_patient(COPD, HYPERTENSION, born=date(1950, 1, 1)), {"copd", "hypertension", "frailty"}),
    ],
)
def test_only_the_sections_that_a_person_needs_are_shown(record, own):
    assert sections(record) == ALWAYS | own


@pytest.mark.parametrize(
    ("typed", "records"),
    [
        ({"diabetes__done": "yes"}, [(170777000, None, None)]),
        ({"diabetes__done": "no"}, []),
        ({"hypertension__done": "yes"}, [(401118009, None, None)]),
        ({"cancer__done": "yes"}, [(720006006, None, None)]),
        ({"copd__done": "yes"}, []),  # not theirs, so not shown
        ({"measured__systolic": "132", "measured__diastolic": "78"},
         [(271649006, 132.0, "mm[Hg]"), (271650006, 78.0, "mm[Hg]")]),
        ({"mind__phq2": "2", "mind__gad7": "5"}, [(836541000000100, 2.0, None), (445455005, 5.0, None)]),
        ({"living__smoking": "current", "living__stop": "yes"}, [(77176002, None, None), (225323000, None, None)]),
        ({"medicines__kind": "structured"}, [(1239511000000100, None, None)]),
        ({"plan__status": "agreed"}, [(1187911000000105, None, None)]),
        ({"matters__words": "My dog"}, [(None, None, None)]),  # no tenant has given a code here
    ],
)  # fmt: skip
def test_each_answer_records_its_code_and_completing_the_review(typed, records):
    record = a_patient(DIABETES, HYPERTENSION, BREAST_CANCER)
    assert codes(record, **typed) == [*records, (888461000000107, None, None)]


def test_each_conditions_own_review_turns_green():
    record = a_patient(DIABETES, HYPERTENSION, BREAST_CANCER)
    before = {each.indicator: each.status for each in evaluate(DEFINITION, record, DAY)}
    found = codes(record, diabetes__done="yes", hypertension__done="yes", cancer__done="yes", plan__status="agreed")
    rows = [Row(DAY, code=code, value=value, unit=unit, source="cohortium") for code, value, unit in found]
    reviewed = a_patient(DIABETES, HYPERTENSION, BREAST_CANCER, more=rows)
    after = {each.indicator: each.status for each in evaluate(DEFINITION, reviewed, DAY)}
    turned = {name for name in after if after[name] == "met" != before[name]}
    assert {
        "review-diabetes",
        "review-hypertension",
        "combined-appointment",
        "annual-review",
        "care-plan-agreed",
    } <= turned
