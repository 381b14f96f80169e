"""What an audit search looks for, as an address writes it. A patient stands in it as the number of a kept search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode
from uuid import UUID

from starlette.datastructures import QueryParams

from cohortium_platform.audit import Outcome
from cohortium_platform.audit.search import AuditQuery
from cohortium_platform.errors import BadInput
from cohortium_platform.identities.terms import nhs_number_in
from cohortium_web.asking import Asking, patient_hash
from cohortium_web.pages.governance.history import patients_ever
from cohortium_web.pages.registry.searches import text_of

__all__ = ["PAGE_ROWS", "Wanted"]

PAGE_ROWS = 50
_MOST_DIGITS = 9
_NAMES = ("person", "registry", "organisation", "action", "outcome", "since", "until", "search")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters of a search, each empty when nothing is asked; days as ISO text, both included."""

    person: str = ""
    registry: str = ""
    organisation: str = ""
    action: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""
    search: str = ""
    page: int = 1

    @classmethod
    def read(cls, query: QueryParams) -> Wanted:
        """Read an address. Raises `BadInput` on a page, outcome or day that is none."""
        values = {name: query.get(name, "").strip() for name in _NAMES}
        page = query.get("page", "1")
        if not page.isdecimal() or len(page) > _MOST_DIGITS or int(page) < 1:
            raise BadInput("There is no such page.", "Pages are counted from 1.")
        if values["outcome"] and values["outcome"] not in set(Outcome):
            raise BadInput("There is no such outcome.", "Choose one from the list.")
        wanted = cls(**values, page=int(page))
        wanted.since_moment()
        wanted.until_moment()
        return wanted

    @property
    def filters(self) -> str:
        """As an address writes them, without the page and without any patient."""
        return urlencode({name: getattr(self, name) for name in _NAMES[:-1] if getattr(self, name)})

    def at(self, page: int) -> str:
        """The address of a page of what was found."""
        kept: Mapping[str, object] = {name: getattr(self, name) for name in _NAMES if getattr(self, name)}
        return "/ig/audit/?" + urlencode({**kept, "page": page})

    def since_moment(self) -> datetime | None:
        """The first moment asked for."""
        return _moment(self.since, 0)

    def until_moment(self) -> datetime | None:
        """The moment after the last asked for."""
        return _moment(self.until, 1)

    def query(self, asking: Asking) -> tuple[AuditQuery, list[int]]:
        """As the log is asked, and the patient that was searched for; one whom nobody knows finds nothing."""
        patients = self._patients(asking)
        hashes = [patient_hash(asking.keys, patient) for patient in patients] if self.search else None
        query = AuditQuery(
            actor=self.person,
            patients=hashes,
            registry=self.registry,
            organisation=self.organisation,
            action=self.action,
            outcome=Outcome(self.outcome) if self.outcome else None,
            since=self.since_moment(),
            until=self.until_moment(),
            offset=(self.page - 1) * PAGE_ROWS,
            limit=PAGE_ROWS,
        )
        return query, patients

    def _patients(self, asking: Asking) -> list[int]:
        if not self.search:
            return []
        try:
            number = UUID(self.search)
        except ValueError:
            raise BadInput("There is no such search.", "Search again.") from None
        return patients_ever(asking, nhs_number_in(text_of(asking, number)) or "")


def _moment(text: str, days: int) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise BadInput("That is no day.", "Choose it from the calendar.") from None
    return datetime.combine(day, time(), UTC)
