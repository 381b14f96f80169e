"""Each check is tripped by a small pack; a sound one trips none."""

import dataclasses
from pathlib import Path

import pytest

from cohortium_pack_cancer_care import pack as cancer_care
from cohortium_pack_multimorbidity_review import pack as multimorbidity_review
from cohortium_plugins.authoring import Cohort, Indicator, Stratifier, adjustment, declined, unsuitable
from cohortium_plugins.checks import Severity, check_pack
from cohortium_plugins.language import (
    all_of,
    any_of,
    case,
    coalesce,
    count_true,
    days,
    entry_date,
    events,
    index_date,
    months,
    otherwise,
    patient,
    value,
    when,
)
from cohortium_plugins.model import Code, Codelist, ValueType, nodes
from cohortium_plugins.pack import Pack

GUIDE = Path(__file__).parents[2] / "docs" / "pack-developer" / "checking-a-pack.md"
done = events("done").latest()
registered = patient.is_registered


def codelist(name, *codes, category=None, source="x"):
    return Codelist(name, name.title(), source, "1", tuple(Code(number, "", category) for number in codes))


LISTS = [codelist("illness", 1, 2, 3, category="primary"), codelist("done", 11, 12)]
GOLDEN = """
index_date = 2025-06-30
indicator = "{name}"

[codes]
illness = 1
done = 11

[[patient]]
name = "done a year ago"
born = 1960-01-01
registered = [2000-01-01]
events = ["2024-01-01 illness", "2024-06-30 done"]
expect = "met"

[[patient]]
name = "not done"
born = 1960-01-01
registered = [2000-01-01]
events = ["2024-01-01 illness"]
expect = "overdue"
"""


def cohort(members=None, **given):
    illness = events("illness").earliest()
    rule = registered & illness.exists if members is None else members
    return Cohort("people", **{"title": "People", "members": rule, "since": illness.date, "source": "x", **given})


def indicator(people, name="check", **given):
    met = {} if "met" in given else {"met": done, "every": months(12)}
    return Indicator(name, **{"title": "Check", "cohort": people, "source": "x", **met, **given})


def pack(*, people=None, lists=(), stratifiers=(), golden=None, **given):
    people = people or cohort()
    return Pack.build(
        id="small",
        version="1",
        title="Small",
        publisher="x",
        codelists={item.name: item for item in (*LISTS, *lists)},
        cohorts=[people],
        indicators=[indicator(people, **given)],
        stratifiers=stratifiers,
        golden={"check.toml": GOLDEN.format(name="check")} if golden is None else golden,
    )


def found(checked):
    return {(finding.check, finding.severity.value) for finding in check_pack(checked)}


def test_a_sound_pack_trips_no_check():
    assert check_pack(pack()) == ()


def group(rule, **labels):
    return Stratifier("group", title="Group", value=rule, labels=labels)


def built_by_hand(frame):
    """A pack as it could be read from data: the language refuses such a rule."""
    sound = pack()
    check = dataclasses.replace(sound.definition.indicators[0], met=nodes.Exists(frame))
    return dataclasses.replace(sound, definition=dataclasses.replace(sound.definition, indicators=(check,)))


BACK_TO_FRONT = nodes.Filter(
    nodes.Filter(events("done").node, (entry_date >= index_date).node), (entry_date < index_date - days(1)).node
)

