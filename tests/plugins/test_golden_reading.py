"""What a file of golden patients may say, and how it complains."""

from __future__ import annotations

import re
from datetime import date

import pytest

from cohortium_plugins.errors import GoldenError
from cohortium_plugins.golden import GoldenFile, read_file, read_files
from cohortium_plugins.model.definition import Code
from cohortium_plugins.record import Row

SHARED = """
index_date = 2025-05-08
[codes]
review = 720006006
[[patient]]
name = "someone"
born = 1960-02-29
sex = "female"
registered = [2000-01-01]
events = ["2020-01-15 399326009 episode=first"]
"""


def read(text: str) -> GoldenFile:
    shared, file = read_files({"shared.toml": SHARED, "x.toml": text})
    assert shared.cases == ()
    return file


def patient(body: str, head: str = 'indicator = "care"') -> str:
    return f'{head}\n[[patient]]\nname = "one"\nbased_on = "someone"\n{body}\n'


def test_rows_are_added_to_those_of_the_patient_it_is_based_on_in_order() -> None:
    (case,) = read(patient('events = ["2024-02-29 review value=2.5 unit=kg source=R1A"]\nexpect = "met"')).cases
    assert case.record.rows["events"] == (
        Row(date(2020, 1, 15), code=399326009, episode="first", entry=0),
        Row(date(2024, 2, 29), code=720006006, value=2.5, unit="kg", source="R1A", entry=1),
    )
    assert (case.record.date_of_birth, case.record.sex) == (date(1960, 2, 29), "female")


def test_everything_else_is_replaced_and_none_takes_away() -> None:
    (case,) = read(patient('sex = "none"\nregistered = ["2010-01-01"]\nexpect = "met"')).cases
    assert case.record.sex is None
    (registration,) = case.record.rows["registrations"]
    assert (registration.date, registration.practice) == (date(2010, 1, 1), case.record.practice)


def test_each_date_of_at_is_a_case() -> None:
    cases = read(patient('at.2025-01-01 = "met"\nat.2025-01-02 = { status = "due", due_date = "now" }')).cases
    assert [(case.index_date, case.label) for case in cases] == [
        (date(2025, 1, 1), "one [2025-01-01]"),
        (date(2025, 1, 2), "one [2025-01-02]"),
    ]
    assert cases[1].results[0].fields == {"reason": None, "adjustment": None, "status": "due", "due_now": True}


def test_due_dates_say_now_a_day_or_none() -> None:
    def fields(due: str) -> object:
        (case,) = read(patient(f'expect = {{ status = "overdue", due_date = {due} }}')).cases
        said = case.results[0].fields
        return said.get("due_date", "not compared"), said["due_now"]

    assert fields('"now"') == ("not compared", True)
    assert fields('"none"') == (None, False)
    assert fields("2025-01-01") == (date(2025, 1, 1), False)


def test_practices_that_were_loaded_differently_are_different_practices() -> None:
    full = read(patient('expect = "met"')).cases[0].record
    partly = read(patient('not_loaded = ["contacts"]\nrecords_to = 2025-01-31\nexpect = "met"')).cases[0].record
    assert partly.missing == {"contacts"}
    assert partly.records_to == date(2025, 1, 31)
    assert full.practice != partly.practice


def test_a_tenant_s_own_codes_and_parameters() -> None:
    codes = 'local_codes.support = [{ code = 1001, category = "given" }, "review"]'
    binding = read(patient(f'parameters = {{ strict = true }}\n{codes}\nexpect = "met"')).cases[0].binding
    assert binding.parameters == (("strict", True),)
    ((name, codes),) = binding.local_codes
    assert name == "support"
    assert codes == (
        Code(1001, "local code 1001", "given", local=True),
        Code(720006006, "local code 720006006", None, local=True),
    )


def test_a_file_without_an_indicator_speaks_of_members_and_results() -> None:
    strata = 'strata = { sex = "female", stage = "none" }'
    said = f'expect = {{ member = true, since = 2020-01-15, {strata}, results = {{ care = "met" }} }}'
    (case,) = read(patient(said, head="")).cases
    assert case.member is not None
    assert case.member.fields == {"since": date(2020, 1, 15)}
    assert case.member.strata == {"sex": "female", "stage": None}
    assert [result.indicator for result in case.results] == ["care"]


