"""The pack as a whole: what it holds, that its documents agree with it, that its golden patients cover it."""

import csv
import dataclasses
import re
from importlib.resources import files
from itertools import groupby

import pytest

from cohortium_pack_cancer_care import pack
from cohortium_plugins.golden import read_files
from cohortium_plugins.model import nodes
from cohortium_plugins.model.serialise import from_json, to_json
from cohortium_plugins.model.values import Status

definition = pack.definition
codelists = files("cohortium_pack_cancer_care") / "codelists"
cases = [case for file in read_files(pack.golden) for case in file.cases]

GROUPS = {
    "QOF and NICE": ["can001-cancer-register", "can004-care-review-12-months", "can005-support-within-3-months"],
    "Admin": ["admin-next-of-kin", "admin-contact-details", "primary-care-consultations", "gp-cancer-register"],
    "Cancer Care": [
        "adherence-care-plan",
        "comprehensive-review",
        "end-of-treatment-summary",
        "holistic-needs-assessment",
        "medication-review",
        "care-plan",
        "care-review",
        "support-discussed",
        "treatments-coded",
    ],
    "Screening": ["bowel-screening", "breast-screening", "cervical-screening"],
    "HP lifestyle": [
        "alcohol-use-screening",
        "smoking-status-and-advice",
        "weight-and-bmi",
        "weight-management-and-diet-advice",
    ],
    "Vaccination": ["flu-vaccination"],
    "Depression and Anxiety": ["depression-and-anxiety-screening"],
}
NOT_FOUND = [
    "cancer-adherence-care-plan",
    "cancer-care-declined",
    "cancer-care-unsuitable",
    "cancer-concern",
    "cancer-follow-up-pathway",
    "cancer-stage",
    "cancer-support-discussed",
    "what-matters-to-you",
]
ALWAYS_MET = ("can001-cancer-register", "gp-cancer-register")
"""Indicators that say what the cohort says: a member is never due."""


def test_the_indicators_stand_in_their_groups_in_order():
    found = {group: [i.name for i in some] for group, some in groupby(definition.indicators, lambda i: i.group)}
    assert found == GROUPS
    assert pack.groups == tuple(GROUPS)


def test_three_quality_indicators_and_the_22_rows_of_the_old_registry():
    assert len(GROUPS["QOF and NICE"]) == 3
    assert sum(map(len, GROUPS.values())) == 25


def test_each_indicator_says_what_it_means_and_where_it_comes_from():
    for indicator in definition.indicators:
        assert indicator.description.endswith(".")
        assert indicator.source
        assert not indicator.unsure or indicator.unsure.endswith(".")


def test_the_definition_survives_json():
    assert dataclasses.replace(pack, definition=from_json(to_json(definition))).hash == pack.hash


def test_every_codelist_is_used_and_only_the_unfound_are_empty():
    used = {name for node in nodes.walk(*definition.roots()) if (name := getattr(node, "codelist", None))}
    recorded = {recording.codelist for template in pack.templates.values() for recording in template.recordings()}
    assert used | recorded == set(definition.codelists)
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
        ("cancer-diagnosis", {"primary"}),
        ("care-planning", {"plan-agreed", "plan-reviewed", "declined"}),
        ("hysterectomy", {"cervix-removed"}),
    ],
)
def test_the_categories_that_rules_name_exist(codelist, rules):
    with (codelists / f"{codelist}.csv").open(encoding="utf-8") as lines:
        assert rules <= {row["category"] for row in csv.DictReader(lines)}


def test_operations_that_leave_the_cervix_are_not_taken_for_its_removal():
    removed = [c.term.lower() for c in definition.codelists["hysterectomy"].codes if c.category == "cervix-removed"]
    assert "total hysterectomy (procedure)" in removed
    for word in ("loop", "cone", "myomectomy", "polyp", "partial hysterectomy", "lesion", "biopsy"):
        assert not [term for term in removed if word in term], word


@pytest.mark.parametrize("indicator", definition.indicators, ids=lambda i: i.name)
def test_golden_patients_cover_every_status_that_can_be_reached(indicator):
    reachable = set(Status)
    if not indicator.adjustments:
        reachable -= {Status.EXCLUDED}
    if indicator.name in ALWAYS_MET:
        reachable -= {Status.DUE, Status.OVERDUE}
    found = {result.status for case in cases for result in case.results if result.indicator == indicator.name}
    assert reachable - found == set()


def test_every_adjustment_excludes_a_golden_patient():
    found = {(r.indicator, r.fields["adjustment"]) for case in cases for r in case.results}
    named = {(i.name, adjustment.name) for i in definition.indicators for adjustment in i.adjustments}
    assert named <= found


def test_every_golden_patient_says_why():
    assert [case.label for case in cases if not case.why] == []


def test_the_demonstration_record_speaks_of_every_indicator():
    (case, *_) = [c for c in cases if c.file == "demonstration.toml"]
    assert {result.indicator for result in case.results} == {indicator.name for indicator in definition.indicators}
