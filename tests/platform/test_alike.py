"""Rows leave only in company, whatever they are; and no row is made coarser than it must be."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cohortium_platform.statistics import made_alike

STEPS = [lambda row: row, lambda row: (row[0], "*"), lambda _: ("*", "*")]
ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=40)


@given(ROWS, st.integers(1, 9))
def test_each_row_shown_is_like_enough_others_and_fewer_than_that_are_held_back(rows, least: int) -> None:
    shown = made_alike(rows, STEPS, least)
    alike = Counter(each for each in shown if each is not None)
    assert len(shown) == len(rows)
    assert all(many >= least for many in alike.values())
    assert sum(each is None for each in shown) < least
    for row, each in zip(rows, shown, strict=True):
        assert each in {None, row, (row[0], "*"), ("*", "*")}
        if rows.count(row) >= least:
            assert each == row


def test_a_rare_row_is_made_coarser_only_as_far_as_needed() -> None:
    rows = [("a", "x")] * 3 + [("a", "y"), ("a", "z"), ("b", "x"), ("b", "y"), ("a", "z")]
    assert made_alike(rows, STEPS, 3) == [
        *[("a", "x")] * 3, ("a", "*"), ("a", "*"), None, None, ("a", "*"),
    ]  # fmt: skip
