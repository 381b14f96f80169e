"""The order of a practice's rows in a file, and what is dropped on the way: in columns.

Here: sorting, exact duplicates, `entry`. Not here: the files (`writing`).

Sorting is by one packed integer of code, patient and day, and a tie is settled afterwards: rows with one code, patient
and day are few. Numbers are as small as they can be, so that they fit into 63 bits; where they do not, columns are
sorted one after another, which is slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrangement", "arrange"]

_BITS = 63
_Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """`order` gives for each row of the file its place in the delivery, duplicates left out; `keys` are the keys in the
    order of the file, and `entry` is, in that order, each row's place among the kept rows of its patient.
    """

    order: NDArray[np.intp]
    keys: Sequence[NDArray[Any]]
    entry: NDArray[np.int32]
    duplicates: int


def arrange(keys: Sequence[NDArray[Any]], person: NDArray[np.int32], content: Sequence[NDArray[Any]]) -> Arrangement:
    """Order rows by `keys` (of which `person` is one), then by their place in the delivery.

    Of rows equal in all keys and all of `content` the first is kept. NaN equals NaN.
    """
    packed = _Packed.of(keys)
    order = np.argsort(packed.numbers)
    ranked = packed.numbers[order]
    tied = np.concatenate([[False], ranked[1:] == ranked[:-1]])
    dropped = np.zeros(len(order), dtype=np.bool_)
    if tied.any():
        tied[:-1] |= tied[1:]
        at = np.flatnonzero(tied)
        rows, runs = order[at], ranked[at]
        order[at] = rows[np.lexsort((rows, runs))]
        dropped[_repeats(rows, runs, content)] = True
        kept = ~dropped[order]
        order, ranked = order[kept], ranked[kept]
    return Arrangement(order, packed.unpack(ranked, order), _entries(person, dropped)[order], int(dropped.sum()))


@dataclass(frozen=True, slots=True)
class _Packed:
    """Keys as one integer a row that orders as they do, the first key first."""

    keys: Sequence[NDArray[Any]]
    numbers: _Ints
    lows: Sequence[int]
    widths: Sequence[int]

    @staticmethod
    def of(keys: Sequence[NDArray[Any]]) -> _Packed:
        if not len(keys[0]):
            return _Packed(keys, np.empty(0, np.int64), (), ())
        lows = [int(key.min()) for key in keys]
        widths = [(int(key.max()) - low).bit_length() for key, low in zip(keys, lows, strict=True)]
        if sum(widths) > _BITS:
            return _Packed(keys, _ranks(keys), (), ())
        packed = np.zeros(len(keys[0]), np.int64)
        for key, low, width in zip(keys, lows, widths, strict=True):
            packed <<= width
            packed |= key.astype(np.int64) - low
        return _Packed(keys, packed, lows, widths)

    def unpack(self, ranked: _Ints, order: NDArray[np.intp]) -> list[NDArray[Any]]:
        """The keys of rows in an order, from their packed numbers in that order: nothing is fetched from all over."""
        if not self.widths:
            return [key[order] for key in self.keys]
        found: list[NDArray[Any]] = []
        for key, low, width in reversed(list(zip(self.keys, self.lows, self.widths, strict=True))):
            found.append(((ranked & ((1 << width) - 1)) + low).astype(key.dtype))
            ranked = ranked >> width
        return found[::-1]


def _ranks(keys: Sequence[NDArray[Any]]) -> _Ints:
    """Places in the order of the keys, equal where all keys are."""
    order = np.lexsort(tuple(reversed(keys)))
    new = np.zeros(len(order), dtype=np.bool_)
    for key in keys:
        new[1:] |= key[order][1:] != key[order][:-1]
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.cumsum(new)
    return ranks


def _repeats(rows: NDArray[np.intp], runs: _Ints, content: Sequence[NDArray[Any]]) -> NDArray[np.intp]:
    """Rows that repeat an earlier one of the same run in all their content."""
    columns = [_comparable(column[rows]) for column in content]
    by = np.lexsort((rows, *reversed(columns), runs))
    same = runs[by][1:] == runs[by][:-1]
    for column in columns:
        same &= column[by][1:] == column[by][:-1]
    repeats: NDArray[np.intp] = rows[by[1:][same]]
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
    whose = person[kept].astype(np.int64)
    if (whose[1:] < whose[:-1]).any():
        packed = np.sort((whose << 32) | kept)
        whose, kept = packed >> 32, packed & 0xFFFFFFFF
    starts = np.concatenate([[0], np.flatnonzero(whose[1:] != whose[:-1]) + 1])
    lengths = np.diff(np.concatenate([starts, [len(whose)]]))
    entry[kept] = np.arange(len(whose)) - np.repeat(starts, lengths)
    return entry
