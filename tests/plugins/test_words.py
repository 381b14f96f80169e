"""Every kind of node has words, and a rule reads as a sentence."""

from datetime import date

from cohortium_plugins import words
from cohortium_plugins.language import events, index_date, months, patient
from cohortium_plugins.model import Codelist, nodes
from cohortium_plugins.model.serialise import NODE_TYPES


def test_every_kind_of_node_has_words():
    assert set(words._WORDS) == set(NODE_TYPES.values())


def test_a_rule_reads_as_a_sentence():
    lists = {"review": Codelist("review", "Care review", "x", "1", ())}
    rule = (patient.age >= 50) & events("review").on_or_after(date(2003, 4, 1)).exists
    assert words.Words(lists).of(rule.node) == (
        "age is at least 50 and there are entries of ‘Care review’ on or after 1 April 2003"
    )
    window = (index_date - months(12)).node
    assert isinstance(window, nodes.DateAdd)
    assert words.Words(lists).of(window) == "12 months before the index date"
