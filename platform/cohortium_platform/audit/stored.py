"""The tree as the database keeps it: leaf hashes, and the hashes of complete subtrees of 256, 65,536, ... leaves.

Here: reading leaves, and any complete subtree, with a few hundred hashes read whatever the log's size; adding nodes as
subtrees fill. Not here: giving entries their place (`sequencer`), and what a proof is (`tree`).
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import insert, select
from sqlmodel import Session

from cohortium_platform.audit.models import AuditLeaf, AuditNode
from cohortium_platform.audit.tree import Frontier
from cohortium_platform.database import metadata, tenant_of
from cohortium_platform.errors import Conflict

__all__ = ["BITS", "LogBroken", "StoredTree", "add_nodes", "leaf_hashes"]

BITS = 8
"""A node of one level stands over 2**BITS of the level below."""

_LEAVES = metadata.tables[AuditLeaf.__tablename__]
_NODES = metadata.tables[AuditNode.__tablename__]
_AT_ONCE = 10_000


class LogBroken(Conflict):
    """The log is not what it was. Raised instead of going on: nothing more is placed or signed until someone looks."""

    title = "The audit log is broken"


def leaf_hashes(session: Session, start: int, end: int) -> Iterator[bytes]:
    """The leaves from a place to before another. Raises `LogBroken` when one is not there."""
    for first in range(start, end, _AT_ONCE):
        last = min(first + _AT_ONCE, end)
        within = (_LEAVES.c.place >= first) & (_LEAVES.c.place < last)
        found = session.connection().execute(
            select(_LEAVES.c.place, _LEAVES.c.hash).where(within).order_by(_LEAVES.c.place)
        )
        place = first
        for row in found:
            if row.place != place:
                break
            yield bytes(row.hash)
            place += 1
        if place != last:
            raise LogBroken(
                f"The audit log has no leaf at place {place}.", "Run `cohortium audit check` to see all that is wrong."
            )


class StoredTree:
    """Subtrees of the tenant's tree, each span of 256 hashes read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree (`tree.Subtree`). Raises `LogBroken`."""
        kept = level // BITS
        first, last = index << (level - kept * BITS), (index + 1) << (level - kept * BITS)
        frontier = Frontier()
        span = first >> BITS
        for hashed in self._span(kept, span)[first - (span << BITS) : last - (span << BITS)]:
            frontier.append(hashed)
        if frontier.size != last - first:
            raise LogBroken(
                f"The audit log lacks hashes at level {kept}, from place {frontier.size + first} there on.",
                "Run `cohortium audit check` to see all that is wrong.",
            )
        return frontier.root()

    def _span(self, kept: int, span: int) -> list[bytes]:
        """The hashes that stand under one node of the level above, as far as there are any."""
        if (kept, span) not in self._read:
            first, last = span << BITS, (span + 1) << BITS
            if kept == 0:
                column, query = _LEAVES.c.place, select(_LEAVES.c.place, _LEAVES.c.hash)
            else:
                column, query = _NODES.c.index, select(_NODES.c.index, _NODES.c.hash).where(_NODES.c.level == kept)
            rows = self._session.connection().execute(query.where(column >= first, column < last).order_by(column))
            found: list[bytes] = []
            for place, hashed in rows:
                if place != first + len(found):
                    break
                found.append(bytes(hashed))
            self._read[kept, span] = found
        return self._read[kept, span]


def add_nodes(session: Session, start: int, end: int) -> None:
    """Keep the hashes of the subtrees that the leaves from `start` to before `end`, just placed, have made complete."""
    level, tenant_id = 1, tenant_of(session)
    while end >> (level * BITS):
        tree = StoredTree(session)  # anew: it has read the level below before these nodes were there
        made = range(start >> (level * BITS), end >> (level * BITS))
        rows = [
            {"tenant_id": tenant_id, "level": level, "index": index, "hash": _node(tree, level, index)}
            for index in made
        ]  # fmt: skip
        if rows:
            session.connection().execute(insert(_NODES), rows)
        level += 1


def _node(tree: StoredTree, level: int, index: int) -> bytes:
    """The hash of a node from the level below it."""
    frontier = Frontier()
    for child in range(index << BITS, (index + 1) << BITS):
        frontier.append(tree((level - 1) * BITS, child))
    return frontier.root()
