"""What one load may use, and what is possible in a record.

Here: memory, threads, plausible values. Not here: limits of a delivery's size, which come with `ImportOptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from cohortium_platform.settings import Settings

__all__ = ["PLAUSIBLE", "LoadLimits", "ValueRange"]


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Values outside `low` to `high` (both ends possible) are impossible, for these codes or, by default, for all."""

    low: float
    high: float
    codes: AbstractSet[int] = frozenset()


PLAUSIBLE: Sequence[ValueRange] = (ValueRange(-1_000.0, 1_000_000.0),)
"""What is possible of any measurement: some are rightly below zero (bone density T-scores, base excess). Narrower
ranges belong to a code, and are given with a load or stand in a rule."""


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """`memory` as DuckDB writes sizes; rows of a practice are sorted beside it, in about 150 bytes a row and thread.

    `importer_bytes` and `importer_seconds` are what an importer of another distribution may use in its own process.
    """

    memory: str = "2GB"
    threads: int = 2
    values: Sequence[ValueRange] = field(default=PLAUSIBLE)
    importer_bytes: int = 8 * 2**30
    importer_seconds: float = 3600.0

    @staticmethod
    def of(settings: Settings) -> LoadLimits:
        """What the settings allow."""
        return LoadLimits(memory=settings.memory_limit, threads=settings.threads)
