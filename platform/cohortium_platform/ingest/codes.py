"""SNOMED CT identifiers and NHS numbers: whether their digits can be right. In columns, no row at a time.

Here: check digits. Not here: whether a code means anything (a list of known codes says that).

A SNOMED CT identifier has 6 to 18 digits; the last is a Verhoeff check digit, the two before it are the partition
(00 or, in an extension, 10 for a concept). An NHS number has ten digits, of
which the last is a weighted sum modulo 11. Sources: SNOMED CT Technical Implementation Guide, 'SCTID'; NHS Data
Dictionary, 'NHS NUMBER'.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Codes", "are_snomed_concepts", "have_nhs_check_digit"]

Codes: TypeAlias = NDArray[np.int64]

_LONGEST = 18
_SHORTEST = 6
_CONCEPT_PARTITIONS = (0, 10)

_TIMES = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 0, 6, 7, 8, 9, 5], [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7], [4, 0, 1, 2, 3, 9, 5, 6, 7, 8], [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2], [7, 6, 5, 9, 8, 2, 1, 0, 4, 3], [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ],
    dtype=np.int8,
)  # fmt: skip
"""Multiplication in the dihedral group of ten elements."""

_ONCE = np.array([1, 5, 7, 6, 2, 8, 3, 0, 9, 4], dtype=np.int8)
"""The permutation applied once a place."""


def _permutations() -> NDArray[np.int8]:
    rows = [np.arange(10, dtype=np.int8)]
    for _ in range(7):
        rows.append(_ONCE[rows[-1]])
    return np.stack(rows)


_PERMUTED = _permutations()


def are_snomed_concepts(codes: Codes) -> NDArray[np.bool_]:
    """Whether each number has the length, partition and check digit of a SNOMED CT concept's identifier."""
    long_enough = (codes >= 10 ** (_SHORTEST - 1)) & (codes < 10**_LONGEST)
    right = long_enough & np.isin(codes // 10 % 100, _CONCEPT_PARTITIONS) & _have_verhoeff_digit(codes)
    return np.asarray(right)


def _have_verhoeff_digit(codes: Codes) -> NDArray[np.bool_]:
    rest, check = codes.astype(np.int64, copy=True), np.zeros(len(codes), dtype=np.int8)
    for place in range(_LONGEST):
        digit = _PERMUTED[place % 8, rest % 10]
        check = np.where(rest > 0, _TIMES[check, digit], check)
        rest //= 10
    return np.asarray(check == 0)


def have_nhs_check_digit(numbers: Codes) -> NDArray[np.bool_]:
    """Whether each number, of ten digits with its leading zeros, has the check digit of an NHS number."""
    rest, total = numbers // 10, np.zeros(len(numbers), dtype=np.int64)
    for weight in range(2, 11):
        total += weight * (rest % 10)
        rest = rest // 10
    expected = (11 - total % 11) % 11
    return np.asarray((expected == numbers % 10) & (numbers > 0) & (numbers < 10**10))
