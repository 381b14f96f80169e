"""Advice over all golden patients: what the sentence names turns the status to met, or it says that nothing does."""

from dataclasses import replace
from functools import cache
from itertools import groupby

import pytest

from cohortium_pack_cancer_care import pack
from cohortium_plugins.explain import explain
from cohortium_plugins.golden import read_files
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model.values import Status
from cohortium_plugins.remedy import with_entries
from cohortium_plugins.status import result_of

OPEN = ("due", "overdue", "excluded")
asked = [
    (result.indicator, case)
    for file in read_files(pack.golden)
    for case in file.cases
    for result in case.results
    if result.fields["status"] in OPEN
]
by_indicator = {
    name: [case for _, case in some] for name, some in groupby(sorted(asked, key=lambda a: a[0]), lambda a: a[0])
}
NOTHING = ("It can no longer be met", "It cannot be met", "Nothing needs recording")


@cache
def bound(binding):
    return binding.apply(pack.definition)


def explained(indicator):
    for case in by_indicator[indicator]:
        definition = bound(case.binding)
        yield case, definition, explain(definition, definition.indicator(indicator), case.record, case.index_date)


@pytest.mark.parametrize("indicator", by_indicator)
def test_what_is_named_turns_the_status_to_met(indicator):
    for case, definition, found in explained(indicator):
        if not found.entries:
            assert any(words in found.sentence for words in NOTHING), (case.label, found.sentence)
            continue
        record = replace(with_entries(case.record, found.entries), records_to=None)
        day = max(case.index_date, *(entry.row.date for entry in found.entries))
        after = result_of(definition, definition.indicator(indicator), Evaluation(record, day, definition.codelists))
        assert after.status is Status.MET, (case.label, found.sentence)
        for entry in found.entries:
            assert entry.row.code is None or str(entry.row.code) in found.sentence


@pytest.mark.parametrize("indicator", by_indicator)
def test_nothing_silly_is_advised(indicator):
    refusals = ("declined", "no-response", "inadequate", "abnormal", "diet-declined", "invitation")
    for case, definition, found in explained(indicator):
        for entry in found.entries:
            assert entry.codelist not in ("cancer-diagnosis", "cancer-tumour-site"), case.label
            assert not any(word in (entry.category or "") for word in refusals), case.label
            assert entry.row.value is None or entry.codelist in ("bmi-value", "body-weight", "body-height"), case.label
            code = None if entry.codelist is None else definition.codelists[entry.codelist].by_code[entry.row.code]
            assert code is None or code.term, case.label
        assert "(procedure)" not in found.sentence
        assert "_COD" not in found.sentence


def sentence_of(file, patient, indicator):
    case = next(c for _, c in asked if c.file == file and c.patient == patient)
    definition = bound(case.binding)
    return explain(definition, definition.indicator(indicator), case.record, case.index_date).sentence


def test_a_smoker_is_not_made_a_non_smoker():
    name = "smoking-status-and-advice"
    for case, _, found in explained(name):
        statuses = [row.code for row in case.record.rows["events"] if row.code == 77176002]
        if statuses and "Smoking status" in found.sentence:
            assert "non-smoker" not in found.sentence.lower(), (case.label, found.sentence)
            assert "never" not in found.sentence.lower(), (case.label, found.sentence)
    assert "Stop smoking advice" in sentence_of(f"{name}.toml", "smoker without advice", name)


def test_who_has_no_cervix_is_asked_for_nothing():
    for _, _, found in explained("cervical-screening"):
        if found.result.adjustment == "no-cervix":
            assert found.sentence.endswith("Nothing needs recording.")
            assert found.entries == ()


def test_next_seasons_vaccination_is_not_asked_for_in_summer():
    said = [found.sentence for case, _, found in explained("flu-vaccination") if 4 <= case.index_date.month <= 8]
    assert said
    assert all(sentence.startswith("It cannot be done before 1 September") for sentence in said)


def test_a_list_without_codes_is_named_as_the_obstacle():
    name = "comprehensive-review"
    said = sentence_of(f"{name}.toml", "no list of one part, another part missing", name)
    assert said.startswith("It cannot be met here. No codes are configured for ‘Holistic needs assessment’.")
