from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import text
from sqlmodel import Session

from cohortium_platform.database import Database
from cohortium_platform.directory import OrganisationDirectory
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_tenants.organisations import (
    Member,
    NewOrganisation,
    OrganisationType,
    RelationshipKind,
    close,
    create,
    end_relationship,
    load_graph,
    relate,
    succeed,
)
from cohortium_tenants.tenants import Tenant

START, LATER, TODAY = date(2020, 4, 1), date(2025, 7, 1), date(2026, 1, 1)
TYPES = {
    "QT1": OrganisationType.ICB,
    "ZP1": OrganisationType.PLACE,
    "ZP2": OrganisationType.PLACE,
    "U99901": OrganisationType.PCN,
    "U99902": OrganisationType.PCN,
    "ZF1": OrganisationType.FEDERATION,
    "ZT1": OrganisationType.NEIGHBOURHOOD_TEAM,
    "Z00001": OrganisationType.PRACTICE,
    "Z00002": OrganisationType.PRACTICE,
    "Z00003": OrganisationType.PRACTICE,
    "RZ1": OrganisationType.TRUST,
    "ZA1": OrganisationType.CANCER_ALLIANCE,
}


def member(child: str, parent: str, start: date = START, end: date | None = None) -> Member:
    return Member(child, parent, RelationshipKind.MEMBER_OF, start, end)


@pytest.fixture
def session(database: Database, tenant: Tenant) -> Iterator[Session]:
    """Three practices in two PCNs, two places, one ICB; trust and Alliance beside."""
    with database.tenant(tenant.id) as session:
        for code, kind in TYPES.items():
            create(session, NewOrganisation(code, f"The {code}", kind, START))
        relate(
            session,
            Member("ZP1", "QT1", RelationshipKind.PART_OF, START),
            Member("ZP2", "QT1", RelationshipKind.PART_OF, START),
            Member("U99901", "ZP1", RelationshipKind.PART_OF, START),
            Member("U99902", "ZP2", RelationshipKind.PART_OF, START),
            Member("RZ1", "QT1", RelationshipKind.COMMISSIONED_BY, START),
            Member("QT1", "ZA1", RelationshipKind.COVERED_BY, START),
            member("Z00001", "U99901"),
            member("Z00002", "U99901", START, LATER),
            member("Z00002", "U99902", date(2025, 7, 2)),
            member("Z00003", "U99902"),
            member("Z00001", "ZF1"),
            member("Z00001", "ZT1"),
            member("Z00003", "ZT1"),
        )
        yield session


@pytest.mark.parametrize(
    ("code", "on", "practices"),
    [
        ("U99901", date(2020, 3, 31), set()),
        ("U99901", START, {"Z00001", "Z00002"}),
        ("U99901", LATER, {"Z00001", "Z00002"}),
        ("U99901", date(2025, 7, 2), {"Z00001"}),
        ("U99902", date(2025, 7, 2), {"Z00002", "Z00003"}),
        ("ZP1", LATER, {"Z00001", "Z00002"}),
        ("QT1", TODAY, {"Z00001", "Z00002", "Z00003"}),
        ("ZA1", TODAY, {"Z00001", "Z00002", "Z00003"}),
        ("ZT1", TODAY, {"Z00001", "Z00003"}),
        ("RZ1", TODAY, set()),
        ("Z00001", TODAY, {"Z00001"}),
        ("NOBODY", TODAY, set()),
    ],
)
def test_practices_under_an_organisation_are_those_of_the_day(
    session: Session, code: str, on: date, practices: set[str]
) -> None:
    assert load_graph(session).practices_under(code, on) == practices


def test_the_graph_is_the_directory_that_the_platform_asks_for(session: Session) -> None:
    directory: OrganisationDirectory = load_graph(session)
    assert directory.practices(TODAY) == {"Z00001", "Z00002", "Z00003"}
    assert directory.places_of("Z00002", LATER) == {"ZP1"}
    assert directory.places_of("Z00002", TODAY) == {"ZP2"}
    assert directory.pcns_of("Z00002", TODAY) == {"U99902"}
    assert directory.successors("Z00002", TODAY) == {"Z00002"}