TRIPPED = {
    ("no-member", "error"): lambda: pack(people=cohort(registered & ~registered & events("illness").exists)),
    ("applies-to-nobody", "error"): lambda: pack(
        people=cohort(registered & events("illness").exists & (patient.age >= 65)), applies=patient.age < 18
    ),
    ("never-met", "error"): lambda: pack(applies=patient.age >= 40, met=done.exists & (patient.age < 40)),
    ("always-met", "advice"): lambda: pack(met=events("illness").exists | done.exists),
    ("window", "error"): lambda: built_by_hand(BACK_TO_FRONT),
    ("constant-part", "warning"): lambda: pack(met=done.exists | (count_true(done.exists, registered) >= 3)),
    ("adjustment", "warning"): lambda: pack(
        adjustments=[adjustment("never", "Never", all_of(patient.age > 60, patient.age < 50))]
    ),
    ("adjustment-order", "advice"): lambda: pack(
        adjustments=[declined("refusal"), unsuitable("unfit")],
        lists=[codelist("refusal", 21), codelist("unfit", 22)],
    ),
    ("list-unused", "warning"): lambda: pack(lists=[codelist("spare", 31)]),
    ("list-empty", "warning"): lambda: pack(lists=[codelist("none")], met=done.exists | events("none").exists),
    ("list-empty", "advice"): lambda: pack(lists=[codelist("none")], adjustments=[declined("none")]),
    ("lists-alike", "warning"): lambda: pack(
        lists=[codelist("again", 1, 2, 3)], met=done.exists & events("again").exists
    ),
    ("lists-opposed", "warning"): lambda: pack(lists=[codelist("declined", 11)], adjustments=[declined("declined")]),
    ("no-source", "error"): lambda: pack(source=" "),
    ("no-source", "warning"): lambda: pack(people=cohort(source="")),
    ("golden-unreadable", "error"): lambda: pack(golden={"check.toml": "indicator = "}),
    ("no-golden", "error"): lambda: pack(golden={}),
    ("golden-met", "warning"): lambda: pack(
        golden={"check.toml": GOLDEN.format(name="check").replace('"met"', '"overdue"')}
    ),
    ("golden-not-met", "warning"): lambda: pack(
        golden={"check.toml": GOLDEN.format(name="check").replace('"overdue"', '"met"')}
    ),
    ("golden-boundary", "advice"): lambda: pack(
        golden={"check.toml": GOLDEN.format(name="check").replace("2024-06-30 done", "2024-08-30 done")}
    ),
    ("label-missing", "error"): lambda: pack(
        stratifiers=[group(case(when(patient.age >= 65).then("old"), otherwise("young")), old="Old")]
    ),
    ("label-unused", "warning"): lambda: pack(
        stratifiers=[group(coalesce(events("illness").latest().category, "other"), primary="P", other="O", rare="R")]
    ),
    ("no-group", "warning"): lambda: pack(stratifiers=[group(patient.sex, female="F", male="M", indeterminate="I")]),
}


@pytest.mark.parametrize("check", TRIPPED, ids=[" ".join(check) for check in TRIPPED])
def test_each_check_finds_what_it_is_for(check):
    assert check in found(TRIPPED[check]())


def test_a_window_around_rows_that_ends_before_it_begins_is_found():
    five, six = (nodes.Constant(days(-count), ValueType.DURATION) for count in (5, 6))
    near = nodes.Near(events("done").node, events("illness").node, five, six)
    assert {("window", "error"), ("never-met", "error")} <= found(built_by_hand(near))


def test_a_parameter_without_use_is_found():
    sound = pack()
    spare = dataclasses.replace(cancer_care.definition.parameters[0], name="spare")
    assert ("parameter-unused", "warning") in found(dataclasses.replace(sound, unused=(spare,)))


def test_what_is_found_says_where_and_what_to_do():
    missing = check_pack(pack(golden={}))
    assert [(item.subject, item.place.file) for item in missing] == [(("indicator", "check"), __file__)]
    assert missing[0].advice == "Write golden/check.toml."


def test_the_worst_comes_first():
    severities = [item.severity for item in check_pack(pack(golden={}, lists=[codelist("spare", 31)], source=""))]
    assert severities == sorted(severities, key=list(Severity).index)


@pytest.mark.parametrize(
    "met",
    [
        done.exists & ~events("illness").where(value > 3).exists,
        any_of(done.exists, ~done.exists) & done.exists,
        (patient.age >= 18) & (done.value > 5) & (done.value < 50),
    ],
)
def test_what_can_be_met_is_not_called_impossible(met):
    assert ("never-met", "error") not in found(pack(met=met))


def test_every_check_is_described_in_the_guide():
    described = GUIDE.read_text(encoding="utf-8")
    for check, severity in [*TRIPPED, ("parameter-unused", "warning")]:
        assert f"| `{check}` | {severity}" in described


@pytest.mark.parametrize(
    ("checked", "named"), [(cancer_care, "cancer care"), (multimorbidity_review, "multimorbidity review")]
)
def test_what_is_found_in_our_packs_is_explained_in_the_guide(checked, named):
    explained = (
        GUIDE.read_text(encoding="utf-8").partition(f"## What is found in the {named} pack")[2].partition("\n## ")[0]
    )
    for finding in check_pack(checked):
        assert finding.severity is not Severity.ERROR
        assert f"`{finding.check}`" in explained
        assert f"`{finding.subject[1]}`" in explained
