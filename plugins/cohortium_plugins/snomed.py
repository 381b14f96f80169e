"""SNOMED CT identifiers: what makes a string of digits one. Not here: what a concept means."""

from __future__ import annotations

__all__ = ["is_concept_id"]

_MULTIPLY = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_FIRST = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_CONCEPT_PARTITIONS = ("00", "10")


def _permutations() -> tuple[tuple[int, ...], ...]:
    rows = [tuple(range(10)), _FIRST]
    for _ in range(6):
        rows.append(tuple(rows[-1][_FIRST[digit]] for digit in range(10)))
    return tuple(rows)


_PERMUTE = _permutations()


def is_concept_id(text: str) -> bool:
    """Tell whether this is a concept identifier: 6 to 18 digits, partition 00 or 10, Verhoeff check digit right."""
    if not (text.isascii() and text.isdigit() and 6 <= len(text) <= 18 and text[0] != "0"):  # noqa: PLR2004
        return False
    check = 0
    for position, digit in enumerate(reversed(text)):
        check = _MULTIPLY[check][_PERMUTE[position % 8][int(digit)]]
    return check == 0 and text[-3:-1] in _CONCEPT_PARTITIONS