def test_patients_keep_their_pseudonym_wherever_they_stand() -> None:
    first = read(patient('expect = "met"')).cases[0].record.patient_id
    again = read(patient('why = "for a reason"\nexpect = "due"')).cases[0].record.patient_id
    other = read_file("y.toml", patient('expect = "met"'), read_file("shared.toml", SHARED)).cases[0].record.patient_id
    assert first == again != other
    assert 0 < first < 2**63


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('expekt = "met"', 'x.toml, "one": the key expekt is not known. Did you mean expect?'),
        ('expect = "mett"', 'x.toml, "one": mett is not a status. Did you mean met?'),
        (
            'expect = { status = "met", duedate = 2025-01-01 }',
            'x.toml, "one": a result has no duedate. Did you mean due_date?',
        ),
        ('expect = { status = "met", met_date = "soon" }', 'x.toml, "one": met_date must be a day.'),
        ('expect = { status = "met", value = "high" }', 'x.toml, "one": value must be a number.'),
        ('expect = { status = "met", value_text = 3 }', 'x.toml, "one": value_text must be text.'),
        ('expect = { status = "met", value_code = "reviw" }', "no code is called reviw. Did you mean review?"),
        ("expect = 3", "what is expected must be a status or a table."),
        ('why = "no expectation"', 'x.toml, "one": nothing is expected.'),
        ('at.tomorrow = "met"', 'x.toml, "one": at must be a day.'),
        ('events = ["2025-01-01"]\nexpect = "met"', "the line '2025-01-01' has no code."),
        ('events = ["1/1/2025 review"]\nexpect = "met"', "'1/1/2025' is not a day."),
        ('events = ["2025-01-01 reviw"]\nexpect = "met"', "no code is called reviw. Did you mean review?"),
        ('events = ["2025-01-01 review vale=3"]\nexpect = "met"', "'vale=3' cannot stand in a line of events."),
        ('events = ["2025-01-01 review value=x"]\nexpect = "met"', "'x' is not a number."),
        ('contacts = ["2025-01-01 mobile unit=x"]\nexpect = "met"', "'unit=x' cannot stand in a line of contacts."),
        ('not_loaded = ["event"]\nexpect = "met"', "there is no table event. Did you mean events?"),
        ('registered = [{ from = 2000-01-01 }]\nexpect = "met"', "the key from is not known."),
        ('registered = [{ end = 2000-01-01 }]\nexpect = "met"', "a registration needs its first day."),
        ('born = "1960"\nexpect = "met"', "born must be a day."),
    ],
)
def test_a_complaint_names_the_file_the_patient_and_the_nearest_word(body: str, message: str) -> None:
    with pytest.raises(GoldenError) as raised:
        read(patient(body))
    assert message in re.sub(r", line \d+", "", str(raised.value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[patient]\n", "x.toml is not TOML"),
        ("codes = 3", "codes must be identifiers by word."),
        ("indicater = 'care'", "x.toml: the key indicater is not known. Did you mean indicator?"),
        ('[[patient]]\nbased_on = "someone"\nexpect = "met"', 'x.toml, "patient 1": a patient needs a name'),
        (
            '[[patient]]\nname = "one"\nbased_on = "somone"',
            "no patient called somone before this one. Did you mean someone?",
        ),
        (patient('expect = "met"') + patient('expect = "met"', head=""), "a patient needs a name of its own."),
        (patient('expect = "met"', head=""), "what is expected must be a table."),
        (patient("expect = { since = 2025-01-01 }", head=""), "it is not said whether the patient is a member."),
        (patient("expect = { membr = true }", head=""), "a member has no membr. Did you mean member?"),
        (patient("expect = { member = true, strata = 3 }", head=""), "strata must be a table."),
    ],
)
def test_complaints_about_the_whole(text: str, message: str) -> None:
    with pytest.raises(GoldenError) as raised:
        read(text)
    assert message in re.sub(r", line \d+", "", str(raised.value))


def test_without_an_index_date_there_is_nothing_to_look_at() -> None:
    with pytest.raises(GoldenError, match="there is no index date"):
        read_file("x.toml", 'indicator = "care"\n[[patient]]\nname = "one"\nexpect = "met"')
