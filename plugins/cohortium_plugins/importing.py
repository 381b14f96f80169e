"""The importer contract: how records in a foreign shape become staged tables.

Here: what an importer is given and what it must leave behind. Not here: checking values, pseudonyms, storing. The
platform does those for every importer alike, in columns, on what was staged.

An importer reads one delivery (a file or a folder) and writes Parquet files into `Staging.directory`, named
`<table>-<anything>.parquet`, with the columns of the tabular extract (`EXTRACT_COLUMNS`) that it can fill, each as text
or as its natural type, and two more: `file` (text, relative to the delivery) and `line` (integer, counted from 1), so
that every later finding can say where. A delivered file that holds one table already, as CSV or Parquet, need not be
copied: `Staging.delivered` has it read where it lies.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, Protocol

__all__ = [
    "EXTRACT_COLUMNS",
    "DeliveredFile",
    "ImportOptions",
    "Importer",
    "Severity",
    "Staging",
    "Unreadable",
]

EXTRACT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "patients": (
        "local_id", "nhs_number", "nhs_number_status", "family_name", "given_name", "title", "date_of_birth", "sex",
        "ethnicity", "imd_decile", "lsoa", "date_of_death", "practice", "address", "postcode", "telephone", "mobile",
        "email", "next_of_kin_name", "next_of_kin_relationship", "next_of_kin_telephone", "contact_recorded",
    ),
    "registrations": ("local_id", "practice", "start_date", "end_date"),
    "events": ("local_id", "practice", "date", "code", "value", "unit", "episode"),
    "medications": ("local_id", "practice", "date", "code"),
    "consultations": ("local_id", "practice", "date", "kind"),
    "contacts": ("local_id", "practice", "date", "kind", "relationship", "name", "value"),
}  # fmt: skip
"""Tables of the tabular extract and their columns. Dates are ISO text or DATE; codes are SNOMED CT identifiers as
digits or integers; sex is male, female or indeterminate; ethnicity is the 16+1 letter."""


class Severity(enum.StrEnum):
    """How bad a finding is: `error` refuses the delivery, `rejected` leaves a row out, `warning` only tells."""

    ERROR = "error"
    REJECTED = "rejected"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the person loading says about a delivery. `practice` fills rows that carry none; `source` is `gp` or the
    supplying trust's ODS code; `records_to` is the date the records run to, when the delivery does not say.
    """

    source: str = "gp"
    practice: str | None = None
    records_to: date | None = None
    mapping: Mapping[str, object] = field(default_factory=dict)
    max_bytes: int = 64 * 2**30


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """A delivered file that holds one table, which is read where it lies.

    `file` is its name relative to the delivery. `header` names all its columns in their order; `columns` gives for a
    column of the extract those of the file that may hold it, of which the first that is not empty counts. A CSV file is
    UTF-8 with one line of header, and quotes by double quotation marks. Dates are ISO, or of the strptime format
    `date_format`. `values` replaces a column's values by others before they are checked.
    """

    table: str
    path: Path
    file: str
    format: Literal["csv", "parquet"]
    header: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    delimiter: str = ","
    date_format: str | None = None
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Staging(Protocol):
    """Where an importer leaves what it read."""

    directory: Path

    def delivered(self, file: DeliveredFile) -> None:
        """Have a file of the delivery read where it lies. It counts as if its rows had been staged."""

    def scope(self, *, source: str | None = None, practices: Sequence[str] = ()) -> None:
        """State whose records the delivery says it holds: its source, and the only practices it may speak of."""

    def finding(self, severity: Severity, reason: str, *, file: str, line: int | None = None, table: str = "") -> None:
        """Note something about a place in the delivery. `reason` never quotes the record."""

    def records_to(self, day: date, *, practice: str | None = None) -> None:
        """State the date to which the delivery's records run, for one practice or for all of it."""

    def progress(self, done_bytes: int, total_bytes: int) -> None:
        """Tell how far reading has come."""


class Unreadable(Exception):  # noqa: N818 - the name says what happened
    """A delivery cannot be read at all; nothing of it is kept. Says which file, which line and what to do."""

    def __init__(self, reason: str, *, file: str, line: int | None = None, advice: str = "") -> None:
        self.reason, self.file, self.line, self.advice = reason, file, line, advice
        where = file if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {reason}." + (f" {advice}" if advice else ""))


class Importer(Protocol):
    """Reads one shape of delivery."""

    name: str
    title: str

    def recognises(self, delivery: Path) -> bool:
        """Tell whether this importer can read the delivery, from names and first bytes alone."""

    def read(self, delivery: Path, options: ImportOptions, staging: Staging) -> None:
        """Stage the delivery. Raises `Unreadable` when it cannot be read; single bad rows become findings."""
