"""The two tenants of a demonstration.

Here: their organisations, and what the synthetic population needs to know of their practices. Not here: people,
records, and starting anything.

The shapes are those of two real ICBs: one of five London boroughs with about 1.8 million people in 180 practices, and a
rural one of two places. The boroughs and counties are real, so that maps and deprivation make sense. Every ICB,
practice, PCN, federation, team, trust and Alliance is made up, code and name, and marked `fictitious`. Their codes have
the shape of ODS codes and are chosen not to be anyone's (practices begin with Z, trusts with RZ).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sqlmodel import Session

from cohortium_platform.database import Database
from cohortium_platform.errors import NotFound
from cohortium_platform.keys import KeyEncryption
from cohortium_platform.synthetic.options import Ages, Deprivation, Ethnicity, Setting, SyntheticPractice
from cohortium_tenants.organisations import (
    Member,
    NewOrganisation,
    OrganisationType,
    RelationshipKind,
    create,
    load_graph,
    relate,
)
from cohortium_tenants.tenants import Tenant, create_tenant, find_tenant

__all__ = ["DEMO_TENANTS", "DORSET", "NORTH_LONDON", "DemoPlace", "DemoTenant", "build_demo_tenant", "demo_practices"]

_OPENED = date(2015, 4, 1)
_PER_PCN = 6
_PER_TEAM = 12
_PEOPLE_PER_PRACTICE = 10_000


@dataclass(frozen=True, slots=True)
class DemoPlace:
    """A place and who lives there; `share` is its part of the tenant's practices."""

    code: str
    name: str
    share: float
    ages: Ages
    ethnicity: Ethnicity
    deprivation: Deprivation
    setting: Setting


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """The plan of one tenant. `first_code` begins the numbers in its made-up codes: no two tenants share one."""

    slug: str
    icb: str
    icb_code: str
    full_practices: int
    fewest_practices: int
    places: tuple[DemoPlace, ...]
    trusts: tuple[tuple[str, str], ...]
    alliance: tuple[str, str]
    first_code: int

    def practices_for(self, people: int) -> int:
        """How many practices a population has: one for 10,000 people, within what the shape allows."""
        return max(self.fewest_practices, min(self.full_practices, round(people / _PEOPLE_PER_PRACTICE)))


NORTH_LONDON = DemoTenant(
    slug="north-london",
    icb="North London ICB (demonstration)",
    icb_code="QZ1",
    full_practices=180,
    fewest_practices=15,
    places=(
        DemoPlace("07M", "Barnet", 0.27, Ages.MIXED, Ethnicity.MIXED, Deprivation.LESS, Setting.URBAN),
        DemoPlace("07R", "Camden", 0.18, Ages.YOUNG, Ethnicity.MIXED, Deprivation.AVERAGE, Setting.URBAN),
        DemoPlace("07X", "Enfield", 0.21, Ages.MIXED, Ethnicity.DIVERSE, Deprivation.MORE, Setting.URBAN),
        DemoPlace("08D", "Haringey", 0.18, Ages.YOUNG, Ethnicity.DIVERSE, Deprivation.MORE, Setting.URBAN),
        DemoPlace("08H", "Islington", 0.16, Ages.YOUNG, Ethnicity.MIXED, Deprivation.MORE, Setting.URBAN),
    ),
    trusts=(("RZ1", "Parliament Fields Hospitals"), ("RZ2", "Lea Marshes University Hospital")),
    alliance=("ZCA01", "Northern Heights Cancer Alliance"),
    first_code=10_000,
)

DORSET = DemoTenant(
    slug="dorset",
    icb="Dorset ICB (demonstration)",
    icb_code="QZ2",
    full_practices=75,
    fewest_practices=8,
    places=(
        DemoPlace("ZD1", "Dorset", 0.48, Ages.OLD, Ethnicity.MOSTLY_WHITE, Deprivation.LESS, Setting.RURAL),
        DemoPlace(
            "ZD2",
            "Bournemouth, Christchurch and Poole",
            0.52,
            Ages.OLD,
            Ethnicity.MOSTLY_WHITE,
            Deprivation.AVERAGE,
            Setting.URBAN,
        ),
    ),
    trusts=(("RZ3", "Chalk Downs Hospitals"), ("RZ4", "Heath and Harbour Hospital")),
    alliance=("ZCA02", "Southern Coast Cancer Alliance"),
    first_code=20_000,
)

DEMO_TENANTS = (NORTH_LONDON, DORSET)

_FIRST = (
    "Alder", "Apple", "Ash", "Beech", "Birch", "Blackthorn", "Bramble", "Cedar", "Cherry", "Chestnut", "Clover",
    "Cornflower", "Elder", "Elm", "Fern", "Foxglove", "Hawthorn", "Hazel", "Heather", "Holly", "Hornbeam", "Juniper",
    "Larch", "Laurel", "Lavender", "Lime", "Linden", "Maple", "Meadow", "Mulberry", "Myrtle", "Oak", "Orchard",
    "Osier", "Pear", "Pine", "Plane", "Poplar", "Primrose", "Quince", "Rowan", "Sorrel", "Sycamore", "Tamarisk",
    "Thistle", "Walnut", "Willow", "Wisteria", "Yarrow", "Yew",
)  # fmt: skip
_SECOND = (
    "Bridge",
    "Corner",
    "Court",
    "Green",
    "Grove",
    "Hill",
    "House",
    "Lane",
    "Mews",
    "Park",
    "Road",
    "Square",
    "Walk",
)
_KINDS = ("Surgery", "Medical Centre", "Practice", "Health Centre", "Family Practice")


