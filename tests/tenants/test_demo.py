from __future__ import annotations

import re
import statistics
from dataclasses import replace
from datetime import date
from uuid import uuid4

import pytest

from cohortium_platform.database import Database
from cohortium_platform.keys import KeyEncryption
from cohortium_tenants.demo import DEMO_TENANTS, DORSET, NORTH_LONDON, DemoTenant, build_demo_tenant, demo_practices
from cohortium_tenants.organisations import OrganisationGraph, OrganisationType, load_graph

DAY = date(2025, 11, 30)


@pytest.fixture
def dorset() -> DemoTenant:
    return replace(DORSET, slug=f"dorset-{uuid4().hex}")


def build(database: Database, key_encryption: KeyEncryption, plan: DemoTenant, practices: int) -> OrganisationGraph:
    tenant = build_demo_tenant(database, key_encryption, plan, practices)
    with database.tenant(tenant.id) as session:
        return load_graph(session)


@pytest.mark.parametrize(
    ("people", "practices"), [(1_000, 15), (20_000, 15), (200_000, 20), (1_800_000, 180), (2_000_000, 180)]
)
def test_the_number_of_practices_scales_with_the_population(people: int, practices: int) -> None:
    assert NORTH_LONDON.practices_for(people) == practices


def test_the_london_tenant_has_the_shape_of_a_large_icb(database: Database, key_encryption: KeyEncryption) -> None:
    graph = build(database, key_encryption, replace(NORTH_LONDON, slug=f"london-{uuid4().hex}"), 180)
    assert len(graph.practices(DAY)) == 180
    assert graph.practices_under("QZ1", DAY) == graph.practices(DAY)
    assert graph.practices_under("ZCA01", DAY) == graph.practices(DAY)
    assert graph.of_type(OrganisationType.PLACE, DAY) == ["07M", "07R", "07X", "08D", "08H"]
    assert len(graph.of_type(OrganisationType.TRUST, DAY)) == 2
    pcns = graph.of_type(OrganisationType.PCN, DAY)
    assert statistics.mean(len(graph.practices_under(pcn, DAY)) for pcn in pcns) == pytest.approx(6, abs=0.3)
    for practice in graph.practices(DAY):
        kinds = sorted(graph.nodes[found.parent].type for found in graph.parents(practice, DAY))
        assert kinds == ["federation", "neighbourhood-team", "pcn", "place"]
        assert len(graph.places_of(practice, DAY)) == len(graph.pcns_of(practice, DAY)) == 1


def test_building_again_finishes_what_is_there(
    database: Database, key_encryption: KeyEncryption, dorset: DemoTenant
) -> None:
    first = build(database, key_encryption, dorset, 8)
    assert build(database, key_encryption, dorset, 40) == first
    assert len(first.practices(DAY)) == 8


def test_all_that_is_made_up_says_so_and_has_the_shape_of_a_code(
    database: Database, key_encryption: KeyEncryption, dorset: DemoTenant
) -> None:
    graph = build(database, key_encryption, dorset, 8)
    assert {node.type for node in graph.nodes.values() if not node.fictitious} == {OrganisationType.PLACE}
    assert all(re.fullmatch(r"Z[0-9]{5}", code) for code in graph.practices(DAY))
    assert all(re.fullmatch(r"U[0-9]{5}", code) for code in graph.of_type(OrganisationType.PCN, DAY))
    assert all(re.fullmatch(r"RZ[0-9]", code) for code in graph.of_type(OrganisationType.TRUST, DAY))


def test_the_generator_gets_the_practices_of_the_graph(
    database: Database, key_encryption: KeyEncryption, dorset: DemoTenant
) -> None:
    graph = build(database, key_encryption, dorset, 8)
    practices = demo_practices(DORSET, 8)
    assert {practice.code for practice in practices} == graph.practices(DAY)
    assert all({practice.place} == graph.places_of(practice.code, DAY) for practice in practices)
    assert len({practice.size for practice in practices}) > 4


def test_no_two_demo_tenants_share_a_code_or_a_practice_name() -> None:
    practices = [practice for plan in DEMO_TENANTS for practice in demo_practices(plan, plan.full_practices)]
    assert len({practice.code for practice in practices}) == len(practices) == 255
    names = [practice.name for practice in practices if practice.code.startswith("Z1")]
    assert len(set(names)) == len(names)
