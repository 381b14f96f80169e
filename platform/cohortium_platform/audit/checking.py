"""Checking the log where it is kept: the tables against each other, entry by entry.

Here: what is wrong in the database, and at which place. Not here: verifying an export, which needs no database
(`verifying`): whoever can rewrite all these tables can fool this check, and not a checkpoint kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session, col, select

from cohortium_platform.audit.models import AuditHead, AuditNode
from cohortium_platform.audit.notes import LogKey, open_note
from cohortium_platform.audit.reading import Leaf, leaves_end, read_leaves
from cohortium_platform.audit.sequencer import MISSING, hold_log
from cohortium_platform.audit.stored import BITS, LogBroken
from cohortium_platform.audit.tree import Frontier, leaf_hash
from cohortium_platform.database import Database
from cohortium_platform.errors import BadInput

__all__ = ["Checked", "Problem", "check_log"]

_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and the first place it is seen at, if it has one."""

    message: str
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """How much was looked at, and what is wrong: at most a hundred things of each kind, first places first."""

    size: int
    checkpoints: int
    tickets: int
    problems: Sequence[Problem]


@dataclass(slots=True)
class _Check:
    """One check at work: it goes through the places once, and keeps a few hashes."""

    session: Session
    key: LogKey
    problems: list[Problem] = field(default_factory=list)
    bad_leaf: int = -1
    """The last place whose leaf is wrong by itself: what stands over it is then wrong as well, and not said again."""
    counts: dict[str, int] = field(default_factory=dict)

    def say(self, kind: str, message: str, place: int | None = None) -> None:
        """Take note of a problem."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.counts[kind] <= _AT_MOST:
            self.problems.append(Problem(message, place))

    def leaves(self, size: int, heads: Sequence[AuditHead]) -> None:
        """Compare each place's entry, leaf, node and checkpoint."""
        frontier, points, holds = Frontier(), {head.size: head for head in heads}, 0
        nodes = self._nodes(size)
        span = Frontier()
        for leaf in read_leaves(self.session, 0, size):
            self._leaf(leaf)
            frontier.append(leaf.hash)
            span.append(leaf.hash)
            if span.size == 1 << BITS:
                place = leaf.place + 1 - span.size
                if next(nodes, b"") != span.root() and self.bad_leaf < place:
                    self.say("node", f"The kept hash over places {place} to {leaf.place} is not theirs.", place)
                span = Frontier()
            head = points.get(frontier.size)
            if head is not None and head.root == frontier.root():
                holds = head.size
            elif head is not None and self.bad_leaf < holds:
                message = f"The checkpoint of {head.size} entries does not hold" + f"; that of {holds} does." * bool(
                    holds
                )
                self.say("head", message, holds)
        for head in heads:
            if head.size > size:
                self.say(
                    "head", f"There is a checkpoint of {head.size} entries, and the log ends at place {size}.", size
                )

    def _leaf(self, leaf: Leaf) -> None:
        place = leaf.place
        if not leaf.hash:
            self.bad_leaf = place
            self.say("leaf", f"The leaf of place {place} is gone.", place)
        elif leaf.entry is None:
            self.say("entry", f"The entry at place {place} (ticket {leaf.ticket}, id {leaf.entry_id}) is gone.", place)
        elif leaf_hash(leaf.entry) != leaf.hash:
            self.bad_leaf = place
            self.say(
                "entry", f"The entry at place {place} (ticket {leaf.ticket}, id {leaf.entry_id}) was changed.", place
            )

    def _nodes(self, size: int) -> Iterator[bytes]:
        level = select(AuditNode.hash).where(AuditNode.level == 1, AuditNode.index < size >> BITS)
        return iter(self.session.exec(level.order_by(col(AuditNode.index))).all())

    def heads(self, heads: Sequence[AuditHead]) -> None:
        """See that each checkpoint is what the key signed."""
        for head in heads:
            try:
                point = open_note(head.note, self.key)
            except BadInput as wrong:
                self.say("signature", f"The checkpoint of {head.size} entries proves nothing. {wrong.message}")
                continue
            if (point.size, point.root) != (head.size, head.root):
                self.say("signature", f"The checkpoint of {head.size} entries is not the one that was signed.")

    def tickets(self) -> int:
        """Account for every ticket that the sequencer has looked at. Returns how many there are."""
        rows = self.session.connection().execute(_UNACCOUNTED, {"missing": MISSING, "most": _AT_MOST})
        for row in rows:
            self.say("ticket", f"Ticket {row.ticket} was drawn, and there is neither an entry nor a reason for that.")
        for row in self.session.connection().execute(_UNPLACED, {"most": _AT_MOST}):
            self.say("unplaced", f"An entry (ticket {row.ticket}, id {row.id}) was added without a place in the log.")
        for row in self.session.connection().execute(_PATIENTS, {"most": _AT_MOST}):
            self.say("patients", f"The index of patients does not fit the entry at place {row.place}.", row.place)
        return int(self.session.connection().execute(_LOOKED).scalar_one())


