"""The exporter contract: how a registry's rows become a file in somebody else's shape.

Here: what an exporter is given and what it must leave behind. Not here: who may have a file made, and which rows it
holds. The platform decides both before an exporter sees anything, and gives it the rows that the decision left.

An exporter is called in a process of its own, with limits of time and memory, and without database, keys or settings of
the server. It reads `Export.rows` and writes one file.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

__all__ = ["HIDDEN", "Export", "ExportLevel", "Exporter"]

HIDDEN = "*"
"""What stands in a file for a figure that may not be shown. It is never nought."""


class ExportLevel(enum.StrEnum):
    """How near to a person an exporter's rows come. Each is given out under an approval of that level only."""

    AGGREGATE = "aggregate"
    """Counts as pages publish them: suppressed, rounded, with `HIDDEN` for what may not be shown."""

    PSEUDONYMISED = "pseudonymised"
    """Pseudonyms of the approval's own, ages in bands, months for days, places for practices, and coarser where too few
    would be alike."""
    IDENTIFIABLE = "identifiable"
    """Names, NHS numbers, dates of birth and practices."""


@dataclass(frozen=True, slots=True)
class Export:
    """One registry, as an exporter is given it.

    `rows` is a Parquet file of text columns, one row a member, in the order of its first column; what is unknown is the
    empty text. `columns` names them in their order, with what each is called on pages: who it is, then the registry's
    stratifiers, then its indicators with their statuses. Of suppressed counts a row is an indicator, level and
    organisation (`code` is empty for what stands below a table), with the cells of its page.
    """

    registry: str
    title: str
    version: str
    definition_hash: str
    index_date: date
    level: ExportLevel
    rows: Path
    columns: Sequence[str]
    titles: Mapping[str, str]


class Exporter(Protocol):
    """Writes one shape of file. `suffix` begins with a dot; `media_type` is what a browser is told."""

    name: str
    title: str
    level: ExportLevel
    suffix: str
    media_type: str

    def write(self, export: Export, file: Path) -> None:
        """Write the file. Whatever is raised, or a file that is not there at the end, counts as a break-down."""
