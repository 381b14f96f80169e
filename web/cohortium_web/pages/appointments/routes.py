"""A registry's worklist of combined appointments: people by gaps, then by condition reviews due.

A pack offers it by three stratifiers, `reviews-needed`, `visits-used` and `visits-saved`, and by indicators whose names
begin with `review-`, one for each condition that has a yearly review. Not here: booking, and who was contacted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.policy import Action
from cohortium_platform import identities
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.results import ListQuery, ListRow
from cohortium_plugins.model import Indicator, Status
from cohortium_web.asking import Asking
from cohortium_web.pages.paging import PAGE_ROWS, PageOf
from cohortium_web.pages.references import PatientReferences
from cohortium_web.pages.registry.form import organisation_choices, practices_of
from cohortium_web.pages.registry.opened import OpenedRegistry, open_registry
from cohortium_web.pages.registry.routes import registry_head
from cohortium_web.pages.registry.views import Choice
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table, as_csv
from cohortium_web.words import nhs_number

__all__ = ["NEEDED", "router"]

router = APIRouter(prefix="/registries/{pack}/appointments")

NEEDED, USED, SAVED = "reviews-needed", "visits-used", "visits-saved"
_TAB = "appointments/"
_REVIEW = "review-"
_OPEN = (Status.DUE, Status.OVERDUE, Status.EXCLUDED)
"""Statuses of a review that was not done. One that an adjustment excuses is among them: it hides nobody."""
_FEWEST = 2
"""One review due is no combined appointment; unless it is asked for, two are looked for."""
_MOST = 6
_COLUMNS = (
    Column("name", "Patient"),
    Column("nhs-number", "NHS number"),
    Column("age", "Age", numeric=True),
    Column("practice", "Practice"),
    Column("gaps", "Gaps", numeric=True),
    Column("reviews", "Reviews due", numeric=True),
    Column("which", "Which"),
    Column("one", "Visits that one appointment saves", numeric=True),
    Column("used", "Visits used in 12 months"),
    Column("less", "Due less used"),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the address asks for."""

    organisation: str
    review: str
    reviews: int

    def query(self) -> dict[str, str]:
        """The address' query, without what filters nothing."""
        pairs = {"organisation": self.organisation, "review": self.review, "reviews": str(self.reviews)}
        if self.reviews == _FEWEST:
            del pairs["reviews"]
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True, slots=True)
class _Listed:
    """A page of the worklist."""

    registry: OpenedRegistry
    table: Table
    paged: PageOf
    asked: _Asked


@router.get("/")
def show_appointments(  # noqa: PLR0913, PLR0917 - what the form asks
    asking: Annotated[Asking, requires(Action.VIEW_REGISTRY)],
    pack: str,
    organisation: str = "",
    review: str = "",
    reviews: int = _FEWEST,
    page: int = 1,
) -> Response:
    """People whose condition reviews are due, those with most gaps first."""
    listed = _listed(open_registry(asking, pack), _Asked(organisation, review, reviews), page, "appointments")
    registry, action = listed.registry, listed.registry.path + _TAB
    return asking.answer(
        listed.table,
        "appointments/appointments.html",
        registry=registry_head(registry, _TAB),
        organisations=organisation_choices(registry, organisation),
        reviews=[Choice(i.name, i.title.partition(":")[0], i.name == review) for i in _reviews(registry)],
        least=[Choice(str(n), f"{n} or more", n == reviews) for n in range(1, _MOST + 1)],
        action=action,
        paging=listed.paged.paging(lambda at: f"{action}?{urlencode({**listed.asked.query(), 'page': at})}"),
        total=listed.paged.total,
    )


@router.get("/list.csv")
def take_appointments(  # noqa: PLR0913, PLR0917 - what the form asks
    asking: Annotated[Asking, requires(Action.EXPORT_LIST)],
    pack: str,
    organisation: str = "",
    review: str = "",
    reviews: int = _FEWEST,
    page: int = 1,
) -> Response:
    """The page of the worklist that the address names, as CSV."""
    listed = _listed(open_registry(asking, pack), _Asked(organisation, review, reviews), page, "appointments-csv")
    return as_csv(listed.table.asked(asking.request))


