"""A list with one line a person, from one with a line for each of their cohorts. Not here: working lists out."""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cohortium_platform.engine.evaluated import MAY_CHANGE

__all__ = ["one_line_each"]

_STATUS = "status:"
_COUNTED = ("gaps", "due")
_NEVER = np.iinfo(np.int32).max
_NO_STATUS = np.iinfo(np.uint8).max


def one_line_each(listed: pa.Table) -> pa.Table:
    """Put the lines of one person together, where a pack has several cohorts. Lines come sorted by practice and person,
    then in the order of the cohorts.

    What the list shows of someone is that of the first cohort they are in; gaps and due are those of all, and each
    indicator's status that of its own cohort. It may change when any of the lines may.
    """
    listed = listed.combine_chunks()
    starts = _starts(listed)
    if len(starts) == listed.num_rows:
        return listed
    lines = listed.take(pa.array(starts))
    for position, name in enumerate(listed.column_names):
        column = listed.column(name)
        if name in _COUNTED:
            together = np.add.reduceat(_plain(column), starts)
        elif name.startswith(_STATUS):
            together = np.minimum.reduceat(_plain(column.fill_null(_NO_STATUS)), starts)
        elif name == MAY_CHANGE:
            together = np.minimum.reduceat(_plain(column.cast(pa.int32()).fill_null(_NEVER)), starts)
        else:
            continue
        lines = lines.set_column(position, listed.schema.field(name), _column(together, column.type))
    return lines


def _starts(listed: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The place of each person's first line."""
    if not listed.num_rows:
        return np.arange(0)
    changed = np.ones(listed.num_rows, dtype=bool)
    same = [
        pc.equal(listed.column(key).slice(1), listed.column(key).slice(0, listed.num_rows - 1))
        for key in ("practice", "patient_id")
    ]
    changed[1:] = ~_plain(pc.and_(*same))
    return np.flatnonzero(changed)


def _plain(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return cast("np.ndarray[tuple[int], np.dtype[np.int64]]", column.to_numpy())


def _column(found: np.ndarray[tuple[int], np.dtype[np.int64]], kind: pa.DataType) -> pa.Array:
    if pa.types.is_date(kind):
        return pa.array(found, pa.int32(), mask=found == _NEVER).cast(kind)
    if pa.types.is_uint8(kind) or pa.types.is_int16(kind):
        return pa.array(found, kind, mask=found == _NO_STATUS)
    return pa.array(found, kind)
