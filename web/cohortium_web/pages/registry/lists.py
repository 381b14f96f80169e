"""A page of the registry's list: who is on it, with what a row and a tile say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from cohortium_platform import identities
from cohortium_platform.errors import BadInput
from cohortium_platform.identities import Identity
from cohortium_platform.results import ListPage, ListQuery, ListRow
from cohortium_plugins.model import Status
from cohortium_web.pages.paging import PAGE_ROWS, PageOf
from cohortium_web.pages.references import PatientReferences
from cohortium_web.pages.registry.filters import Filters
from cohortium_web.pages.registry.form import practices_of
from cohortium_web.pages.registry.opened import OpenedRegistry
from cohortium_web.pages.registry.searches import found_by, text_of
from cohortium_web.pages.registry.views import Chip, GroupHead, IndicatorHead, Paging, Row, Tile, TileRow
from cohortium_web.words import STATUSES

__all__ = ["ListedPage", "list_page", "tile_columns"]

_MOST_CHIPS = 2


@dataclass(frozen=True, slots=True)
class ListedPage:
    """One page of the list, with the identities of those on it and nobody else's."""

    registry: OpenedRegistry
    filters: Filters
    query: ListQuery
    page: ListPage
    identities: Mapping[int, Identity]
    references: PatientReferences
    search: str

    @property
    def patients(self) -> Sequence[int]:
        """Everyone whose details the page shows."""
        return [row.patient_id for row in self.page.rows]

    @property
    def everyone(self) -> int | None:
        """How many people there are in reach, when the list shows them all and so knows it."""
        return None if self.filters.are_set else self.page.total

    def path_of(self, patient_id: int) -> str:
        """Where a patient's page is."""
        return f"{self.registry.path}patients/{self.references.write(patient_id)}/"

    def name_of(self, patient_id: int) -> str:
        """A patient's name, or what stands for one that is not known."""
        identity = self.identities.get(patient_id)
        return (identity.name if identity else "") or "Name not known"

    def nhs_number_of(self, patient_id: int) -> str | None:
        """A patient's NHS number."""
        identity = self.identities.get(patient_id)
        return identity.nhs_number if identity else None

    def rows(self) -> Sequence[Row]:
        """The rows of the list."""
        return [self._row(row) for row in self.page.rows]

    def tile_rows(self) -> Sequence[TileRow]:
        """The rows of tiles."""
        return [self._tile_row(row) for row in self.page.rows]

    def paging(self, action: str) -> Paging:
        """Where this page stands among all."""
        return PageOf(self.page.total, self.filters.page).paging(lambda page: self.filters.on_page(page).at(action))

    def _row(self, row: ListRow) -> Row:
        overdue = [each for each in self.registry.indicators if row.statuses.get(each.name) is Status.OVERDUE]
        return Row(
            href=self.path_of(row.patient_id),
            name=self.name_of(row.patient_id),
            nhs_number=self.nhs_number_of(row.patient_id),
            age=row.age,
            sex=row.sex or "",
            practice=self.registry.asking.name_of(row.practice),
            shown=self.registry.shown(row.shown_code, row.shown_text),
            since=row.since,
            gaps=row.gaps,
            due=row.due,
            chips=[Chip(each.title, STATUSES[Status.OVERDUE]) for each in overdue[:_MOST_CHIPS]],
            more=max(0, len(overdue) - _MOST_CHIPS),
        )

    def _tile_row(self, row: ListRow) -> TileRow:
        href, tiles, group = self.path_of(row.patient_id), [], ""
        for indicator in self.registry.indicators:
            status = row.statuses.get(indicator.name, Status.NOT_APPLICABLE)
            where = "" if status is Status.NOT_APPLICABLE else f"{href}#{indicator.name}"
            look = STATUSES[status]
            tiles.append(Tile(look, look.short, indicator.title, where, indicator.group != group))
            group = indicator.group
        name, number = self.name_of(row.patient_id), self.nhs_number_of(row.patient_id)
        return TileRow(href, name, number, self.registry.asking.name_of(row.practice), row.gaps, tiles)


def list_page(registry: OpenedRegistry, filters: Filters) -> ListedPage:
    """Read one page. Raises `BadInput` on an unknown name, `NotFound` on another session's search."""
    asking = registry.asking
    search = "" if filters.search is None else text_of(asking, filters.search)
    _see_known(registry, filters)
    query = _query(registry, filters, search)
    with asking.timed("results"):
        page = registry.results.page(query)
    with asking.timed("identities"):
        found = identities.open_many(
            asking.session, asking.keys, [row.patient_id for row in page.rows], practices=registry.results.practices
        )
    return ListedPage(registry, filters, query, page, found, PatientReferences(asking.keys), search)


def tile_columns(registry: OpenedRegistry, page: ListedPage) -> tuple[Sequence[GroupHead], Sequence[IndicatorHead]]:
    """The heads of the tiles' columns, with counts over all pages."""
    with registry.asking.timed("results"):
        counts = registry.results.tiles(page.query)
    groups = [
        GroupHead(title, len(list(members))) for title, members in groupby(registry.indicators, key=lambda i: i.group)
    ]
    heads, group = [], ""
    for indicator in registry.indicators:
        found = counts.get(indicator.name, {})
        heads.append(
            IndicatorHead(
                name=indicator.name,
                title=indicator.title,
                met=found.get(Status.MET, 0),
                gaps=found.get(Status.OVERDUE, 0),
                starts_group=indicator.group != group,
            )
        )
        group = indicator.group
    return groups, heads


def _see_known(registry: OpenedRegistry, filters: Filters) -> None:
    """See that filters name what there is: what is asked stands in the log for ever. Raises `BadInput`."""
    labels = {each.name: {value for value, _ in each.labels} for each in registry.registered.definition.stratifiers}
    unknown = any(value not in labels.get(name, {value}) for name, value in filters.strata.items())
    if unknown or (filters.organisation and filters.organisation not in registry.asking.organisations.nodes):
        raise BadInput("There is no such group or organisation.", "Choose from the lists.")


def _query(registry: OpenedRegistry, filters: Filters, search: str) -> ListQuery:
    chosen = practices_of(registry, filters.organisation) if filters.organisation else None
    patients = None
    if filters.search is not None:
        patients = found_by(registry.asking, search, registry.results.practices)
    by_status = filters.indicator and filters.status
    return ListQuery(
        practices=chosen,
        indicator=filters.indicator if by_status else None,
        status=filters.status if by_status else None,
        min_gaps=filters.gaps,
        age_from=filters.age_from,
        age_to=filters.age_to,
        strata=filters.strata,
        patients=patients,
        offset=(filters.page - 1) * PAGE_ROWS,
        limit=PAGE_ROWS,
    )
