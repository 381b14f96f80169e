"""The rows that an exporter is given, by level, as text. Not here: who may have them (`routes`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from cohortium_platform import identities
from cohortium_platform.identities import Identity
from cohortium_platform.results import ListQuery, ListRow
from cohortium_plugins.exporting import ExportLevel
from cohortium_plugins.model import Status
from cohortium_web.pages.pseudonymised.routes import alike_rows
from cohortium_web.pages.registry.opened import OpenedRegistry

__all__ = ["ExportRows", "rows_of"]

_AT_ONCE = 2_000
_IDENTIFIED = {
    "nhs_number": "NHS number",
    "name": "Name",
    "date_of_birth": "Date of birth",
    "sex": "Sex",
    "practice": "Practice",
    "since": "Since",
}
_PSEUDONYMISED = {
    "pseudonym": "Pseudonym",
    "at-least-alike": "At least so many alike",
    "age": "Age",
    "sex": "Sex",
    "place": "Place",
    "since": "Since",
}


@dataclass(frozen=True, slots=True)
class ExportRows:
    """Columns of text by name, what each is called, and whose rows they are."""

    columns: Mapping[str, Sequence[str]]
    titles: Mapping[str, str]
    patients: Sequence[int]


def rows_of(registry: OpenedRegistry, level: ExportLevel, approval: UUID) -> ExportRows:
    """Everyone whom the decision leaves in, in the order of the first column."""
    if level is ExportLevel.PSEUDONYMISED:
        rows, own = alike_rows(registry).under_pseudonyms(registry, approval), _PSEUDONYMISED
    else:
        rows, own = sorted(_identified(registry)), _IDENTIFIED
    definition = registry.registered.definition
    strata = {f"stratifier:{each.name}": each.title for each in definition.stratifiers}
    indicators = {f"indicator:{each.name}": each.title for each in registry.indicators}
    titles = own | strata | indicators
    columns = {name: [cells[at] for cells, _ in rows] for at, name in enumerate(titles)}
    return ExportRows(columns, titles, [patient for _, patient in rows])


def _identified(registry: OpenedRegistry) -> Iterator[tuple[Sequence[str], int]]:
    asking, total, offset = registry.asking, 1, 0
    while offset < total:
        page = registry.results.page(ListQuery(offset=offset, limit=_AT_ONCE))
        found = identities.open_many(
            asking.session, asking.keys, [row.patient_id for row in page.rows], practices=registry.results.practices
        )
        for row in page.rows:
            yield _cells(registry, row, found.get(row.patient_id, Identity())), row.patient_id
        total, offset = page.total, offset + _AT_ONCE


def _cells(registry: OpenedRegistry, row: ListRow, identity: Identity) -> Sequence[str]:
    born = identity.date_of_birth
    own = [
        identity.nhs_number or "",
        identity.name,
        "" if born is None else born.isoformat(),
        row.sex or "",
        row.practice,
        "" if row.since is None else row.since.isoformat(),
    ]
    strata = [row.strata.get(each.name) or "" for each in registry.registered.definition.stratifiers]
    statuses = [str(row.statuses.get(each.name, Status.NOT_APPLICABLE)) for each in registry.indicators]
    return [*own, *strata, *statuses]
