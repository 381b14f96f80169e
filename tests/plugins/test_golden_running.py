"""Golden patients on an engine, what differs, and mutants that they must tell from the rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date

import pytest

from cohortium_plugins.authoring import Cohort, Indicator, Stratifier, declined
from cohortium_plugins.errors import GoldenError
from cohortium_plugins.golden import Answer, Case, check, interpret, read_file
from cohortium_plugins.golden.mutants import mutants_of, survivors
from cohortium_plugins.language import coalesce, events, months, patient, value
from cohortium_plugins.model.definition import Code, Codelist, Definition
from cohortium_plugins.model.values import Status
from cohortium_plugins.record import Record

members = Cohort("members", title="Members", members=patient.is_registered, since=patient.registered_since)
measured = events("weight").where(value >= 20).latest()
weighed = Indicator(
    "weighed",
    title="Weighed",
    cohort=members,
    met=measured,
    every=months(12),
    shows=[measured.value, measured.code],
    adjustments=[declined("refusals")],
    source="made up",
)
sex = Stratifier("sex", title="Sex", value=coalesce(patient.sex, "unknown"), labels={})


def codelist(name: str, *codes: int) -> Codelist:
    return Codelist(name, name, "made up", "1", tuple(Code(code, name) for code in codes))


DEFINITION = Definition(
    {"weight": codelist("weight", 27113001), "refusals": codelist("refusals")}, (), (members,), (weighed,), (sex,)
)

WHOLE = """
indicator = "weighed"
index_date = 2025-05-08
[codes]
weight = 27113001
refused = 1001

[[patient]]
name = "weighed"
why = "12 months"
registered = [2000-01-01]
events = ["2024-05-08 weight value=20"]
at.2025-05-08 = { status = "met", met_date = 2024-05-08, due_date = 2025-05-08, value = 20, value_code = "weight" }
at.2025-05-09 = { status = "overdue", due_date = 2025-05-08 }

[[patient]]
name = "weighed twice"
registered = [2000-01-01]
events = ["2024-09-08 weight value=20", "2025-01-08 weight value=21"]
expect = { status = "met", met_date = 2025-01-08, value = 21 }

[[patient]]
name = "a kitten"
registered = [2000-01-01]
events = ["2025-01-08 weight value=19"]
expect = { status = "overdue", due_date = "now" }

[[patient]]
name = "weighed at 19.5"
registered = [2000-01-01]
events = ["2025-01-08 weight value=19.5"]
expect = "overdue"

[[patient]]
name = "refused"
registered = [2000-01-01]
events = ["2024-05-08 refused"]
local_codes.refusals = ["refused"]
at.2025-05-07 = { status = "excluded", adjustment = "declined" }
at.2025-05-08 = { status = "excluded", adjustment = "declined" }
at.2025-05-09 = "overdue"

[[patient]]
name = "gone"
registered = [{ start = 2000-01-01, end = 2025-05-07 }]
expect = "not_applicable"

