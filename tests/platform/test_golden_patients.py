"""The golden patients of every installed pack, on DuckDB and Spark: the same answers as the rules, by other engines."""

import dataclasses
from itertools import groupby

import pytest

from cohortium_platform.engine.golden import duckdb_engine
from cohortium_plugins.golden import check, read_files
from cohortium_plugins.installed import installed_packs

FILES = [(pack, file) for pack in installed_packs().values() for file in read_files(pack.golden) if file.cases]


def test_every_pack_has_golden_patients():
    assert {pack.id for pack, _ in FILES} == set(installed_packs())


@pytest.mark.parametrize(("pack", "file"), FILES, ids=[f"{pack.id}-{file.name}" for pack, file in FILES])
def test_golden_patients_on_duckdb(pack, file):
    assert [str(difference) for difference in check(pack.definition, file.cases, duckdb_engine)] == []


# --- on Spark, which takes seconds to begin: many files together, by a tenant's choices and by time -----------------

FEW, AT_ONCE, MANY = 7, 24, 90
"""Choices that fewer cases make are left to the other engines; how many index dates go together, since a run evaluates
each of its patients at each of its dates; and from how many cases on a date has a run of its own.
"""


def together(pack):
    """The cases of all files of a pack, by the choices under which they are looked at."""
    by_choice = {}
    for each, file in FILES:
        for case in file.cases if each is pack else ():
            by_choice.setdefault(case.binding, []).append(case)
    return [cases for cases in by_choice.values() if len(cases) >= FEW]


def runs(cases):
    """Cases of one run, each patient under a number of their own, and at a practice of their own kind, since a practice
    stands as a whole.
    """
    cases = sorted(cases, key=lambda case: (case.index_date, case.file, case.patient))
    by_day = {day: list(some) for day, some in groupby(cases, key=lambda case: case.index_date)}
    few = [day for day, some in by_day.items() if len(some) < MANY]
    together = [few[start : start + AT_ONCE] for start in range(0, len(few), AT_ONCE)]
    for days in [*([day] for day in by_day if day not in few), *together]:
        records = {}
        kinds = {}
        yield [moved(case, records, kinds) for day in days for case in by_day[day]]


def moved(case, records, kinds):
    key = (case.file, case.record.patient_id)
    if key not in records:
        standing = (case.record.missing, case.record.records_to)
        kind = kinds.setdefault(standing, len(kinds))
        spells = tuple(
            dataclasses.replace(row, practice=f"{row.practice}-{kind}") for row in case.record.rows["registrations"]
        )
        records[key] = dataclasses.replace(
            case.record,
            patient_id=len(records) + 1,
            practice=f"{case.record.practice}-{kind}",
            rows={**case.record.rows, "registrations": spells},
        )
    return dataclasses.replace(case, record=records[key])


@pytest.mark.xdist_group("spark")
@pytest.mark.parametrize("pack", installed_packs().values(), ids=list(installed_packs()))
def test_golden_patients_on_spark(pack, spark_engine):
    found, tried = [], 0
    for cases in together(pack):
        for some in runs(cases):
            found.extend(str(difference) for difference in check(pack.definition, some, spark_engine))
            tried += len(some)
    assert found == []
    assert tried > 0.8 * sum(len(file.cases) for each, file in FILES if each is pack)
