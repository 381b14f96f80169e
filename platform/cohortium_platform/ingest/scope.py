"""Whose records a delivery holds: its source, its practices, and the date each one's records run to.

Here: putting together what the delivery and the person loading it say, and refusing what they leave open. Not here:
organisations themselves, which a directory supplies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from cohortium_platform.directory import OrganisationDirectory
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.ingest.staging import StagingArea
from cohortium_platform.records.schema import GP
from cohortium_plugins.importing import Unreadable

__all__ = ["Scope", "scope_of"]

_EXAMPLE = "--records-to 2025-11-30"


@dataclass(frozen=True, slots=True)
class Scope:
    """`practice` fills rows that name none. `named` are the only practices the delivery may speak of, if it says so.
    `stated` holds records-to dates by practice, and under None the one for all.
    """

    source: str
    delivery: str
    directory: OrganisationDirectory
    practice: str | None = None
    named: frozenset[str] = frozenset()
    stated: Mapping[str | None, date] = field(default_factory=dict)

    @property
    def is_gp(self) -> bool:
        """Whether practices' own systems supplied it, and not a trust."""
        return self.source == GP

    def records_to(self, practice: str) -> date:
        """The date a practice's records run to. Raises `Unreadable` when nothing says it, or it is still to come."""
        day = self.stated.get(practice) or self.stated.get(None)
        if day is None:
            raise Unreadable(
                "nothing says to which date the records run",
                file=self.delivery,
                advice=f"Write records_to in extract.yaml, or give {_EXAMPLE}.",
            )
        if day > datetime.now(UTC).date():
            raise Unreadable(
                f"the records are said to run to {day}, which is still to come",
                file=self.delivery,
                advice=f"Give the last day whose entries are all in it, such as {_EXAMPLE}.",
            )
        return day

    def refusals(self, practices: Iterable[str]) -> dict[str, Reason]:
        """Of practices that rows name, those whose rows are left out, and why."""
        refused: dict[str, Reason] = {}
        for practice in practices:
            if self.named and practice not in self.named:
                refused[practice] = Reason.UNNAMED_PRACTICE
            elif practice not in self.directory.practices(self.records_to(practice)):
                refused[practice] = Reason.UNKNOWN_PRACTICE
        return refused


def scope_of(staging: StagingArea, directory: OrganisationDirectory) -> Scope:
    """What delivery and options say together. Raises `Unreadable` when they contradict each other."""
    delivery, options = staging.delivery, staging.options
    named = frozenset(staging.said_practices)
    if options.practice is not None and named and options.practice not in named:
        raise Unreadable(
            f"practice {options.practice} is not one that the delivery says it holds", file=delivery,
            advice="Leave the practice out, or name the right one.",
        )  # fmt: skip
    practice = options.practice or (next(iter(named)) if len(named) == 1 else None)
    stated = dict(staging.said_records_to)
    if options.records_to is not None:
        stated.setdefault(None, options.records_to)
    return Scope(staging.source, delivery, directory, practice, named, stated)
