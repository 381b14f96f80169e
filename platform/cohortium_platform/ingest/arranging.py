"""The order of a practice's rows in a file, and what is dropped on the way: in columns.

Here: sorting, exact duplicates, `entry`. Not here: the files (`writing`).

Code, patient, day and the row's own number are packed into one integer a row, each in as few bits as it needs, and the
integers are sorted: that is four times as fast as sorting places by them, and settles ties. Where 64 bits do not
suffice by a few, rows are parted first by the bits that are too many; where far from it, keys are ranked first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["Arrangement", "arrange", "taken"]

_BITS = 64
_PIECE_BITS = 4
"""Rows are sorted in up to two to the power of this many pieces, by the first bits of their keys."""
_Packs: TypeAlias = NDArray[np.uint64]
_Rows: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """`order` gives for each row of the file its place in the delivery, duplicates left out; `keys` are the keys in the
    order of the file, and `entry` is, in that order, each row's place among the kept rows of its patient.
    """

    order: _Rows
    keys: Sequence[NDArray[Any]]
    entry: NDArray[np.int32]
    duplicates: int


def arrange(keys: Sequence[NDArray[Any]], person: NDArray[np.int32], content: Sequence[NDArray[Any]]) -> Arrangement:
    """Order rows by `keys` (of which `person` is one), then by their place in the delivery.

    Of rows equal in all keys and all of `content` the first is kept. NaN equals NaN. At most 2**31 rows.
    """
    packed = _Packed.of(keys)
    order, ranked = packed.sorted()
    dropped = np.zeros(len(order), dtype=np.bool_)
    tied = ranked[1:] == ranked[:-1]
    if tied.any():
        at = np.flatnonzero(np.concatenate([[False], tied]) | np.concatenate([tied, [False]]))
        dropped[_repeats(order[at], ranked[at], content)] = True
        kept = ~dropped[order]
        order, ranked = order[kept], ranked[kept]
    entry = taken(_entries(person, dropped), order)
    return Arrangement(order, packed.unpack(ranked, order), entry, int(dropped.sum()))


def taken(values: NDArray[Any], rows: _Rows) -> NDArray[Any]:
    """Values of rows in an order. Arrow fetches from all over a column several times as fast as numpy."""
    found: NDArray[Any] = pa.array(values).take(pa.array(rows)).to_numpy(zero_copy_only=False)
    return found


@dataclass(frozen=True, slots=True)
class _Packed:
    """Keys as one integer a row that orders as they do, the first key first; of so many bits a key, above its lowest
    value. Without widths, the integers are only places in the order of the keys.
    """

    keys: Sequence[NDArray[Any]]
    numbers: _Packs
    lows: Sequence[int]
    widths: Sequence[int]

    @staticmethod
    def of(keys: Sequence[NDArray[Any]]) -> _Packed:
        if not len(keys[0]):
            return _Packed(keys, np.empty(0, np.uint64), (), ())
        lows = [int(key.min()) for key in keys]
        widths = [(int(key.max()) - low).bit_length() for key, low in zip(keys, lows, strict=True)]
        if sum(widths) > min(_BITS, _BITS - _row_bits(len(keys[0])) + _PIECE_BITS):
            return _Packed(keys, _ranks(keys), (), ())
        packed = np.zeros(len(keys[0]), np.uint64)
        for key, low, width in zip(keys, lows, widths, strict=True):
            packed <<= np.uint64(width)
            packed |= (key.astype(np.int64) - low).view(np.uint64)
        return _Packed(keys, packed, lows, widths)

    def sorted(self) -> tuple[_Rows, _Packs]:
        """Rows in the order of the keys, equal ones in their own; and their packed numbers in that order."""
        rows = len(self.numbers)
        bits, room = np.uint64(_row_bits(rows)), np.uint64(_BITS - _row_bits(rows))
        numbered = (self.numbers << bits) | np.arange(rows, dtype=np.uint64)
        above = self.numbers >> room
        most = int(above.max()) if rows else 0
        pieces = [np.sort(numbered[above == piece] if most else numbered) for piece in range(most + 1)]
        ranked = [(piece >> bits) | (np.uint64(number) << room) for number, piece in enumerate(pieces)]
        order = [(piece & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int32) for piece in pieces]
        return np.concatenate(order), np.concatenate(ranked)

    def unpack(self, ranked: _Packs, order: _Rows) -> list[NDArray[Any]]:
        """The keys of rows in an order, from their packed numbers in that order: nothing is fetched from all over."""
        if not self.widths:
            return [key[order] for key in self.keys]
        found: list[NDArray[Any]] = []
        for key, low, width in reversed(list(zip(self.keys, self.lows, self.widths, strict=True))):
            found.append(((ranked & np.uint64((1 << width) - 1)).view(np.int64) + low).astype(key.dtype))
            ranked = ranked >> np.uint64(width)
        return found[::-1]


def _row_bits(rows: int) -> int:
    """Bits of a row's own number."""
    return max(rows - 1, 0).bit_length()


def _ranks(keys: Sequence[NDArray[Any]]) -> _Packs:
    """Places in the order of the keys, equal where all keys are."""
    order = np.lexsort(tuple(reversed(keys)))
    new = np.zeros(len(order), dtype=np.bool_)
    for key in keys:
        new[1:] |= key[order][1:] != key[order][:-1]
    ranks = np.empty(len(order), np.uint64)
    ranks[order] = np.cumsum(new).astype(np.uint64)
    return ranks


def _repeats(rows: _Rows, runs: _Packs, content: Sequence[NDArray[Any]]) -> _Rows:
    """Rows that repeat an earlier one of the same run in all their content."""
    columns = [_comparable(column[rows]) for column in content]
    by = np.lexsort((rows, *reversed(columns), runs))
    same = runs[by][1:] == runs[by][:-1]
    for column in columns:
        same &= column[by][1:] == column[by][:-1]
    repeats: _Rows = rows[by[1:][same]]
    return repeats


def _comparable(column: NDArray[Any]) -> NDArray[Any]:
    """Numbers that are equal exactly when the values are, absent values too."""
    if column.dtype != np.float64:
        return column
    return np.where(np.isnan(column), np.nan, column + 0.0).view(np.int64)


def _entries(person: NDArray[np.int32], dropped: NDArray[np.bool_]) -> NDArray[np.int32]:
    """For each row of the delivery its place among the kept rows of its patient."""
    kept = np.flatnonzero(~dropped)
    entry = np.zeros(len(person), dtype=np.int32)
    if not len(kept):
        return entry
    whose = person[kept]
    starts = _starts(whose)
    if len(np.unique(whose[starts])) < len(starts):  # somebody's rows do not stand together
        packed = np.sort((whose.astype(np.int64) << 32) | kept)
        whose, kept = packed >> 32, packed & 0xFFFFFFFF
        starts = _starts(whose)
    lengths = np.diff(np.append(starts, len(whose)))
    entry[kept] = np.arange(len(whose), dtype=np.int32) - np.repeat(starts.astype(np.int32), lengths)
    return entry


def _starts(whose: NDArray[Any]) -> NDArray[np.int64]:
    """Where rows of the same person begin."""
    return np.append(0, np.flatnonzero(whose[1:] != whose[:-1]) + 1)
