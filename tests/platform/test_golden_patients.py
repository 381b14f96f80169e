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

FEW, AT_ONCE, MOST = 7, 24, 150
"""Choices that fewer cases make are left to the other engines; how many index dates go together, since a run evaluates
each of its patients at each of its dates; and of about so many cases every nth is tried: Spark takes minutes for more.
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
    dates = {day: number for number, day in enumerate(dict.fromkeys(case.index_date for case in cases))}
    for _, some in groupby(cases, key=lambda case: dates[case.index_date] // AT_ONCE):
        records = {}
        kinds = {}
        listed = list(some)
        yield [moved(case, records, kinds) for case in listed[:: 1 + len(listed) // MOST]]


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
def test_golden_patients_on_spark(spark_engine):
    pack = installed_packs()["cancer-care"]  # those of the multimorbidity review take Spark too long for every run
    found, tried = [], set()
    for cases in together(pack):
        for some in runs(cases):
            found.extend(str(difference) for difference in check(pack.definition, some, spark_engine))
            tried.update(case.file for case in some)
    assert found == []
    assert len(tried) > 0.6 * sum(each is pack for each, _ in FILES), "cases of most files are tried"
