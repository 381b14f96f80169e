"""What a list is filtered by, as it stands in the address: read, checked, written again.

Here: the filters that an address may hold. None says anything of a patient: who is searched for is kept by `searches`,
and the address names that search by a random number only. Not here: which organisations and strata there are to choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode
from uuid import UUID

from starlette.datastructures import QueryParams

from cohortium_platform.errors import BadInput
from cohortium_plugins.model import Status

__all__ = ["FILTERABLE", "STRATUM", "Filters"]

STRATUM = "by-"
"""What a stratifier's name follows in an address: `by-tumour-site=breast`."""
_MOST_GAPS = 999
_OLDEST = 150
FILTERABLE = (Status.OVERDUE, Status.DUE, Status.MET, Status.EXCLUDED, Status.NOT_EVALUATED)
"""Statuses that one can ask for; nobody asks for those whom a measure does not concern."""


@dataclass(frozen=True, slots=True)
class Filters:
    """One choice of filters; every field's default leaves everyone in. Pages count from 1.

    `status` is of `indicator`, and without one it filters nothing.
    """

    organisation: str = ""
    indicator: str = ""
    status: Status | None = None
    gaps: int = 0
    age_from: int | None = None
    age_to: int | None = None
    strata: Mapping[str, str] = field(default_factory=dict)
    search: UUID | None = None
    page: int = 1

    @classmethod
    def read(cls, query: QueryParams) -> Filters:
        """Read an address. Raises `BadInput` naming the field that makes no sense; unknown fields are left alone."""
        status = query.get("status", "")
        if status and status not in FILTERABLE:
            raise BadInput("There is no such status.", "Choose one from the list.")
        try:
            search = UUID(query["search"]) if query.get("search") else None
        except ValueError as wrong:
            raise BadInput("There is no such search.", "Search again.") from wrong
        return cls(
            organisation=query.get("organisation", ""),
            indicator=query.get("indicator", ""),
            status=Status(status) if status else None,
            gaps=_number(query, "gaps", _MOST_GAPS) or 0,
            age_from=_number(query, "age_from", _OLDEST),
            age_to=_number(query, "age_to", _OLDEST),
            strata={
                name.removeprefix(STRATUM): value for name, value in query.items() if name.startswith(STRATUM) and value
            },
            search=search,
            page=_number(query, "page", 10**9) or 1,
        )

    def query(self) -> str:
        """The address' query, without what filters nothing; empty when nothing does."""
        pairs: list[tuple[str, object]] = [
            ("organisation", self.organisation),
            ("indicator", self.indicator),
            ("status", self.status or ""),
            ("gaps", self.gaps or ""),
            ("age_from", "" if self.age_from is None else self.age_from),
            ("age_to", "" if self.age_to is None else self.age_to),
            *((STRATUM + name, value) for name, value in sorted(self.strata.items())),
            ("search", self.search or ""),
            ("page", "" if self.page == 1 else self.page),
        ]
        return urlencode([(name, str(value)) for name, value in pairs if value != ""])

    def at(self, path: str) -> str:
        """The address of a page with these filters."""
        return f"{path}?{query}" if (query := self.query()) else path

    def on_page(self, number: int) -> Filters:
        """The same on another page."""
        return replace(self, page=number)

    def without(self, name: str) -> Filters:
        """The same without one filter, from the first page; a stratifier is named as in the address."""
        if name.startswith(STRATUM):
            rest = {key: value for key, value in self.strata.items() if key != name.removeprefix(STRATUM)}
            return replace(self, strata=rest, page=1)
        cleared = {
            "organisation": replace(self, organisation=""),
            "indicator": replace(self, indicator="", status=None),
            "status": replace(self, status=None),
            "gaps": replace(self, gaps=0),
            "age_from": replace(self, age_from=None),
            "age_to": replace(self, age_to=None),
            "search": replace(self, search=None),
        }
        return replace(cleared[name], page=1)

    @property
    def are_set(self) -> bool:
        """Whether anything is filtered."""
        return replace(self, page=1) != Filters()


def _number(query: QueryParams, name: str, most: int) -> int | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or int(text) > most:
        raise BadInput(f"{name.replace('_', ' ').capitalize()} must be a whole number.", f"Give one from 0 to {most}.")
    return int(text)
