"""Who can sign in to a demonstration, what practices share with whom, and which uses other than care were approved. All
of it is made up.

Not here: organisations (`cohortium_tenants.demo`) and records.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlmodel import Session, select

from cohortium_auth.approvals import Level, NewApproval, ask_for, decide_on
from cohortium_auth.ig_settings import change_ig_settings
from cohortium_auth.login import NewMembership, Purpose, Role, add_person
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
    OrganisationType.ICB,
    OrganisationType.CANCER_ALLIANCE,
)
"""What a practice shares with, besides its own staff: everything it belongs to. Of the last two nobody sees a patient:
they are given suppressed counts, under an approval."""
_APPROVED_FOR = timedelta(days=365)
_PACK = "cancer-care"


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
    people: dict[tuple[Role, str], list[UUID]] = {}
    for name, roles in _people(graph):
        person = add_person(session, name, [NewMembership(role, code, START) for role, code in roles])
        for role in roles:
            people.setdefault(role, []).append(person)
    _approve(session, people)


def _approve(session: Session, people: Mapping[tuple[Role, str], Sequence[UUID]]) -> None:
    """Counts for the ICB's planning and for the Alliance's evaluation: asked for by who would use them, and agreed to
    by two IG officers.
    """
    change_ig_settings(session, {"officers_to_approve": 2})
    today = datetime.now(UTC).date()
    officers = [person for (role, _), found in people.items() if role is Role.IG_OFFICER for person in found]
    for role, purpose, title in (
        (Role.ICB_ANALYST, Purpose.PLANNING, "Planning cancer care reviews across the ICB"),
        (Role.PROGRAMME_LEAD, Purpose.SERVICE_EVALUATION, "Evaluating the Alliance's personalised care programme"),
    ):
        organisation, asking = next((code, found[0]) for (held, code), found in people.items() if held is role)
        wanted = NewApproval(
            title=title,
            purpose=purpose,
            pack=_PACK,
            level=Level.AGGREGATE,
            start=today,
            end=today + _APPROVED_FOR,
            conditions="Suppressed counts only; not to be joined with other counts of the same people.",
            documents=["Demonstration DPIA 1"],
            organisation=organisation,
        )
        approval = ask_for(session, wanted, by=asking)
        for officer in officers:
            decide_on(session, approval, by=officer, agreed=True, why="Counts are suppressed.", on=today)


def _people(graph: OrganisationGraph) -> Iterator[tuple[str, list[tuple[Role, str]]]]:
    """Yield someone for each role; one person holds two."""
    practices, pcns, federations, teams, icbs, alliances, places = (
        graph.of_type(kind, TODAY)
        for kind in (
            OrganisationType.PRACTICE,
            OrganisationType.PCN,
            OrganisationType.FEDERATION,
            OrganisationType.NEIGHBOURHOOD_TEAM,
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
    yield "Ifeoma Stillwater", [(Role.CARE_COORDINATOR, teams[0])]
    yield "Callum Brightwater", [(Role.CARE_COORDINATOR, largest)]
    yield "Meera Thistlewood", [(Role.PRACTICE_MANAGER, first)]
    yield "Owen Fairweather", [(Role.ICB_ANALYST, icbs[0])]
    yield "Helena Marchbank", [(Role.PROGRAMME_LEAD, alliances[0])]
    yield "Idris Penhallow", [(Role.IG_OFFICER, icbs[0])]
    yield "Rowan Ashdown", [(Role.IG_OFFICER, icbs[0])]
    yield "Nadia Summerfield", [(Role.TENANT_ADMINISTRATOR, icbs[0])]
    yield "Imogen Castellan", [(Role.PACK_DEVELOPER, icbs[0])]
    yield "Dr Piers Wetherby", [(Role.PACK_DEVELOPER, icbs[0])]
    yield "Bronwen Tideswell", [(Role.PLATFORM_OPERATOR, icbs[0])]