[[patient]]
name = "nothing to weigh with"
registered = [2000-01-01]
without_codes = ["weight"]
expect = { status = "not_evaluated", reason = "no_codes:weight" }
"""


def cases(text: str = WHOLE) -> Sequence[Case]:
    return read_file("weighed.toml", text).cases


def test_what_is_as_expected_gives_no_difference() -> None:
    assert list(check(DEFINITION, cases())) == []


def test_a_difference_names_the_case_the_column_and_both_values() -> None:
    wrong = cases(WHOLE.replace("value = 20,", "value = 21,").replace('expect = "not_applicable"', 'expect = "due"'))
    found = [(d.case.label, str(d)) for d in check(DEFINITION, wrong)]
    assert found == [
        ("weighed [2025-05-08]", "weighed: value: expected 21.0, got 20.0"),
        ("gone [2025-05-08]", "weighed: status: expected due, got not_applicable"),
    ]


def test_members_are_compared_with_their_strata() -> None:
    head = 'index_date = 2025-05-08\n[[patient]]\nname = "one"\nsex = "male"\nregistered = [2000-01-01]\n'
    good = head + 'expect = { member = true, since = 2000-01-01, strata = { sex = "male" } }'
    wrong = head + 'expect = { member = true, since = 2000-01-02, strata = { sex = "female" } }'
    absent = head.replace("2000-01-01", "2025-05-09") + "expect = { member = true }"
    assert list(check(DEFINITION, cases(good))) == []
    assert [str(d) for d in check(DEFINITION, cases(wrong))] == [
        "cohort: since: expected 2000-01-02, got 2000-01-01",
        "cohort: stratum sex: expected female, got male",
    ]
    assert [str(d) for d in check(DEFINITION, cases(absent))] == ["cohort: member: expected True, got False"]


def test_an_engine_is_given_bound_definitions_and_may_answer_at_more_dates_than_asked() -> None:
    asked: list[tuple[int, list[date]]] = []

    def engine(definition: Definition, records: Sequence[Record], index_dates: Sequence[date]) -> Answer:
        asked.append((len(records), list(index_dates)))
        answer = interpret(definition, records, index_dates)
        wrong = [dataclasses.replace(result, status=Status.DUE) for result in answer.results]
        return Answer(wrong, answer.members)

    assert {d.got for d in check(DEFINITION, cases(), engine)} == {Status.DUE}
    assert asked == [
        (5, [date(2025, 5, 8), date(2025, 5, 9)]),
        (1, [date(2025, 5, 7), date(2025, 5, 8), date(2025, 5, 9)]),
        (1, [date(2025, 5, 8)]),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"weighed"\nindex', '"wheighed"\nindex', "The pack has no indicator wheighed. Did you mean weighed?"),
        ('["weight"]', '["wait"]', "There is no codelist wait. Did you mean weight?"),
        ("local_codes.refusals", "local_codes.refusal", "There is no codelist refusal."),
    ],
)
def test_names_that_the_pack_does_not_have(old: str, new: str, message: str) -> None:
    with pytest.raises(GoldenError, match=r"weighed\.toml") as raised:
        list(check(DEFINITION, cases(WHOLE.replace(old, new))))
    assert message in str(raised.value)


def test_a_stratifier_that_the_pack_does_not_have() -> None:
    text = (
        'index_date = 2025-05-08\n[[patient]]\nname = "one"\nregistered = [2000-01-01]\n'
        'expect = { member = true, strata = { sexx = "male" } }'
    )
    with pytest.raises(GoldenError, match=r"no stratifier sexx\. Did you mean sex\?"):
        list(check(DEFINITION, cases(text)))


def test_every_mutant_but_the_equivalent_is_told_apart() -> None:
    made = list(mutants_of(weighed))
    assert len({mutant.id for mutant in made}) == len(made) > 20
    alive = [mutant.change for mutant in survivors(DEFINITION, made, cases())]
    assert alive == ["part 1 left out"], "every= asks for a row and its date; without a row the date is unknown"


@pytest.mark.parametrize(
    ("gone", "change"),
    [
        ("a kitten", "filter left out"),
        ("weighed twice", "latest to earliest"),
        ("refused", "adjustment declined left out"),
        ("refused", "12 months to 13 months"),
    ],
)
def test_without_its_golden_patient_a_mutant_survives(gone: str, change: str) -> None:
    kept = [case for case in cases() if case.patient not in (gone, "weighed at 19.5")]
    assert change in {mutant.change for mutant in survivors(DEFINITION, mutants_of(weighed), kept)}


def test_parts_that_are_settled_are_left_alone() -> None:
    all_changes = {mutant.id for mutant in mutants_of(weighed)}
    fewer = {mutant.id for mutant in mutants_of(weighed, {measured.node.frame})}
    assert fewer < all_changes


def test_cohorts_and_stratifiers_have_mutants_too() -> None:
    assert [mutant.id.partition(" #")[0] for mutant in mutants_of(sex)] == [
        "sex: unknown to mutant",
        "sex: part 1 left out",
        "sex: part 2 left out",
    ]
    assert list(mutants_of(members)) == []
