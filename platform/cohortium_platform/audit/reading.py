"""Reading the log in the order of its places, a few thousand at a time, whatever its length.

Here: each leaf with the bytes of its entry as the table has them now. Not here: what follows when the two do not fit
(`checking`), and writing them to files (`exporting`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from cohortium_platform.audit.canonical import entry_bytes

__all__ = ["Leaf", "leaves_end", "read_leaves", "span_of"]

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Leaf:
    """One place of the log. `hash` is empty when the leaf is gone, `entry` None when its entry is."""

    place: int
    ticket: int
    entry_id: UUID | None
    hash: bytes
    entry: bytes | None


def read_leaves(session: Session, start: int, end: int, *, entries_of: range | None = None) -> Iterator[Leaf]:
    """The places from `start` to before `end`, each once, gone or not. Entries are read for all of them, or for the
    places of `entries_of` only.
    """
    place = start
    wanted = range(start, end) if entries_of is None else entries_of
    for first in range(start, end, _AT_ONCE):
        last = min(first + _AT_ONCE, end)
        leaves = session.connection().execute(_LEAVES, {"first": first, "last": last}).all()
        tickets = [leaf.ticket for leaf in leaves if leaf.place in wanted]
        rows = session.connection().execute(_ENTRIES, {"tickets": tickets}) if tickets else ()
        entries = {row.ticket: entry_bytes(row) for row in rows}
        for leaf in leaves:
            while place < leaf.place:
                yield Leaf(place, 0, None, b"", None)
                place += 1
            yield Leaf(place, leaf.ticket, leaf.entry_id, bytes(leaf.hash), entries.get(leaf.ticket))
            place += 1
    while place < end:
        yield Leaf(place, 0, None, b"", None)
        place += 1


def leaves_end(session: Session) -> int:
    """The place after the last leaf that there is."""
    return int(session.connection().execute(_END).scalar_one())


def span_of(session: Session, size: int, since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """The places, from one to before another, that hold every entry of a time: from `since` to before `until`. Among
    them are a few from just outside it, since places follow the order of commits.
    """
    if since is None and until is None:
        return 0, size
    found = session.connection().execute(_SPAN, {"size": size, "since": since, "until": until}).one()
    return (size, size) if found.first is None else (found.first, found.last + 1)


_LEAVES = text("""
    SELECT place, ticket, entry_id, hash FROM audit_leaves WHERE place >= :first AND place < :last ORDER BY place
""")
_ENTRIES = text("SELECT * FROM audit_entries WHERE ticket = ANY(:tickets)")
_END = text("SELECT coalesce(max(place) + 1, 0) FROM audit_leaves")
_SPAN = text("""
    SELECT min(place) AS first, max(place) AS last
    FROM audit_leaves JOIN audit_entries USING (tenant_id, ticket)
    WHERE place < :size AND (CAST(:since AS timestamptz) IS NULL OR at >= :since)
        AND (CAST(:until AS timestamptz) IS NULL OR at < :until)
""")
