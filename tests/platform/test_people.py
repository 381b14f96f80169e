"""One line a person, from lines that each stand for a cohort they are in."""

from datetime import date

import pyarrow as pa
import pytest

from cohortium_platform.engine.evaluated import MAY_CHANGE
from cohortium_platform.engine.people import one_line_each

DAY, LATER = date(2025, 5, 8), date(2025, 6, 1)
NAMES = ["practice", "patient_id", "cohort", "since", "gaps", "due", "status:a", "status:b", "stratum", MAY_CHANGE]
KINDS = [
    pa.string(), pa.int64(), pa.string(), pa.date32(), pa.uint16(), pa.uint16(), pa.uint8(), pa.uint8(), pa.string(),
    pa.date32(),
]  # fmt: skip
SCHEMA = pa.schema(list(zip(NAMES, KINDS, strict=True)))


def table(*rows):
    return pa.Table.from_pylist([dict(zip(NAMES, row, strict=True)) for row in rows], SCHEMA)


ONE = ("Z1", 1, "several", DAY, 2, 1, 2, None, "x", LATER)
ONE_FRAIL = ("Z1", 1, "frail", LATER, 1, 0, None, 2, "x", DAY)
TWO = ("Z1", 2, "several", DAY, 0, 1, 0, None, "y", None)
ELSEWHERE = ("Z2", 2, "frail", LATER, 1, 0, None, 2, "y", None)


def test_someone_in_two_cohorts_has_one_line():
    found = one_line_each(table(ONE, ONE_FRAIL, TWO, ELSEWHERE))
    assert found.schema == SCHEMA
    assert found.to_pylist() == table(("Z1", 1, "several", DAY, 3, 1, 2, 2, "x", DAY), TWO, ELSEWHERE).to_pylist()


def test_one_that_never_changes_leaves_the_other_line_s_day():
    found = one_line_each(table(TWO, ("Z1", 2, "frail", DAY, 0, 0, None, 4, "y", LATER)))
    assert found.to_pylist() == table(("Z1", 2, "several", DAY, 0, 1, 0, 4, "y", LATER)).to_pylist()


@pytest.mark.parametrize("rows", [(), (ONE,), (ONE, TWO, ELSEWHERE)])
def test_lines_of_one_cohort_each_stay(rows):
    assert one_line_each(table(*rows)).to_pylist() == table(*rows).to_pylist()
