"""Parquet files before they are read: whole, flat, and not larger than they look.

Here: the footer. Not here: rows, which the platform reads.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.ingest.tabular.csv import Budget
from cohortium_plugins.importing import Unreadable

__all__ = ["columns_of"]

_ENDS = b"PAR1"


def columns_of(path: Path, name: str, budget: Budget) -> tuple[str, ...]:
    """Names of a Parquet file's columns. Raises `Unreadable`."""
    if not path.stat().st_size:
        raise Unreadable("it is empty", file=name, advice="A table without rows still has its columns.")
    with path.open("rb") as file:
        if file.read(len(_ENDS)) != _ENDS:
            raise Unreadable("it is not a Parquet file", file=name, advice="Name a CSV file .csv.")
    try:
        footer = pq.read_metadata(path)
        schema = footer.schema.to_arrow_schema()
    except (OSError, pa.ArrowException):
        raise Unreadable("it is cut short or damaged", file=name, advice="Send it again.") from None
    rows, groups = footer.num_rows, [footer.row_group(number) for number in range(footer.num_row_groups)]
    if rows != sum(group.num_rows for group in groups):
        raise Unreadable("its footer contradicts itself", file=name, advice="Send it again.")
    # A run of one value takes no room, however long: each value counts as a byte at least.
    budget.spend(max(sum(group.total_byte_size for group in groups), rows * len(schema.names)), name)
    for field in schema:
        if pa.types.is_nested(field.type):
            raise Unreadable(
                f"column {field.name[:40]!r} is nested", file=name, advice="Give every column one value a row."
            )
    return tuple(schema.names)
