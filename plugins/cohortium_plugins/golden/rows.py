"""The rows of a golden patient's tables, each one line: a day, what it is, and `key=value` for the rest.

"2024-05-08 care-review"                     an event, by a word of [codes] or its identifier
"2025-04-02 bmi value=28.4 unit=kg/m2"       with a number
"2024-01-10 next-of-kin relationship=N"      a contact
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping

from cohortium_plugins.errors import nearest
from cohortium_plugins.record import GP, Row

__all__ = ["TABLE_KEYS", "Complaint", "read_code", "read_rows"]

Complaint = Callable[[str, str], Exception]
"""Makes the error for a message and its advice."""

TABLE_KEYS: Mapping[str, tuple[str, ...]] = {
    "events": ("value", "unit", "episode", "source"),
    "medications": ("source",),
    "consultations": ("source",),
    "contacts": ("relationship", "source"),
}
"""The tables that are written as lines, with the keys that a line may have."""
CODED = ("events", "medications")


def read_code(word: str, codes: Mapping[str, int], complain: Complaint) -> int:
    """Give the identifier that a word stands for."""
    if word.isdigit():
        return int(word)
    if word not in codes:
        raise complain(f"no code is called {word}.", nearest(word, codes))
    return codes[word]


def read_rows(table: str, lines: Iterable[str], codes: Mapping[str, int], complain: Complaint) -> tuple[Row, ...]:
    """Give the rows of a table in the order written, which is the order in which the source gave them."""
    return tuple(_row(table, line, position, codes, complain) for position, line in enumerate(lines))


def _row(table: str, line: str, position: int, codes: Mapping[str, int], complain: Complaint) -> Row:
    first, *rest = line.split()
    if not rest:
        raise complain(f"the line '{line}' has no {'code' if table in CODED else 'kind'}.", "Write a day, then what.")
    try:
        day = dt.date.fromisoformat(first)
    except ValueError:
        raise complain(f"'{first}' is not a day.", "Begin the line with one, as 2025-05-08.") from None
    more = _pairs(table, rest[1:], complain)
    code = read_code(rest[0], codes, complain) if table in CODED else None
    try:
        value = float(more["value"]) if "value" in more else None
    except ValueError:
        raise complain(f"'{more['value']}' is not a number.", "Write value=28.4.") from None
    return Row(
        date=day,
        code=code,
        value=value,
        unit=more.get("unit"),
        episode=more.get("episode"),
        kind=None if table in CODED else rest[0],
        relationship=more.get("relationship"),
        source=more.get("source", GP),
        entry=position,
    )


def _pairs(table: str, words: list[str], complain: Complaint) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, item = word.partition("=")
        if not equals or key not in TABLE_KEYS[table]:
            raise complain(f"'{word}' cannot stand in a line of {table}.", nearest(key, TABLE_KEYS[table]))
        pairs[key] = item
    return pairs
