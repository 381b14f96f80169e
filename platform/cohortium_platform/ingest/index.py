"""Finding a row's patient by the hash of practice and local id: millions of rows a second, in columns.

Here: the index. Not here: which hash (`streaming`, `people` ask DuckDB for the same one).

64 bits of hash stand for the identifier: that a row of nobody's meets a patient's hash by chance happens once in 10**13
rows for two million patients; two patients of one hash are refused when the index is made.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cohortium_platform.errors import CohortiumError

__all__ = ["REJECTED", "UNKNOWN", "Hashes", "PersonIndex", "Places"]

Hashes: TypeAlias = NDArray[np.uint64]
Places: TypeAlias = NDArray[np.int32]

UNKNOWN = -1
"""The place of a hash that no patient has."""
REJECTED = -2
"""The place given for a patient who was left out."""

_SPARSE = 4


class PersonIndex:
    """Patients' places by hash, in buckets of the hash's first bits with about half a patient each."""

    def __init__(self, hashes: Hashes, places: Places) -> None:
        order = np.argsort(hashes)
        self._hashes, self._places = hashes[order], places[order]
        if (self._hashes[1:] == self._hashes[:-1]).any():
            raise CohortiumError("Two patients have one hash.", "Load the delivery in two parts.")
        bits = max(len(hashes).bit_length() + 1, 1)
        self._shift = np.uint64(64 - bits)
        buckets = (self._hashes >> self._shift).astype(np.int64)
        counts = np.bincount(buckets, minlength=2**bits)
        self._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)

    def find(self, hashes: Hashes) -> Places:
        """The place of each hash, or `UNKNOWN`. Rows of one patient that stand together are looked up once."""
        changes = np.flatnonzero(hashes[1:] != hashes[:-1]) + 1
        if len(changes) * _SPARSE >= len(hashes):
            return self._find(hashes)
        starts = np.concatenate([[0], changes])
        lengths = np.diff(np.concatenate([starts, [len(hashes)]]))
        return np.repeat(self._find(hashes[starts]), lengths)

    def _find(self, hashes: Hashes) -> Places:
        found = np.full(len(hashes), UNKNOWN, dtype=np.int32)
        buckets = (hashes >> self._shift).astype(np.int64)
        at, end = self._first[buckets], self._first[buckets + 1]
        left = np.flatnonzero(at < end)
        at, end, wanted = at[left], end[left], hashes[left]
        while len(left):
            hit = self._hashes[at] == wanted
            found[left[hit]] = self._places[at[hit]]
            on = ~hit & (at + 1 < end)
            left, at, end, wanted = left[on], at[on] + 1, end[on], wanted[on]
        return found