def test_a_practice_belongs_to_several_at_once(session: Session) -> None:
    graph = load_graph(session)
    assert {found.parent for found in graph.parents("Z00001", TODAY)} == {"U99901", "ZF1", "ZT1"}
    assert {found.child for found in graph.children("ZT1", TODAY)} == {"Z00001", "Z00003"}
    assert graph.of_type(OrganisationType.PCN, TODAY) == ["U99901", "U99902"]


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (member("Z00001", "NOBODY"), NotFound, "no organisation NOBODY"),
        (member("Z00001", "Z00001"), BadInput, "itself"),
        (member("Z00001", "Z00002"), BadInput, "no members"),
        (member("Z00001", "RZ1"), BadInput, "no members"),
        (member("QT1", "ZP1"), BadInput, "circle"),
        (member("ZA1", "U99901"), BadInput, "circle"),
        (member("ZF1", "ZT1", date(2025, 1, 2), date(2025, 1, 1)), BadInput, "ends before"),
        (member("ZF1", "ZT1", date(2020, 3, 31)), BadInput, "not open all the time"),
        (member("Z00001", "U99901", TODAY), Conflict, "already"),
        (member("Z00001", "U99902", TODAY), Conflict, "one at a time"),
        (member("Z00002", "U99902", date(2025, 7, 1), date(2025, 7, 1)), Conflict, "one at a time"),
    ],
)
def test_a_membership_that_does_not_fit_is_refused(
    session: Session, wrong: Member, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        relate(session, wrong)


def test_a_circle_needs_a_day_on_which_it_is_one(session: Session) -> None:
    relate(session, member("ZF1", "ZT1", START, date(2021, 12, 31)))
    relate(session, member("ZT1", "ZF1", date(2022, 1, 1)))
    with pytest.raises(BadInput, match="circle"):
        relate(session, member("ZF1", "ZT1", date(2023, 1, 1)))


def test_a_membership_ends_and_another_begins(session: Session) -> None:
    end_relationship(session, "Z00001", "U99901", date(2026, 3, 31))
    relate(session, member("Z00001", "U99902", date(2026, 4, 1)))
    graph = load_graph(session)
    assert graph.pcns_of("Z00001", date(2026, 3, 31)) == {"U99901"}
    assert graph.pcns_of("Z00001", date(2026, 4, 1)) == {"U99902"}
    with pytest.raises(NotFound):
        end_relationship(session, "Z00001", "U99901", date(2026, 4, 1))


def test_a_merged_practice_closes_and_is_stood_for_by_its_successor(session: Session) -> None:
    succeed(session, "Z00002", "Z00003", date(2026, 4, 1))
    graph = load_graph(session)
    assert graph.practices(date(2026, 3, 31)) == {"Z00001", "Z00002", "Z00003"}
    assert graph.practices(date(2026, 4, 1)) == {"Z00001", "Z00003"}
    assert graph.practices_under("U99902", date(2026, 4, 1)) == {"Z00003"}
    assert graph.successors("Z00002", date(2026, 3, 31)) == {"Z00002"}
    assert graph.successors("Z00002", date(2026, 4, 1)) == {"Z00003"}


def test_successors_are_many_to_many_and_followed_step_by_step(session: Session) -> None:
    for code in ("ZN1", "ZN2"):
        create(session, NewOrganisation(code, code, OrganisationType.PRACTICE, START))
    succeed(session, "Z00001", "ZN1", LATER)
    succeed(session, "Z00001", "ZN2", LATER)
    succeed(session, "ZN1", "Z00003", TODAY)
    graph = load_graph(session)
    assert graph.successors("Z00001", LATER) == {"ZN1", "ZN2"}
    assert graph.successors("Z00001", TODAY) == {"Z00003", "ZN2"}
    with pytest.raises(Conflict):
        succeed(session, "Z00001", "ZN1", TODAY)
    with pytest.raises(BadInput, match="circle"):
        succeed(session, "ZN2", "Z00001", TODAY)
    with pytest.raises(BadInput, match="not open"):
        succeed(session, "Z00002", "ZN1", TODAY)


def test_what_closes_leaves_nothing_open(session: Session) -> None:
    close(session, "U99902", date(2025, 12, 31))
    graph = load_graph(session)
    assert graph.children("U99902", date(2025, 12, 31)) != []
    assert graph.children("U99902", TODAY) == []
    assert graph.parents("U99902", TODAY) == []
    with pytest.raises(BadInput):
        close(session, "Z00001", date(2000, 1, 1))


def test_codes_are_opaque_and_never_used_twice(session: Session) -> None:
    create(session, NewOrganisation("any thing/at-all", "A practice", OrganisationType.PRACTICE, START))
    with pytest.raises(Conflict):
        create(session, NewOrganisation("any thing/at-all", "Another", OrganisationType.PCN, START))
    with pytest.raises(BadInput):
        create(session, NewOrganisation(" ", "Another", OrganisationType.PCN, START))
    with pytest.raises(BadInput):
        create(session, NewOrganisation("Z9", "Another", OrganisationType.PCN, TODAY, START))


def test_two_tenants_know_nothing_of_each_others_organisations(
    database: Database, session: Session, other_tenant: Tenant
) -> None:
    with database.tenant(other_tenant.id) as others:
        assert load_graph(others).nodes == {}
        create(others, NewOrganisation("Z00001", "The same code", OrganisationType.PRACTICE, START))
    assert load_graph(session).nodes["Z00001"].name == "The Z00001"


def test_a_graph_read_again_is_the_same_until_any_row_changes_however_it_is_changed(session: Session) -> None:
    before = load_graph(session)
    assert load_graph(session) is before
    session.connection().execute(text("UPDATE organisations SET name = 'Renamed' WHERE ods_code = 'Z00001'"))
    renamed = load_graph(session)
    assert (before.nodes["Z00001"].name, renamed.nodes["Z00001"].name) == ("The Z00001", "Renamed")
    session.connection().execute(text('UPDATE organisation_relationships SET "end" = :day'), {"day": LATER})
    assert load_graph(session).practices_under("QT1", TODAY) == set()


def test_what_a_transaction_rolled_back_is_not_remembered(database: Database, tenant: Tenant) -> None:
    with database.tenant(tenant.id) as session, session.begin_nested() as savepoint:
        create(session, NewOrganisation("Z00001", "Never was", OrganisationType.PRACTICE, START))
        assert set(load_graph(session).nodes) == {"Z00001"}
        savepoint.rollback()
    with database.tenant(tenant.id) as session:
        assert load_graph(session).nodes == {}