def check_log(database: Database, tenant_id: UUID, key: LogKey) -> Checked:
    """Compare entries, leaves, nodes, checkpoints and tickets. What comes while it looks is left for the next time."""
    with database.tenant(tenant_id) as session:
        check = _Check(session, key)
        heads = session.exec(select(AuditHead).order_by(col(AuditHead.size))).all()
        size = leaves_end(session)
        check.leaves(size, heads)
        check.heads(heads)
        tickets = check.tickets()
    with database.tenant(tenant_id) as session:
        try:
            hold_log(session)
        except LogBroken as broken:
            check.say("end", broken.message, size)
    order = sorted(check.problems, key=lambda problem: (problem.place is None, problem.place or 0))
    return Checked(size, len(heads), tickets, tuple(order))


_LOOKED = text("SELECT coalesce(max(looked_to), 0) FROM audit_sequencers")
_UNACCOUNTED = text("""
    SELECT ticket FROM generate_series(1, (SELECT coalesce(max(looked_to), 0) FROM audit_sequencers)) AS drawn (ticket)
    WHERE NOT EXISTS (SELECT FROM audit_leaves leaf WHERE leaf.ticket = drawn.ticket)
        AND NOT EXISTS (SELECT FROM audit_voids void WHERE void.ticket = drawn.ticket)
        AND NOT EXISTS (SELECT FROM audit_open_tickets still WHERE still.ticket = drawn.ticket)
        AND NOT EXISTS (
            SELECT FROM audit_entries entry WHERE action = :missing
            AND CASE WHEN detail @? '$.first_ticket.type() ? (@ == "number")'
                AND detail @? '$.last_ticket.type() ? (@ == "number")'
            THEN drawn.ticket BETWEEN (detail ->> 'first_ticket')::numeric AND (detail ->> 'last_ticket')::numeric END
        )
    ORDER BY ticket LIMIT :most
""")
_UNPLACED = text("""
    SELECT ticket, id FROM audit_entries entry
    WHERE ticket <= (SELECT coalesce(max(looked_to), 0) FROM audit_sequencers)
        AND NOT EXISTS (SELECT FROM audit_leaves leaf WHERE leaf.ticket = entry.ticket)
        AND NOT EXISTS (SELECT FROM audit_open_tickets still WHERE still.ticket = entry.ticket)
    ORDER BY ticket LIMIT :most
""")
_PATIENTS = text("""
    SELECT coalesce(stated.place, indexed.place) AS place
    FROM (
        SELECT DISTINCT place, patient
        FROM audit_leaves JOIN audit_entries USING (tenant_id, ticket) CROSS JOIN unnest(patients) patient
    ) stated FULL JOIN audit_patients indexed USING (place, patient)
    WHERE stated.place IS NULL OR indexed.place IS NULL
    ORDER BY 1 LIMIT :most
""")
