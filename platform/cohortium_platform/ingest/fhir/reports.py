"""What is known of a block beside its rows.

Here: the report that goes from the process that read a block to the one that reads the delivery. Not here: what is told
of it (`telling`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["UNKNOWN_TYPE", "BlockReport"]

UNKNOWN_TYPE = "unknown"
"""Stands for every type name that FHIR R4 does not have, since such a name is the sender's own text."""


@dataclass(slots=True)
class BlockReport:
    """What is known of a block once its rows are on disk.

    `resources` counts those read by type; `aside` those not read, by type (`UNKNOWN_TYPE` when it is not R4's) with
    the line of the first; `instants` are the times that Bundles say they were made; `problems` the lines of
    OperationOutcomes that stand where they should; `failure` the reason why the delivery cannot be read.
    """

    file: str = ""
    resources: Counter[str] = field(default_factory=Counter)
    aside: dict[str, tuple[int, int]] = field(default_factory=dict)
    instants: list[str] = field(default_factory=list)
    problems: list[int] = field(default_factory=list)
    deletions: list[int] = field(default_factory=list)
    pages: list[bool] = field(default_factory=list)
    """For each page of a search: whether another follows it."""
    is_foreign: bool = False
    """Whether it is a whole document that is no FHIR resource."""
    failure: tuple[str, int | None, str] | None = None
    """Reason, line and advice of an `Unreadable`, which does not travel between processes as it is."""
