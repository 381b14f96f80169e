"""The first page after signing in: the registries in reach, or what this role will see here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.login import Role
from cohortium_auth.policy import Action
from cohortium_platform.errors import NotFound
from cohortium_platform.results import ListQuery
from cohortium_web.asking import Asking
from cohortium_web.pages.registry.opened import open_registry
from cohortium_web.pages.registry.views import RecordsTo
from cohortium_web.requiring import requires

__all__ = ["WILL_SEE", "router"]

router = APIRouter()

WILL_SEE: Mapping[Role, str] = {
    Role.CLINICIAN: "identifiable patients of practices that share with your organisation",
    Role.CARE_COORDINATOR: "identifiable patients of practices that share with your organisation",
    Role.PRACTICE_MANAGER: "how far your practice's onboarding is",
    Role.ICB_ANALYST: "suppressed counts and rates by organisation, and pseudonymised rows under an approval",
    Role.PROGRAMME_LEAD: "suppressed counts and rates and how registries are used, and never a patient",
    Role.IG_OFFICER: "the audit log, approvals, reviews, opt-outs and the access matrix, and no clinical content",
    Role.TENANT_ADMINISTRATOR: "organisations and onboarding, packs, how registries are used, and no clinical content",
    Role.PACK_DEVELOPER: "the pack catalogue, and previews that a tenant has agreed to",
    Role.PLATFORM_OPERATOR: "publishers of packs and the health of the service, and nothing that a tenant owns",
}
"""What each role sees, in words."""


_SEES_PATIENTS = frozenset({Role.CLINICIAN, Role.CARE_COORDINATOR})
_SEES_COUNTS = frozenset({Role.ICB_ANALYST, Role.PROGRAMME_LEAD})


@dataclass(frozen=True, slots=True)
class Card:
    """A registry on the home page: how many people, how many of them with a gap, and how far records run."""

    title: str
    href: str
    people: int
    with_gaps: int
    practices: int
    index_date: date
    records_to: Sequence[RecordsTo]


@dataclass(frozen=True, slots=True)
class CountedCard:
    """A registry of which this role sees suppressed counts; it says nothing of people."""

    title: str
    href: str
    practices: int


@router.get("/")
def home(asking: Annotated[Asking, requires(Action.SEE_HOME)]) -> Response:
    """Show the home page of the role."""
    cards = [_card(asking, pack) for pack in asking.registries]
    shown = [card for card in cards if card is not None]
    practices = frozenset[str]().union(*(asking.reach_of(pack).practices for pack in asking.registries))
    detail = {card.title: card.people for card in shown}
    counted = _counted(asking)
    asking.record("home", practices=sorted(practices), detail={"people": detail} if detail else None)
    return asking.page(
        "home/home.html",
        cards=shown,
        counted=counted,
        practices=len(practices),
        sees_patients=asking.who.role in _SEES_PATIENTS,
        sees_counts=asking.who.role in _SEES_COUNTS,
        will_see=WILL_SEE[asking.who.role],
    )


def _counted(asking: Asking) -> Sequence[CountedCard]:
    """Registries whose counts this role may see."""
    if asking.who.role not in _SEES_COUNTS:
        return []
    return [
        CountedCard(found.title, f"/aggregates/{pack}/", len(asking.reach_of(pack, Action.VIEW_AGGREGATES).practices))
        for pack, found in asking.counted.items()
    ]


def _card(asking: Asking, pack: str) -> Card | None:
    """A registry in reach; nothing where it has no results in reach yet."""
    try:
        registry = open_registry(asking, pack)
    except NotFound:
        return None
    counts = registry.results.page(ListQuery(min_gaps=1, limit=0)).total
    people = registry.results.page(ListQuery(limit=0)).total
    return Card(
        registry.title, registry.path, people, counts, len(registry.results.practices), registry.index_date,
        registry.records_to,
    )  # fmt: skip
