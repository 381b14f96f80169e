"""The pack as a whole: what it holds, that its documents agree with it, that its golden patients cover it."""

import csv
import dataclasses
import re
from importlib.resources import files
from itertools import groupby

import pytest

from cohortium_pack_multimorbidity_review import pack
from cohortium_pack_multimorbidity_review.conditions import COUNTED, SHOWN
from cohortium_pack_multimorbidity_review.reviews_due import REVIEWS
from cohortium_plugins.golden import read_files
from cohortium_plugins.model import nodes
from cohortium_plugins.model.serialise import from_json, to_json
from cohortium_plugins.model.values import Status

definition = pack.definition
codelists = files("cohortium_pack_multimorbidity_review") / "codelists"
cases = [case for file in read_files(pack.golden) for case in file.cases]

GROUPS = {
    "Yearly review": 7,
    "Condition reviews": 15,
    "Medicines": 2,
    "Checks and tests": 5,
    "Lifestyle": 4,
    "Mental health": 2,
    "Frailty": 2,
    "The person": 3,
    "Vaccination": 1,
    "Conditions": 27,
}
NOT_FOUND = [
    "analgesics",
    "antiepileptics-for-pain",
    "atrial-fibrillation-resolved",
    "chronic-liver-disease-review",
    "dxa-osteoporosis",
    "epilepsy-treatment",
    "learning-disability-removed",
    "lithium",
    "peripheral-arterial-disease-review",
    "social-need",
    "what-matters-to-you",
]
ALWAYS_MET = {f"condition-{condition.name}" for condition in (*COUNTED, *SHOWN)}
"""Indicators that say who is on a register: they are met whenever they apply."""
UNDECIDED = {"condition-obesity", "what-matters", "social-prescribing"}
"""Beside the reviews without codes: what can be not evaluated by what the record lacks."""


def test_the_indicators_stand_in_their_groups():
    assert {group: len(list(some)) for group, some in groupby(definition.indicators, lambda i: i.group)} == GROUPS
    assert pack.groups == tuple(GROUPS)


def test_24_conditions_are_counted_and_three_shown():
    assert (len(COUNTED), len(SHOWN)) == (24, 3)
    named = [condition.name for condition in (*COUNTED, *SHOWN)]
    assert len(set(named)) == len(named)
    assert [i.name for i in definition.indicators if i.group == "Conditions"] == [f"condition-{n}" for n in named]


def test_each_review_has_its_indicator_and_its_codes():
    assert {f"review-{review.condition.name}" for review in REVIEWS} == {
        i.name for i in definition.indicators if i.name.startswith("review-")
    }
    listed = {code.category for code in definition.codelists["ltc-annual-review"].codes}
    assert {review.condition.name for review in REVIEWS if review.known is None} == listed


def test_adjustments_are_listed_where_the_list_has_codes_for_them():
    has = {code.category for code in definition.codelists["personalised-care-adjustment"].codes}
    kinds = {"unsuitable": "unsuitable", "dissent": "dissent", "no-response": "invitation"}
    for review in REVIEWS:
        indicator = definition.indicator(f"review-{review.condition.name}")
        named = {adjustment.name for adjustment in indicator.adjustments}
        assert named & set(kinds) == {name for name, kind in kinds.items() if f"{review.condition.name}|{kind}" in has}


def test_each_indicator_says_what_it_means_and_where_it_comes_from():
    for indicator in definition.indicators:
        assert indicator.description.endswith("."), indicator.name
        assert indicator.source
        assert not indicator.unsure or indicator.unsure.endswith("."), indicator.name


def test_the_definition_survives_json():
    assert dataclasses.replace(pack, definition=from_json(to_json(definition))).hash == pack.hash


def test_every_codelist_is_used_and_only_the_unfound_are_empty():
    used = {name for node in nodes.walk(*definition.roots()) if (name := getattr(node, "codelist", None))}
    assert used == set(definition.codelists)
    empty = [name for name, codelist in sorted(definition.codelists.items()) if not codelist.codes]
    assert empty == NOT_FOUND
    assert all(definition.codelists[name].source == "not found" for name in NOT_FOUND)


def test_the_page_of_sources_counts_the_codes_of_every_file():
    page = (codelists / "SOURCES.md").read_text(encoding="utf-8")
    told = {name: int(count.replace(",", "")) for name, count in re.findall(r"\| `(.*?)\.csv` \| ([\d,]+) \|", page)}
    assert told == {name: len(codelist.codes) for name, codelist in definition.codelists.items()}


@pytest.mark.parametrize(
    ("codelist", "rules"),
    [
        ("care-planning", {"annual-review-completed", "check-and-test", "summary-shared", "plan-agreed"}),
        ("frailty", {"mild", "moderate", "severe", "efi-score"}),
        ("clinical-frailty-scale", {str(level) for level in range(1, 10)}),
    ],
)
def test_the_categories_that_rules_name_exist(codelist, rules):
    with (codelists / f"{codelist}.csv").open(encoding="utf-8") as lines:
        assert rules <= {row["category"] for row in csv.DictReader(lines)}


@pytest.mark.parametrize("indicator", definition.indicators, ids=lambda i: i.name)
def test_golden_patients_cover_every_status_that_can_be_reached(indicator):
    found = {result.status for case in cases for result in case.results if result.indicator == indicator.name}
    wanted = {Status.MET}
    if indicator.name not in ALWAYS_MET:
        wanted |= {Status.OVERDUE}
    if indicator.adjustments:
        wanted |= {Status.EXCLUDED}
    if indicator.applies is not nodes.Constant(True, nodes.Exists(nodes.Rows("events", "falls")).type):  # noqa: FBT003
        wanted |= {Status.NOT_APPLICABLE}
    if indicator.name in UNDECIDED:
        wanted |= {Status.NOT_EVALUATED}
    assert wanted - found == set()


def test_every_adjustment_excludes_a_golden_patient():
    found = {(r.indicator, r.fields["adjustment"]) for case in cases for r in case.results}
    named = {(i.name, adjustment.name) for i in definition.indicators for adjustment in i.adjustments}
    assert named <= found


def test_every_stratum_has_a_golden_patient():
    found = {item for case in cases if case.member for item in case.member.strata.items()}
    wanted = {(stratifier.name, value) for stratifier in definition.stratifiers for value, _ in stratifier.labels}
    assert wanted - found == {("age-band", "unknown")}  # nobody is a member whose age is not known


def test_every_golden_patient_says_why():
    assert [case.label for case in cases if not case.why] == []
