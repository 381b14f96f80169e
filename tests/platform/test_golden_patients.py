"""The golden patients of every installed pack, on DuckDB: the same answers as the rules, by the other engine."""

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
