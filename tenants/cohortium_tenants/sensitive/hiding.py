"""A record without its entries of sensitive codes. Not here: which codes are (`service`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from cohortium_plugins.record import Record

__all__ = ["without_codes"]


def without_codes(record: Record, codes: Collection[int], *, shown_of: str | None = None) -> Record:
    """The record as if entries with these codes had never been made, but for those of the source `shown_of`."""
    if not codes:
        return record
    rows = {
        table: tuple(row for row in listed if row.code not in codes or (row.source == shown_of and shown_of))
        for table, listed in record.rows.items()
    }
    return replace(record, rows=rows)
