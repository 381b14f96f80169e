"""The day on which a status next changes is the day found by deciding it on every single day."""

import runpy
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from cohortium_plugins.golden import read_files
from cohortium_plugins.installed import installed_packs
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import nodes
from cohortium_plugins.model.serialise import NODE_TYPES
from cohortium_plugins.next_change import next_change
from cohortium_plugins.outlook import FRAME_OUTLOOKS, SERIES_OUTLOOKS
from cohortium_plugins.status import standing

drawn = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("test_engine_agreement.py"))))
UNBOUND = {nodes.Pick, nodes.ParameterValue, nodes.RowValue}
"""No series or frame of a patient; replaced by a constant; a row's own."""


def by_every_day(definition, record, start, end):
    """Give the first day with another status, for each indicator: that day and status, or None."""
    first, found, day = {}, {}, start
    while day < end:
        evaluation = Evaluation(record, day, definition.codelists)
        for indicator in definition.indicators:
            if indicator.name not in found:
                status = standing(definition, indicator, evaluation).status
                if first.setdefault(indicator.name, status) is not status:
                    found[indicator.name] = (day, status)
        day += timedelta(days=1)
    return {name: found.get(name) for name in first}


def test_every_kind_of_node_is_looked_ahead():
    assert {*FRAME_OUTLOOKS, *SERIES_OUTLOOKS} == set(NODE_TYPES.values()) - UNBOUND


@drawn.tried(25)
@given(
    definition=drawn.definitions(),
    seed=st.integers(0, 2**32),
    start=st.sampled_from([date(2024, 2, 29), date(2024, 9, 1), date(2025, 2, 28), date(2025, 3, 31)]),
)
def test_a_generated_status_changes_on_the_day_foreseen(definition, seed, start):
    for record in drawn.some_records(seed, 2)[:2]:
        expected = by_every_day(definition, record, start, date(start.year + 1, 12, 31))
        for indicator in definition.indicators:
            change = next_change(definition, indicator, record, start, years=1)
            assert (change and (change.date, change.status)) == expected[indicator.name], indicator.name


def test_golden_patients_change_on_the_day_foreseen():
    """A few of each pack, since every day of more than a year is decided for each."""
    for pack in installed_packs().values():
        cases = [case for file in read_files(pack.golden) for case in file.cases]
        for case in cases[:: len(cases) // 5]:
            definition, end = case.binding.apply(pack.definition), case.index_date + timedelta(days=380)
            expected = by_every_day(definition, case.record, case.index_date, end)
            for indicator in definition.indicators:
                change = next_change(definition, indicator, case.record, case.index_date)
                found = change and change.date < end and (change.date, change.status)
                assert (found or None) == expected[indicator.name], (case.name, indicator.name)
