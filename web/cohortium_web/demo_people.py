"""Who can sign in to a demonstration, and what practices share with whom. All of them are made up.

Not here: organisations (`cohortium_tenants.demo`) and records.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date

from sqlmodel import Session, select

from cohortium_auth.login import NewMembership, Role, add_person
from cohortium_auth.login.models import Person
from cohortium_auth.policy.agreements import share
from cohortium_platform.audit import SERVICE
from cohortium_tenants.onboarding import onboard
from cohortium_tenants.organisations import OrganisationGraph, OrganisationType, load_graph

__all__ = ["add_demo_people"]

START = date(2020, 4, 1)
TODAY = date(2025, 11, 30)
DOCUMENT = "Demonstration sharing agreement 1"
SHARING = (
    OrganisationType.PCN,
    OrganisationType.FEDERATION,
    OrganisationType.NEIGHBOURHOOD_TEAM,
    OrganisationType.PLACE,
)
"""What a practice shares with, besides its own staff: everything it belongs to up to its place, not the ICB."""


def add_demo_people(session: Session) -> None:
    """Add people and sharing agreements to a tenant that has organisations; nothing happens when there are people."""
    if session.exec(select(Person)).first() is not None:
        return
    graph = load_graph(session)
    for practice in sorted(graph.practices(TODAY)):
        share(session, practice, practice, start=START, document=DOCUMENT)
        for code in sorted(graph.above(practice, TODAY)):
            if graph.nodes[code].type in SHARING:
                share(session, practice, code, start=START, document=DOCUMENT)
    for code in graph.nodes:
        onboard(session, code, on=START, document=DOCUMENT, by=SERVICE)
    for name, roles in _people(graph):
        add_person(session, name, [NewMembership(role, code, START) for role, code in roles])


def _people(graph: OrganisationGraph) -> Iterator[tuple[str, list[tuple[Role, str]]]]:
    """Yield someone for each role; one person holds two."""
    practices, pcns, federations, icbs, alliances, places = (
        graph.of_type(kind, TODAY)
        for kind in (
            OrganisationType.PRACTICE,
            OrganisationType.PCN,
            OrganisationType.FEDERATION,
            OrganisationType.ICB,
            OrganisationType.CANCER_ALLIANCE,
            OrganisationType.PLACE,
        )
    )
    largest = max(places, key=lambda place: len(graph.practices_under(place, TODAY)))
    names = itertools.cycle(practices)
    first, second = next(names), next(names)
    yield "Dr Asha Larkspur", [(Role.CLINICIAN, first)]
    yield "Dr Tom Merriwether", [(Role.CLINICIAN, second), (Role.CLINICIAN, pcns[0])]
    yield "Grace Okonjo-Field", [(Role.CARE_COORDINATOR, pcns[0])]
    yield "Dr Ruth Winterbourne", [(Role.CLINICIAN, federations[0])]
    yield "Callum Brightwater", [(Role.CARE_COORDINATOR, largest)]
    yield "Meera Thistlewood", [(Role.PRACTICE_MANAGER, first)]
    yield "Owen Fairweather", [(Role.ICB_ANALYST, icbs[0])]
    yield "Helena Marchbank", [(Role.PROGRAMME_LEAD, alliances[0])]
    yield "Idris Penhallow", [(Role.IG_OFFICER, icbs[0])]
    yield "Nadia Summerfield", [(Role.TENANT_ADMINISTRATOR, icbs[0])]