@dataclass(frozen=True, slots=True)
class _Practice:
    code: str
    name: str
    place: DemoPlace
    number: int
    size: float


def _practices(plan: DemoTenant, count: int) -> list[_Practice]:
    """The tenant's practices, the same at every call; sizes scatter as real lists do, around a mean of 1."""
    chance = random.Random(plan.first_code)  # noqa: S311 - names and sizes, nothing secret
    names = [f"{first} {second}" for first in _FIRST for second in _SECOND]
    chance.shuffle(names)
    found: list[_Practice] = []
    for place, many in zip(plan.places, _parts(count, [place.share for place in plan.places]), strict=True):
        for number in range(many):
            index = len(found)
            name = f"{names[index]} {chance.choice(_KINDS)}"
            size = round(min(max(chance.lognormvariate(-0.1, 0.45), 0.35), 3.0), 3)
            found.append(_Practice(f"Z{plan.first_code + index + 1:05d}", name, place, number, size))
    return found


def _parts(total: int, shares: Sequence[float]) -> list[int]:
    """Cut a number by shares: at least one each, and the largest remainders get what is left."""
    parts = [max(1, int(total * share)) for share in shares]
    order = sorted(range(len(shares)), key=lambda i: total * shares[i] - parts[i], reverse=True)
    for i in range(total - sum(parts)):
        parts[order[i % len(order)]] += 1
    return parts


def demo_practices(plan: DemoTenant, practices: int) -> tuple[SyntheticPractice, ...]:
    """What the generator of synthetic populations needs to know of a tenant's practices."""
    return tuple(
        SyntheticPractice(
            code=practice.code,
            place=practice.place.code,
            name=practice.name,
            size=practice.size,
            ages=practice.place.ages,
            ethnicity=practice.place.ethnicity,
            deprivation=practice.place.deprivation,
            setting=practice.place.setting,
        )
        for practice in _practices(plan, practices)
    )


def build_demo_tenant(database: Database, keys: KeyEncryption, plan: DemoTenant, practices: int) -> Tenant:
    """Make a demonstration tenant with its keys and its organisations, or finish one that was begun."""
    try:
        tenant = find_tenant(database, plan.slug)
    except NotFound:
        tenant = create_tenant(database, keys, slug=plan.slug, name=plan.icb, ods_code=plan.icb_code)
    with database.tenant(tenant.id) as session:
        if not load_graph(session).nodes:
            _build(session, plan, _practices(plan, practices))
    return tenant


def _build(session: Session, plan: DemoTenant, practices: Sequence[_Practice]) -> None:
    icb = NewOrganisation(plan.icb_code, plan.icb, OrganisationType.ICB, _OPENED, fictitious=True)
    alliance = _made_up(*plan.alliance, OrganisationType.CANCER_ALLIANCE)
    create(session, icb)
    create(session, alliance)
    members = [_member(icb.ods_code, alliance.ods_code, RelationshipKind.COVERED_BY)]
    for code, name in plan.trusts:
        create(session, _made_up(code, name, OrganisationType.TRUST))
        members.append(_member(code, icb.ods_code, RelationshipKind.COMMISSIONED_BY))
    for place in plan.places:
        create(session, NewOrganisation(place.code, place.name, OrganisationType.PLACE, _OPENED))
        members.append(_member(place.code, icb.ods_code, RelationshipKind.PART_OF))
    for practice in practices:
        create(session, _made_up(practice.code, practice.name, OrganisationType.PRACTICE))
        members.append(_member(practice.code, practice.place.code, RelationshipKind.MEMBER_OF))
    for group, group_members in _groups(plan, practices):
        create(session, group)
        members += group_members
    relate(session, *members)


def _groups(plan: DemoTenant, practices: Sequence[_Practice]) -> Iterator[tuple[NewOrganisation, list[Member]]]:
    """A federation for each place, PCNs of about six practices, and neighbourhood teams across PCNs."""
    counts = {OrganisationType.PCN: 0, OrganisationType.NEIGHBOURHOOD_TEAM: 0}
    for index, place in enumerate(plan.places):
        own = [practice for practice in practices if practice.place is place]
        yield _group(
            f"ZF{plan.first_code // 1000 + index:03d}",
            f"{place.name} GP Federation",
            OrganisationType.FEDERATION,
            place,
            own,
        )
        for kind, per, prefix, title in (
            (OrganisationType.PCN, _PER_PCN, "U99", "PCN"),
            (OrganisationType.NEIGHBOURHOOD_TEAM, _PER_TEAM, "ZN", "Neighbourhood Team"),
        ):
            many = max(1, round(len(own) / per))
            for number in range(many):
                counts[kind] += 1
                code = f"{prefix}{plan.first_code // 100 + counts[kind]:03d}"
                yield _group(
                    code, f"{place.name} {_POINTS[number % len(_POINTS)]} {title}", kind, place, own[number::many]
                )


_POINTS = ("Central", "North", "East", "South", "West", "Hillside", "Riverside", "Parkside", "Lakeside", "Upland")


def _group(
    code: str, name: str, kind: OrganisationType, place: DemoPlace, practices: Sequence[_Practice]
) -> tuple[NewOrganisation, list[Member]]:
    members = [_member(practice.code, code, RelationshipKind.MEMBER_OF) for practice in practices]
    return _made_up(code, name, kind), [*members, _member(code, place.code, RelationshipKind.PART_OF)]


def _made_up(code: str, name: str, kind: OrganisationType) -> NewOrganisation:
    return NewOrganisation(code, name, kind, _OPENED, fictitious=True)


def _member(child: str, parent: str, kind: RelationshipKind) -> Member:
    return Member(child, parent, kind, _OPENED)
