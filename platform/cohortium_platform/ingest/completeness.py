"""Whether a delivery holds as much as the practice's last one: what shrank by more than a fifth is told.

Here: the comparison. Not here: counting (`writing`), and keeping the counts (a load's quality report).
"""

from __future__ import annotations

from collections.abc import Iterator

from cohortium_platform.ingest.quality import PracticeQuality

__all__ = ["shrunk"]

_LEFT = 0.8
_FEW = 50
"""Fewer rows than this may halve by chance."""


def shrunk(practice: str, before: PracticeQuality, now: PracticeQuality) -> Iterator[str]:
    """Sentences about what a practice has less of than at its last load: rows of a table, events of a month."""
    for table, rows in before.rows.items():
        if table not in now.rows:
            yield f"{practice}: {table} were loaded last time and are missing now."
        elif rows >= _FEW and now.rows[table] < _LEFT * rows:
            yield f"{practice}: {table} fell from {rows:,} to {now.rows[table]:,} rows."
    for month, rows in before.months.items():
        if month in now.months and rows >= _FEW and now.months[month] < _LEFT * rows:
            yield f"{practice}: events of {month} fell from {rows:,} to {now.months[month]:,}."
