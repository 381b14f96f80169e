"""Routes of a registry's reconciliation: counts by practice and reason, and the people of the difference."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.policy import Action
from cohortium_platform import identities
from cohortium_platform.engine.reconciling import Compared
from cohortium_platform.errors import BadInput
from cohortium_plugins.reconciling import Standing
from cohortium_web.asking import Asking
from cohortium_web.pages.paging import PAGE_ROWS, PageOf
from cohortium_web.pages.reconciliation.compared import GONE, ComparedRegistry, standing_words
from cohortium_web.pages.references import PatientReferences
from cohortium_web.pages.registry.form import organisation_choices, practices_of
from cohortium_web.pages.registry.opened import open_registry
from cohortium_web.pages.registry.routes import registry_head
from cohortium_web.pages.registry.views import Choice
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table, as_csv
from cohortium_web.words import nhs_number

__all__ = ["router"]

router = APIRouter(prefix="/registries/{pack}/reconciliation")

_TAB = "reconciliation/"
_PATIENT_COLUMNS = (
    Column("name", "Patient"),
    Column("nhs-number", "NHS number"),
    Column("practice", "Practice"),
    Column("standing", "Standing"),
    Column("reason", "Reason"),
)


@router.get("/")
def show_reconciliation(
    asking: Annotated[Asking, requires(Action.VIEW_REGISTRY)], pack: str, organisation: str = "", work: str = ""
) -> Response:
    """How many are in the registry, on the register, in both and in neither, by practice and by reason."""
    compared = _compared(asking, pack, organisation)
    registry, reference = compared.registry, compared.reference
    asking.record(
        f"registry/{pack}",
        practices=compared.practices,
        detail={"shown": "reconciliation", "organisation": organisation},
    )
    if compared.missing and not work:
        return _waiting(compared, registry.path + _TAB, organisation=organisation)
    table = Table(
        f"{pack}-reconciliation",
        f"The registry and the {reference.title}, by practice",
        [Column("practice", "Practice"), *_standing_columns(compared), Column("gone", "Left or died", numeric=True)],
        [_practice_row(compared, practice) for practice in sorted(compared.practices, key=asking.name_of)],
        "No practice in your reach has results yet.",
        foot=[_total_row(compared)],
    )
    return asking.answer(
        table,
        "reconciliation/reconciliation.html",
        registry=registry_head(registry, _TAB),
        reference=reference,
        organisations=organisation_choices(registry, organisation),
        action=registry.path + _TAB,
        reasons=_reasons(compared, organisation),
    )


@router.get("/patients/")
def show_difference(  # noqa: PLR0913, PLR0917 - a filter each
    asking: Annotated[Asking, requires(Action.VIEW_REGISTRY)],
    pack: str,
    organisation: str = "",
    standing: str = "",
    reason: str = "",
    page: int = 1,
    work: str = "",
) -> Response:
    """The people of the difference, with the reason found by the rules."""
    compared = _compared(asking, pack, organisation)
    if compared.missing and not work:
        asking.record(f"registry/{pack}", detail={"shown": "reconciliation-patients"})
        chosen = {"organisation": organisation, "standing": standing, "reason": reason}
        return _waiting(compared, f"{compared.registry.path}{_TAB}patients/", **chosen)
    table, paged = _listed(compared, organisation, standing, reason, page)
    registry, words = compared.registry, standing_words(compared.reference)
    action = f"{registry.path}{_TAB}patients/"
    chosen = {"organisation": organisation, "standing": standing, "reason": reason}
    return asking.answer(
        table,
        "reconciliation/patients.html",
        registry=registry_head(registry, _TAB),
        reference=compared.reference,
        organisations=organisation_choices(registry, organisation),
        standings=[Choice(key, words[key], key == standing) for key in Standing if key != Standing.BOTH],
        reasons=[Choice(key, text, key == reason) for key, text in compared.reason_words.items() if key not in GONE],
        action=action,
        above=registry.path + _TAB,
        paging=paged.paging(lambda number: f"{action}?{_query(**chosen, page=str(number))}"),
    )


@router.get("/list.csv")
def take_difference(  # noqa: PLR0913, PLR0917 - a filter each
    asking: Annotated[Asking, requires(Action.EXPORT_LIST)],
    pack: str,
    organisation: str = "",
    standing: str = "",
    reason: str = "",
    page: int = 1,
) -> Response:
    """The page of these people that the address names, as CSV."""
    table, _ = _listed(_compared(asking, pack, organisation), organisation, standing, reason, page)
    return as_csv(table.asked(asking.request))


def _waiting(compared: ComparedRegistry, where: str, **chosen: str) -> Response:
    """Say that comparing takes a while, on a page that leads on by itself."""
    return compared.registry.asking.page(
        "reconciliation/waiting.html",
        registry=registry_head(compared.registry, _TAB),
        reference=compared.reference,
        practices=len(compared.missing),
        next=f"{where}?{_query(**chosen, work='1')}",
    )


def _listed(
    compared: ComparedRegistry, organisation: str, standing: str, reason: str, page: int
) -> tuple[Table, PageOf]:
    """Read one page, and record who is on it."""
    if (standing and standing not in set(Standing)) or (reason and reason not in compared.reason_words):
        raise BadInput("There is no such reason.", "Choose one from the list.")
    registry, found = compared.registry, compared.different(standing, reason)
    paged = PageOf(len(found), page).within()
    shown = found[paged.offset : paged.offset + PAGE_ROWS]
    chosen = {"organisation": organisation, "standing": standing, "reason": reason}
    registry.asking.record(
        f"registry/{registry.id}",
        practices=sorted({each.practice for each in shown}),
        patients=[each.patient_id for each in shown],
        detail={"shown": "reconciliation-patients", **chosen, "page": paged.number, "total": len(found)},
    )
    table = Table(
        f"{registry.id}-reconciliation-page-{paged.number}",
        f"In one and not in the other, or coded and on neither: {len(found):,}",
        _PATIENT_COLUMNS,
        _patient_rows(compared, shown),
        "Nobody: the registry and the register agree here.",
        csv_at=f"{registry.path}{_TAB}list.csv",
    )
    return table, paged


def _compared(asking: Asking, pack: str, organisation: str) -> ComparedRegistry:
    registry = open_registry(asking, pack)
    if organisation and organisation not in asking.organisations.nodes:
        raise BadInput("There is no such organisation.", "Choose one from the list.")
    practices = practices_of(registry, organisation) if organisation else registry.results.practices
    return ComparedRegistry(registry, practices)


def _query(**chosen: str) -> str:
    return urlencode({key: value for key, value in chosen.items() if value})


def _standing_columns(compared: ComparedRegistry) -> Sequence[Column]:
    return [Column(key, words, numeric=True) for key, words in standing_words(compared.reference).items()]


def _practice_row(compared: ComparedRegistry, practice: str) -> Sequence[Cell]:
    name = compared.registry.asking.name_of(practice)
    return [Cell(name), *_figures(compared, {practice})]


def _total_row(compared: ComparedRegistry) -> Sequence[Cell]:
    return [Cell("All of these"), *_figures(compared, compared.practices)]


def _figures(compared: ComparedRegistry, practices: Collection[str]) -> Sequence[Cell]:
    """The counts of some practices by standing, of people who belong there; and of those who no longer do."""
    found = [
        (standing, reason, people)
        for (where, standing, reason), people in compared.counts.items()
        if where in practices
    ]
    here = {
        key: sum(people for standing, reason, people in found if standing == key and reason not in GONE)
        for key in Standing
    }
    gone = sum(people for _, reason, people in found if reason in GONE)
    return [*(Cell(here[key]) for key in Standing), Cell(gone)]


def _reasons(compared: ComparedRegistry, organisation: str) -> Sequence[tuple[str, str, int, str]]:
    """Each reason that somebody has: its words, where these people stand, how many, and where they are listed."""
    words, found = standing_words(compared.reference), []
    for reason, title in compared.reason_words.items():
        for standing in Standing:
            people = sum(
                number for (_, where, why), number in compared.counts.items() if where == standing and why == reason
            )
            if people:
                query = _query(organisation=organisation, standing=standing, reason=reason)
                href = "" if reason in GONE else f"{compared.registry.path}{_TAB}patients/?{query}"
                found.append((title, words[standing], people, href))
    return found


def _patient_rows(compared: ComparedRegistry, shown: Sequence[Compared]) -> Sequence[Sequence[Cell]]:
    registry = compared.registry
    asking = registry.asking
    with asking.timed("identities"):
        known = identities.open_many(
            asking.session, asking.keys, [each.patient_id for each in shown], practices=compared.practices
        )
    references, words = PatientReferences(asking.keys), standing_words(compared.reference)
    rows = []
    for each in shown:
        who = known.get(each.patient_id)
        href = f"{registry.path}patients/{references.write(each.patient_id)}/"
        rows.append(
            [
                Cell(
                    (who.name if who else "") or "Name not known",
                    href if each.standing == Standing.REGISTRY_ONLY else "",
                ),
                Cell(nhs_number(who.nhs_number if who else None)),
                Cell(asking.name_of(each.practice)),
                Cell(words[each.standing]),
                Cell(compared.reason_words.get(each.reason or "", "")),
            ]
        )
    return rows
