"""The parts that work on columns, each compared with the plain way of doing it row by row."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cohortium_platform.errors import CohortiumError
from cohortium_platform.ingest.arranging import arrange
from cohortium_platform.ingest.buckets import Buckets
from cohortium_platform.ingest.codes import are_snomed_concepts, have_nhs_check_digit
from cohortium_platform.ingest.completeness import shrunk
from cohortium_platform.ingest.index import UNKNOWN, PersonIndex
from cohortium_platform.ingest.quality import (
    LISTED,
    Count,
    PracticeQuality,
    QualityLog,
    QualityReport,
    RowFinding,
    TableCounts,
)
from cohortium_plugins.importing import Severity

CONCEPTS = [22298006, 73211009, 195967001, 363346000, 404684003, 999000011000000103, 138875005, 1240581000000104]
"""Concepts of the international and of the UK edition, as they are published."""
DESCRIPTIONS = [37436014, 2839066010]
"""Identifiers of descriptions: right in themselves, and no codes."""


def test_published_concepts_are_right():
    assert are_snomed_concepts(np.array(CONCEPTS)).all()


def test_other_numbers_are_not():
    wrong = [*DESCRIPTIONS, 22298007, 22298016, 12345678, 0, -22298006, 123, 99999, 2**62]
    assert not are_snomed_concepts(np.array(wrong)).any()


@given(st.sampled_from(CONCEPTS), st.integers(0, 17), st.integers(1, 9))
def test_a_mistyped_digit_is_always_seen(concept, place, change):
    digits = [int(digit) for digit in str(concept)]
    digits[place % len(digits)] = (digits[place % len(digits)] + change) % 10
    assume(digits[0])  # what begins with a zero is refused before its digits are looked at
    assert not are_snomed_concepts(np.array([int("".join(map(str, digits)))])).any()


@given(st.sampled_from(CONCEPTS), st.integers(0, 16))
def test_two_digits_exchanged_are_always_seen(concept, place):
    text = str(concept)
    at = place % (len(text) - 1)
    swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    assert are_snomed_concepts(np.array([int(swapped)])).all() == (swapped == text)


def test_nhs_numbers_have_a_check_digit():
    right = [9434765919, 9990000018, 4505577104, 9876543210]
    wrong = [9434765918, 9912003890, 1234567890, 0, -1, 99900000180]
    assert have_nhs_check_digit(np.array(right)).all()
    assert not have_nhs_check_digit(np.array(wrong)).any()


@given(st.integers(0, 999_999_999))
def test_the_nhs_check_digit_is_the_one_of_the_data_dictionary(nine):
    total = sum(int(digit) * weight for digit, weight in zip(f"{nine:09d}", range(10, 1, -1), strict=True))
    check = 11 - total % 11
    numbers = np.array([nine * 10 + digit for digit in range(10)])
    expected = [digit == (0 if check == 11 else check) and nine * 10 + digit > 0 for digit in range(10)]
    assert have_nhs_check_digit(numbers).tolist() == expected


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(-2, 2), st.sampled_from([10**17, 5, 7]), st.sampled_from([None, 0.0, 1.5]),
        st.integers(-1, 1),
    ),
    max_size=60,
)  # fmt: skip


@settings(deadline=None)  # the first call loads Arrow's functions
@given(ROWS, st.booleans())
def test_rows_are_arranged_as_one_by_one(rows, wide):
    person = np.array([row[0] for row in rows], np.int32)
    day = np.array([row[1] for row in rows], np.int32)
    code = np.array([row[2] for row in rows], np.int64)
    value = np.array([np.nan if row[3] is None else row[3] for row in rows])
    unit = np.array([row[4] for row in rows], np.int32)
    rank = np.unique(code, return_inverse=True)[1].astype(np.int64)
    keys = [rank * 2**50, person, day] if wide else [rank, person, day]
    arranged = arrange(keys, person, [value, unit])

    seen, kept = set(), []
    for place, row in enumerate(rows):
        if row not in seen:
            kept.append(place)
        seen.add(row)
    expected = sorted(kept, key=lambda place: (rows[place][2], rows[place][0], rows[place][1], place))
    assert arranged.order.tolist() == expected
    assert [key.tolist() for key in arranged.keys] == [key[arranged.order].tolist() for key in keys]
    assert [key.dtype for key in arranged.keys] == [key.dtype for key in keys]
    assert arranged.duplicates == len(rows) - len(kept)
    counted: dict[int, int] = {}
    entry = {}
    for place in kept:
        entry[place] = counted.get(rows[place][0], 0)
        counted[rows[place][0]] = entry[place] + 1
    assert arranged.entry.tolist() == [entry[place] for place in expected]


def test_keys_too_wide_for_one_number_are_sorted_all_the_same():
    rng = np.random.default_rng(3)
    keys = [rng.integers(-(2**62), 2**62, 1000), rng.integers(0, 2, 1000).astype(np.int32)]
    order = arrange([*keys, keys[0] // 3], keys[1], []).order
    assert order.tolist() == sorted(range(1000), key=lambda place: (keys[0][place], keys[1][place], place))


@pytest.mark.parametrize("too_many", range(6))
def test_keys_some_bits_too_wide_are_sorted_all_the_same(too_many):
    rng, rows = np.random.default_rng(5), 1024
    low = rng.integers(0, 2, rows)
    low[:2] = [0, 2 ** (64 - 10 - 4 - 1 + too_many) - 1]
    keys = [rng.permutation(rows).astype(np.int64) % 16, low, rng.integers(0, 2, rows).astype(np.int32)]
    arranged = arrange(keys, keys[2], [])
    kept = list(dict.fromkeys(zip(*(key.tolist() for key in keys), strict=True)))
    assert list(zip(*(key.tolist() for key in arranged.keys), strict=True)) == sorted(kept)
    assert [key[arranged.order].tolist() for key in keys] == [key.tolist() for key in arranged.keys]
    assert arranged.duplicates == rows - len(kept)


def test_nothing_can_be_arranged():
    empty = np.empty(0, np.int32)
    arranged = arrange([empty, empty], empty, [])
    assert len(arranged.order) == len(arranged.entry) == arranged.duplicates == 0


@given(
    st.lists(st.integers(0, 2**64 - 1), unique=True, min_size=1, max_size=50), st.lists(st.integers(0, 60), max_size=99)
)
def test_the_index_finds_whom_a_dictionary_finds(hashes, asked):
    index = PersonIndex(np.array(hashes, np.uint64), np.arange(len(hashes), dtype=np.int32))
    wanted = [hashes[number] if number < len(hashes) else (hashes[0] + number) % 2**64 for number in asked]
    known = {value: place for place, value in enumerate(hashes)}
    assert index.find(np.array(wanted, np.uint64)).tolist() == [known.get(value, UNKNOWN) for value in wanted]


def test_the_index_refuses_two_people_of_one_hash():
    with pytest.raises(CohortiumError, match="one hash"):
        PersonIndex(np.array([7, 8, 7], np.uint64), np.arange(3, dtype=np.int32))


@given(st.lists(st.lists(st.integers(0, 5), max_size=20), max_size=6))
def test_buckets_give_back_rows_in_the_order_they_came(tmp_path_factory, batches):
    buckets = Buckets(tmp_path_factory.mktemp("buckets") / "rows", {"number": "i4", "half": "f8"})
    expected: dict[int, list[int]] = {}
    number = 0
    for batch in batches:
        numbers = np.arange(number, number + len(batch), dtype=np.int32)
        for practice in batch:
            expected.setdefault(practice, []).append(number)
            number += 1
        buckets.append(np.array(batch, np.int16), {"number": numbers, "half": numbers / 2})
    buckets.close()
    for practice in range(6):
        taken = buckets.take(practice)
        assert taken["number"].tolist() == expected.get(practice, [])
        assert (taken["half"] * 2).tolist() == taken["number"].tolist()
        assert buckets.rows(practice) == len(expected.get(practice, []))


def quality(rows: dict[str, int], months: dict[str, int] | None = None) -> PracticeQuality:
    return PracticeQuality(date(2025, 11, 30), rows, months or {})


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"events": 100}, {"events": 80}, []),
        ({"events": 100}, {"events": 79}, ["A: events fell from 100 to 79 rows."]),
        ({"events": 49}, {"events": 0}, []),
        ({"events": 50}, {"events": 0}, ["A: events fell from 50 to 0 rows."]),
        ({"events": 100, "contacts": 0}, {"events": 100}, ["A: contacts were loaded last time and are missing now."]),
        ({"events": 100}, {"events": 5000}, []),
    ],
)
def test_a_fall_of_more_than_a_fifth_is_told(before, now, said):
    assert list(shrunk("A", quality(before), quality(now))) == said


def test_months_are_compared_where_both_loads_have_them():
    before = quality({}, {"2025-01": 100, "2025-02": 100, "2025-03": 100})
    now = quality({}, {"2025-02": 79, "2025-03": 80, "2025-04": 0})
    assert list(shrunk("A", before, now)) == ["A: events of 2025-02 fell from 100 to 79."]


def test_a_report_survives_being_kept():
    report = QualityReport(
        tables={"events": TableCounts(4, 2, 1, 1)},
        practices={"A": quality({"events": 2}, {"2025-11": 1})},
        counts=[Count(Severity.REJECTED, "no date", "events", None, 1)],
        findings=(RowFinding(Severity.REJECTED, "no date", "events", "events.csv", 3),),
        unknown_codes={"123": 1},
        unknown_code_count=1,
        completeness=["A: fewer"],
    )
    again = QualityReport.from_json(report.to_json())
    assert again.to_json() == report.to_json()
    assert again.rows("no date", table="events") == 1


def test_a_log_lists_a_thousand_and_counts_all():
    log = QualityLog()
    for line in range(LISTED + 5):
        log.place(RowFinding(Severity.REJECTED, "no date", "events", "events.csv", line))
        log.count(Severity.REJECTED, "no date", "events", 1)
    assert len(log.findings) == LISTED
    assert log.counts() == [Count(Severity.REJECTED, "no date", "events", None, LISTED + 5)]


def test_arrow_gives_the_same_days_as_numpy():
    assert pa.array([date(1850, 1, 1)]).cast(pa.int32())[0].as_py() == np.datetime64("1850-01-01").astype(int)
