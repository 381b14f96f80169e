"""Composites, segments, seasons: what they are made of, and what is refused. Their meaning is in tests/spec."""

from datetime import date

import pytest

from cohortium_plugins.authoring import Cohort, Indicator
from cohortium_plugins.composing import Composite, Segments, count_met
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.language import events, index_date, months, nth_earliest, patient
from cohortium_plugins.model import Codelist
from cohortium_plugins.seasons import Season
from cohortium_plugins.words import Words

people = Cohort("people", title="People", members=patient.is_registered, since=patient.registered_since)
others = Cohort("others", title="Others", members=patient.is_registered, since=patient.registered_since)
a = Indicator("a", title="A", cohort=people, met=events("a").latest(), every=months(12), source="x")
b = Indicator("b", title="B", cohort=people, met=events("b").latest(), source="x")
elsewhere = Indicator("c", title="C", cohort=others, met=events("b").latest(), source="x")
LISTS = {name: Codelist(name, name.upper(), "x", "1", ()) for name in ("a", "b")}


def composite(*parts, **given):
    return Composite("both", title="Both", cohort=people, parts=parts, source="x", **given)


def test_a_composite_shows_how_many_are_met_and_the_evidence_of_its_parts():
    both = composite(a, b)
    assert both.shown.number is count_met(a, b).node
    assert both.evidence == (*a.evidence, *b.evidence)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda: composite(a), "1 parts are too few"),
        (lambda: composite(a, b, at_least=3), "2 parts are too few"),
        (lambda: composite(a, elsewhere), "c is over another cohort, others"),
        (lambda: Segments("s", title="S", groups={}, otherwise=("x", "X")), "segments need groups"),
        (
            lambda: Segments("s", title="S", groups={"x": ("X", events("a").exists)}, otherwise=("x", "X")),
            "a last one of its own",
        ),
        (lambda: Season((2, 29), (6, 1)), "starts on a day that every year has"),
        (lambda: Season((2, 30), (6, 1)), "no day 30 of month 2"),
        (lambda: Season((9, 1), (3, 29)), "ends before the 28th, or with its month"),
        (lambda: Season((4, 1), (3, 31)), "is the whole year"),
        (lambda: nth_earliest(3, index_date, index_date), "no day number 3 of 2"),
        (lambda: nth_earliest(0, index_date), "no day number 0 of 1"),
    ],
)
def test_what_has_no_meaning_is_refused(write, words):
    with pytest.raises(DefinitionError, match=words):
        write()


@pytest.mark.parametrize(
    ("ends", "over"), [((3, 31), (4, 1)), ((2, 28), (3, 1)), ((2, 29), (3, 1)), ((4, 30), (5, 1)), ((12, 31), (1, 1)),
                       ((1, 27), (1, 28))]
)  # fmt: skip
def test_the_day_after_a_season(ends, over):
    assert Season((9, 1), ends).over == over


def test_seasons_in_words():
    flu = Season((9, 1), (3, 31))
    words = Words(LISTS)
    assert words.of(index_date.in_season(flu).node) == "the index date is from 1 September to 31 March"
    assert words.of(events("a").in_season(flu).exists.node) == (
        "‘A’ recorded from the latest 1 September to the 31 March after the latest 1 September"
    )
    assert words.of((flu.start(date(2025, 1, 1)) <= flu.start(date(2025, 1, 1))).node) == (
        "the latest 1 September on or before 1 January 2025 is on or before the latest 1 September on or before "
        "1 January 2025"
    )
