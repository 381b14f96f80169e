"""A stratifier of one distribution joins a pack of another, which is another version by that."""

import pytest

from cohortium_platform.engine.golden import duckdb_engine
from cohortium_plugins.authoring import Parameter, Stratifier
from cohortium_plugins.errors import DefinitionError, PackError
from cohortium_plugins.golden import check, interpret, read_file
from cohortium_plugins.installed import PACKS_GROUP, installed_packs
from cohortium_plugins.joining import AddedStratifier, join
from cohortium_plugins.language import case, events, otherwise, patient, when
from cohortium_plugins.loading import find_pack
from cohortium_plugins.model import Code, Codelist
from cohortium_plugins.packfile import build, read

MODULE = """
from cohortium_plugins.authoring import Stratifier
from cohortium_plugins.hookspecs import hookimpl
from cohortium_plugins.joining import AddedStratifier
from cohortium_plugins.language import case, events, otherwise, when
from cohortium_plugins.model import Code, Codelist

carers = Codelist("carers-of-others", "Is a carer", "x", "1", (Code(224484003, "Patient themselves providing care"),))
caring = Stratifier(
    "caring",
    title="Cares for somebody",
    value=case(when(events("carers-of-others").exists).then("yes"), otherwise("no")),
    labels={"yes": "Cares for somebody", "no": "Not recorded"},
)


@hookimpl
def stratifiers():
    return [AddedStratifier("{pack}", caring, {"carers-of-others": carers})]
"""
GOLDEN = """
index_date = 2025-06-30
codes = { cancer = 254837009, caring = 224484003 }

[[patient]]
name = "cares for her mother"
born = 1950-01-01
sex = "female"
registered = ["2000-01-01"]
events = ["2020-05-01 cancer", "2021-05-01 caring"]
expect = { member = true, strata = { caring = "yes" } }

[[patient]]
name = "does not"
born = 1950-01-01
sex = "female"
registered = ["2000-01-01"]
events = ["2020-05-01 cancer"]
expect = { member = true, strata = { caring = "no" } }
"""


def added(name="young", *, pack="bone-health", value=None, codelists=None):
    grouped = case(when(patient.age < 60).then("yes"), otherwise("no")) if value is None else value
    stratifier = Stratifier(name, title="Young", value=grouped, labels={"yes": "Yes", "no": "No"})
    return AddedStratifier(pack, stratifier, codelists or {})


def test_one_of_another_distribution_divides_the_registry_on_every_engine(install):
    alone = installed_packs()["cancer-care"]
    install("cohortium_caring", MODULE.replace("{pack}", "cancer-care"), PACKS_GROUP)
    pack = installed_packs()["cancer-care"]
    assert [each.name for each in pack.definition.stratifiers] == [
        *(each.name for each in alone.definition.stratifiers), "caring",
    ]  # fmt: skip
    cases = read_file("caring.toml", GOLDEN).cases
    assert len(cases) == 2
    for engine in (interpret, duckdb_engine):
        assert [str(found) for found in check(pack.definition, cases, engine)] == []
    assert pack.hash != alone.hash, "what stands under the former hash stays what it was"
    assert read(build(pack)).pack.definition == pack.definition
    assert find_pack("cancer-care").hash == alone.hash, "its author builds it as it is written"


def test_one_for_a_pack_that_is_not_installed_says_so(install):
    install("cohortium_caring", MODULE.replace("{pack}", "cancer-cure"), PACKS_GROUP)
    with pytest.raises(PackError, match=r"caring would join the pack cancer-cure, .* Did you mean cancer-care"):
        installed_packs()


def test_it_comes_after_the_packs_own_by_name_and_may_use_its_lists(made_packs):
    pack = made_packs.make()
    uses = case(when(events("bone-scan").exists).then("yes"), otherwise("no"))
    joined = join(pack, [added("old"), added("a-scan", value=uses)])
    own = [each.name for each in pack.definition.stratifiers]
    assert [each.name for each in joined.definition.stratifiers] == [*own, "a-scan", "old"]
    assert joined.version == pack.version


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda: [added(), added()], DefinitionError, "Two stratifiers are called young"),
        (
            lambda: [added(value=case(when(events("no-such").exists).then("yes"), otherwise("no")))],
            DefinitionError,
            "There is no codelist no-such",
        ),
        (
            lambda: [added(codelists={"bone-scan": Codelist("bone-scan", "Other", "x", "1", (Code(1001, "x"),))})],
            PackError,
            "brings another codelist bone-scan",
        ),
        (
            lambda: [
                added(
                    value=case(
                        when(patient.age < Parameter("from-age", 60, title="From", choices=[60, 65])).then("yes"),
                        otherwise("no"),
                    )
                )
            ],
            PackError,
            "uses the parameter from-age, which bone-health has not",
        ),
    ],
)
def test_what_cannot_join_is_refused(made_packs, wrong, error, said):
    with pytest.raises(error, match=said):
        join(made_packs.make(), wrong())
