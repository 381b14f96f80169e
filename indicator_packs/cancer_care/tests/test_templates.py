"""The cancer care review: what each answer records, by hand, and that every heading of a holistic review is there."""

from datetime import date

import pytest

from cohortium_pack_cancer_care import pack
from cohortium_plugins.answering import is_for, items_for, missing, read_answers, recorded, shown_items
from cohortium_plugins.model import Code
from cohortium_plugins.model.serialise import bind
from cohortium_plugins.record import Record, Row
from cohortium_plugins.status import evaluate

DAY = date(2025, 11, 30)
SUPPORT, CONCERN, MATTERS, SELF_MANAGEMENT = 9_000_001, 9_000_002, 9_000_003, 9_000_004
LOCAL = {
    "cancer-support-discussed": (Code(SUPPORT, "Support discussed", local=True),),
    "cancer-concern": (Code(CONCERN, "Money worries", "financial", local=True),),
    "what-matters-to-you": (Code(MATTERS, "What matters", local=True),),
    "cancer-follow-up-pathway": (Code(SELF_MANAGEMENT, "Self-management", "supported-self-management", local=True),),
}
TEMPLATE = pack.templates["cancer-care-review"]
DEFINITION = bind(pack.definition, {}, LOCAL)
REVIEW = 720006006


def a_patient(*rows):
    spans = (Row(date(2000, 1, 1), practice="A", end_date=None),)
    events = (Row(date(2025, 1, 10), code=254837009), *rows)
    return Record(1, "A", date(1960, 5, 5), sex="female", rows={"events": events, "registrations": spans})


def codes(typed, definition=DEFINITION):
    answers, wrong = read_answers(TEMPLATE, {link: words if isinstance(words, list) else [words]
                                             for link, words in typed.items()})  # fmt: skip
    assert wrong == {}
    shown = shown_items(TEMPLATE, answers, items_for(TEMPLATE, definition, a_patient(), DAY))
    found = recorded(TEMPLATE, definition, answers, shown)
    return [(each.code and each.code.code, each.value, each.unit) for each in found]


@pytest.mark.parametrize(
    ("typed", "records"),
    [
        ({}, []),
        ({"matters.words": "My garden"}, [(MATTERS, None, None)]),
        ({"matters.goal": "Walk to the shop"}, []),
        ({"treatment.letter": "yes"}, [(1324891000000103, None, None)]),
        ({"treatment.letter": "no"}, []),
        ({"treatment.pathway": "self"}, [(SELF_MANAGEMENT, None, None)]),
        ({"treatment.pathway": "unknown"}, []),
        ({"physical.weight": "71.4"}, [(27113001, 71.4, "kg")]),
        ({"physical.smoking": "never"}, [(266919005, None, None)]),
        ({"physical.smoking": "ex", "physical.stop": "yes"}, [(8517006, None, None)]),
        ({"physical.smoking": "current", "physical.stop": "yes"}, [(77176002, None, None), (225323000, None, None)]),
        ({"mind.phq2": "4"}, [(836541000000100, 4.0, None)]),
        ({"money.concerns": ["bills", "benefits"]}, [(CONCERN, None, None)]),
        ({"support.discussed": "yes"}, [(SUPPORT, None, None)]),
        ({"support.hna": "yes"}, [(787261000000106, None, None)]),
        ({"support.medicines": "yes"}, [(88551000000109, None, None)]),
        ({"plan.status": "agreed"}, [(1187911000000105, None, None)]),
        ({"plan.status": "reviewed"}, [(1187921000000104, None, None)]),
        ({"plan.status": "declined"}, [(1325711000000103, None, None)]),
        ({"plan.status": "not-now", "plan.mine": "Ring the nurse", "next.date": "2025-12-24"}, []),
        ({"effects.which": ["pain"], "effects.words": "Rest", "social.words": "Sister helps"}, []),
    ],
)  # fmt: skip
def test_each_answer_records_its_code(typed, records):
    assert codes(typed) == [*records, (REVIEW, None, None)]


def test_what_no_tenant_has_given_codes_is_named_and_not_recorded():
    found = codes({"support.discussed": "yes", "money.concerns": ["bills"]}, pack.definition)
    assert found == [(None, None, None), (None, None, None), (REVIEW, None, None)]


def test_every_heading_of_a_holistic_review_is_there_and_most_of_it_in_plain_words():
    assert [item.link_id for item in TEMPLATE.items] == [
        "present", "matters", "treatment", "effects", "physical", "mind", "social", "practical", "money", "support",
        "plan", "next",
    ]  # fmt: skip
    assert [item.link_id for item in TEMPLATE.items if not item.plain] == ["present"]


def test_only_support_must_be_answered():
    shown = frozenset(item.link_id for item in TEMPLATE.walk())
    assert [item.link_id for item in missing(TEMPLATE, {}, shown)] == ["support.discussed"]


def test_it_is_for_people_of_the_registry():
    assert is_for(TEMPLATE, DEFINITION, a_patient(), DAY)
    assert not is_for(TEMPLATE, DEFINITION, Record(1, "A", date(1960, 5, 5)), DAY)


def test_what_it_records_turns_the_measures_green():
    before = {each.indicator: each.status for each in evaluate(DEFINITION, a_patient(), DAY)}
    typed = {"support.discussed": "yes", "support.hna": "yes", "support.medicines": "yes", "plan.status": "agreed",
             "physical.smoking": "never", "treatment.letter": "yes"}  # fmt: skip
    rows = [Row(DAY, code=code, value=value, unit=unit, source="cohortium") for code, value, unit in codes(typed)]
    after = {each.indicator: each.status for each in evaluate(DEFINITION, a_patient(*rows), DAY)}
    turned = {name for name in after if after[name] == "met" != before[name]}
    assert turned == {
        "can004-care-review-12-months", "comprehensive-review", "end-of-treatment-summary", "holistic-needs-assessment",
        "medication-review", "care-plan", "care-review", "support-discussed", "smoking-status-and-advice",
    }  # fmt: skip
