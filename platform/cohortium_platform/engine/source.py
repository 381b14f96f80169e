"""Where an evaluation gets its records: the protocol that the record store's catalogue fulfils, and plain files for
tests.

Columns are those of the record store. Not here: the catalogue itself (`cohortium_platform.records`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

__all__ = ["FRAME_TABLES", "RecordFiles", "RecordSource", "Standing"]

FRAME_TABLES = ("events", "medications", "consultations", "registrations", "contacts")
"""The tables that rules read, beside `patients`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How complete a practice's records are: the day they run to (None: not limited) and the tables never loaded."""

    records_to: date | None = None
    missing: frozenset[str] = frozenset()


class RecordSource(Protocol):
    """One snapshot of a tenant's records, as Parquet files.

    A file may hold rows of other practices as well; rows are told apart by their `practice`. `patients` has one row
    for a practice and patient.
    """

    def files(self, table: str, practices: Sequence[str]) -> Sequence[str]:
        """Give the files with these practices' rows of `patients` or one of `FRAME_TABLES`."""

    def registration_files(self, practices: Sequence[str]) -> Sequence[str]:
        """Give every file with a registration that could decide where a patient of these practices is registered: those
        of all practices of the tenant, unless it is known which ones their patients came from or went to.
        """

    def standing(self, practice: str) -> Standing:
        """Tell how complete a practice's records are."""


@dataclass(frozen=True, slots=True)
class RecordFiles:
    """Records in plain files, the same for all practices."""

    tables: Mapping[str, Sequence[str]]
    standings: Mapping[str, Standing] = field(default_factory=dict)

    def files(self, table: str, practices: Sequence[str]) -> Sequence[str]:
        """Give the table's files."""
        del practices
        return self.tables.get(table, ())

    def registration_files(self, practices: Sequence[str]) -> Sequence[str]:
        """Give the files of registrations."""
        return self.files("registrations", practices)

    def standing(self, practice: str) -> Standing:
        """Tell how complete a practice's records are."""
        return self.standings.get(practice, Standing())