def _reviews(registry: OpenedRegistry) -> Sequence[Indicator]:
    return [indicator for indicator in registry.indicators if indicator.name.startswith(_REVIEW)]


def _listed(registry: OpenedRegistry, asked: _Asked, page: int, shown: str) -> _Listed:
    """Read one page, and record who is on it. Raises `NotFound` for a registry whose pack has no such reviews."""
    asking = registry.asking
    if not {NEEDED, USED, SAVED} <= set(registry.results.evaluation.stratifiers):
        raise NotFound("This registry has no worklist of appointments.", "Look at its patients instead.")
    query = _query(registry, asked)
    with asking.timed("results"):
        found = registry.results.page(query)
        paged = PageOf(found.total, page).within()
        if paged.number > 1:
            found = registry.results.page(replace(query, offset=paged.offset))
    asking.record(
        f"registry/{registry.id}",
        practices=sorted({row.practice for row in found.rows}),
        patients=[row.patient_id for row in found.rows],
        detail={"shown": shown, **asked.query(), "page": paged.number, "total": paged.total},
    )
    table = Table(
        f"{registry.id}-appointments-page-{paged.number}",
        "People by gaps, then by condition reviews due",
        _COLUMNS,
        _rows(registry, found.rows),
        "Nobody in your reach has so many reviews due.",
        csv_at=f"{registry.path}{_TAB}list.csv",
    )
    return _Listed(registry, table, paged, asked)


def _query(registry: OpenedRegistry, asked: _Asked) -> ListQuery:
    """What to look for. Raises `BadInput` on something that the form does not offer."""
    if asked.organisation and asked.organisation not in registry.asking.organisations.nodes:
        raise BadInput("There is no such organisation.", "Choose one from the list.")
    if asked.review and asked.review not in {indicator.name for indicator in _reviews(registry)}:
        raise BadInput("There is no such review.", "Choose one from the list.")
    if not 1 <= asked.reviews <= _MOST:
        raise BadInput("Reviews due must be a whole number.", f"Give one from 1 to {_MOST}.")
    return ListQuery(
        practices=practices_of(registry, asked.organisation) if asked.organisation else None,
        indicator=asked.review or None,
        status=Status.OVERDUE if asked.review else None,
        at_least={NEEDED: str(asked.reviews)},
        rank=(NEEDED,),
        limit=PAGE_ROWS,
    )


def _rows(registry: OpenedRegistry, found: Sequence[ListRow]) -> Sequence[Sequence[Cell]]:
    asking = registry.asking
    with asking.timed("identities"):
        known = identities.open_many(
            asking.session, asking.keys, [row.patient_id for row in found], practices=registry.results.practices
        )
    references, reviews = PatientReferences(asking.keys), _reviews(registry)
    words = {s.name: dict(s.labels) for s in registry.registered.definition.stratifiers if s.name in (USED, SAVED)}
    return [_row(registry, row, known.get(row.patient_id), references, reviews, words) for row in found]


def _named(review: Indicator, status: Status) -> str:
    condition = review.title.partition(":")[0]
    return f"{condition} (exempted)" if status is Status.EXCLUDED else condition


def _row(  # noqa: PLR0913, PLR0917 - what a row is made of
    registry: OpenedRegistry,
    row: ListRow,
    who: identities.Identity | None,
    references: PatientReferences,
    reviews: Sequence[Indicator],
    words: Mapping[str, Mapping[str, str]],
) -> Sequence[Cell]:
    due = [_named(each, row.statuses[each.name]) for each in reviews if row.statuses.get(each.name) in _OPEN]
    return [
        Cell(
            (who.name if who else "") or "Name not known",
            f"{registry.path}patients/{references.write(row.patient_id)}/",
        ),
        Cell(nhs_number(who.nhs_number if who else None)),
        Cell(row.age),
        Cell(registry.asking.name_of(row.practice)),
        Cell(row.gaps),
        Cell(len(due)),
        Cell(", ".join(due)),
        Cell(max(len(due) - 1, 0)),
        *(Cell(words[name].get(row.strata.get(name) or "", "")) for name in (USED, SAVED)),
    ]
