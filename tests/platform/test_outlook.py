"""What DuckDB says of a row until a day is what the interpreter says of it on every day before."""

import functools
import random
import runpy
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.duckdb_running import EngineSettings
from cohortium_platform.engine.evaluated import MAY_CHANGE, Kind
from cohortium_platform.engine.golden import record_files
from cohortium_plugins.golden import read_files
from cohortium_plugins.installed import installed_packs

drawn = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("test_engine_agreement.py"))))
FAR = 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


def looked_ahead(definition, records, day, folder):
    source = record_files(records, folder)
    practices = sorted({record.practice for record in records})
    with evaluate(definition, source, practices, [day], settings=EngineSettings(threads=1), outlook=True) as tables:
        return tables.fetch(Kind.RESULTS).to_pylist(), tables.fetch(Kind.LIST).to_pylist()


def said_on(definition, record, day):
    """Give the rows of a patient on a day, without the day."""
    found = {}
    for rows, name in zip(drawn.by_interpreter(definition, [record], [day]), ("indicator", "cohort"), strict=True):
        found.update({row[name]: {k: v for k, v in row.items() if k != "index_date"} for row in rows})
    return found


def assert_sound(definition, records, day, folder, seed):
    """Compare all rows, and give how many stay for longer than a month, and how many there are."""
    r = random.Random(seed)  # noqa: S311 - test data
    by_key = {(record.practice, record.patient_id): record for record in records}
    looks = sorted({day + timedelta(days=r.choice([1, 3, 30, 100, 400, r.randint(1, FAR)])) for _ in range(8)})
    said = functools.cache(lambda key, on: said_on(definition, by_key[key], on))
    results, lines = looked_ahead(definition, records, day, folder)
    of_cohort = {c.name: [c.name, *(i.name for i in definition.indicators if i.cohort == c.name)]
                 for c in definition.cohorts}  # fmt: skip
    lasting = 0
    for row in [*results, *lines]:
        key, bound = (row["practice"], row["patient_id"]), row[MAY_CHANGE] or date.max
        names = [row["indicator"]] if "indicator" in row else of_cohort[row["cohort"]]
        assert bound > day
        lasting += bound > day + timedelta(days=30)
        eve = min(bound - timedelta(days=1), day + timedelta(days=FAR))
        for other in [look for look in looks if look < bound] + ([eve] if eve > day else []):
            then, now = said(key, other), said(key, day)
            assert [then.get(name) for name in names] == [now.get(name) for name in names], (day, other, bound)
    return lasting, len(results) + len(lines)


@drawn.tried(12)
@given(
    definition=drawn.definitions(),
    seed=st.integers(0, 2**32),
    day=st.sampled_from([date(2024, 2, 29), date(2024, 9, 1), date(2025, 2, 28), date(2024, 3, 30)]),
)
def test_generated_rows_stay_until_the_day_foreseen(definition, seed, day, folder):
    assert_sound(definition, drawn.some_records(seed, 6), day, folder, seed)


def test_golden_patients_stay_until_the_day_foreseen(folder):
    for pack in installed_packs().values():
        cases = [case for file in read_files(pack.golden) for case in file.cases if case.results]
        for case in cases[:: len(cases) // 5]:
            definition = case.binding.apply(pack.definition)
            lasting, rows = assert_sound(definition, [case.record], case.index_date, folder, 1)
            coming = any(row.date > case.index_date for some in case.record.rows.values() for row in some)
            assert lasting > rows / 2 or coming, "only what is recorded for a day to come may change most rows soon"
