"""A stratifier that joins an installed pack is a version that a tenant may choose; what it runs stays as it was."""

import pytest

from cohortium_plugins.installed import PACKS_GROUP, installed_packs
from cohortium_tenants.packs import definition_of, enable_pack
from cohortium_tenants.packs.catalogue import versions
from cohortium_tenants.packs.catalogue.versions import find_version, pack_of, versions_of

MODULE = """
from cohortium_plugins.authoring import Stratifier
from cohortium_plugins.hookspecs import hookimpl
from cohortium_plugins.joining import AddedStratifier
from cohortium_plugins.language import case, otherwise, patient, when

young = Stratifier(
    "of-working-age",
    title="Of working age",
    value=case(when(patient.age < 66).then("yes"), otherwise("no")),
    labels={"yes": "Of working age", "no": "Older"},
)


@hookimpl
def stratifiers():
    return [AddedStratifier("cancer-care", young)]
"""


@pytest.fixture
def joined(install):
    """Install it, when called."""
    yield lambda: (install("cohortium_working_age", MODULE, PACKS_GROUP), versions._contents.cache_clear())
    versions._contents.cache_clear()


def test_it_is_a_version_of_its_own(database, tenant, joined):
    versions._contents.cache_clear()
    with database.tenant(tenant.id) as session:
        enable_pack(session, "cancer-care", by="test")
        before = definition_of(session, "cancer-care").definition
    joined()
    pack = installed_packs()["cancer-care"]
    with database.tenant(tenant.id) as session:
        find_version(session, "cancer-care")
        row = next(row for row in versions_of(session, "cancer-care") if row.definition_hash == pack.hash)
        assert row.version == f"{pack.version}+{row.content_hash[:8]}"
        assert pack_of(session, row).definition.stratifiers[-1].name == "of-working-age"
        assert definition_of(session, "cancer-care").definition == before
        enable_pack(session, "cancer-care", by="test", version=row.version)
        names = [each.name for each in definition_of(session, "cancer-care").definition.stratifiers]
    assert names == [*(each.name for each in before.stratifiers), "of-working-age"]
