"""The pytest plug-in: a pack's golden patients are tests."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

PACK = """
from cohortium_plugins.authoring import Cohort, Indicator
from cohortium_plugins.language import events, patient
from cohortium_plugins.model.definition import Code, Codelist
from cohortium_plugins.pack import Pack

members = Cohort("members", title="Members", members=patient.is_registered, since=patient.registered_since)
weighed = Indicator("weighed", title="Weighed", cohort=members, met=events("weight").latest(), source="made up")
pack = Pack.build(
    id="small", version="1", title="Small", publisher="nobody", cohorts=[members], indicators=[weighed],
    codelists={"weight": Codelist("weight", "Weight", "made up", "1", (Code(27113001, "Weight"),))},
)

def indicator_packs():
    return [pack]

def stubborn(definition, records, index_dates):
    from cohortium_plugins.golden import Answer
    return Answer([], [])
"""
SHARED = 'index_date = 2025-05-08\n[[patient]]\nname = "someone"\nregistered = [2000-01-01]\n'
GOLDEN = """
indicator = "weighed"
[[patient]]
name = "weighed"
why = "section 3"
based_on = "someone"
events = ["2024-05-08 27113001"]
expect = { status = "met", met_date = 2024-05-08 }
[[patient]]
name = "not weighed"
based_on = "someone"
why = "section 4"
at.2025-05-07 = "overdue"
at.2025-05-08 = "due"
"""


@pytest.fixture
def package(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> str:
    """Name a package of its own, since Python keeps what it has imported."""
    name = f"small_pack_{abs(hash(request.node.name))}"
    pytester.syspathinsert()
    folder = pytester.mkpydir(name)
    (folder / "__init__.py").write_text(PACK)
    (folder / "golden").mkdir()
    (folder / "golden" / "shared.toml").write_text(SHARED)
    (folder / "golden" / "weighed.toml").write_text(GOLDEN)
    return name


def test_each_patient_and_date_is_a_test_and_a_failure_reads(pytester: pytest.Pytester, package: str) -> None:
    assert package
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "weighed.toml: not weighed [[]2025-05-08], on interpreter",
            "  why: section 4",
            "  weighed: status: expected due, got overdue",
        ]
    )


def test_a_setting_names_other_engines(pytester: pytest.Pytester, package: str) -> None:
    pytester.makeini(f"[pytest]\ncohortium_engines =\n  interpreter\n  {package}:stubborn\n")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines([f"weighed.toml: weighed [[]2025-05-08], on {package}:stubborn"])


def test_a_malformed_file_is_an_error_that_says_where(pytester: pytest.Pytester, package: str) -> None:
    file = pytester.path / package / "golden" / "weighed.toml"
    file.write_text(GOLDEN.replace("why", "wy", 1))
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(['*weighed.toml, line 5, "weighed": the key wy is not known. Did you mean why?'])


def test_other_toml_files_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", settings="a = 1")
    assert pytester.runpytest("-p", "no:cacheprovider").ret == pytest.ExitCode.NO_TESTS_COLLECTED
