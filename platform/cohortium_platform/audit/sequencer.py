"""The sequencer: gives entries their place in the tree, and reports tickets whose entry never came.

Here: `sequence`. Not here: signing the tree's head (`heads`), and when this runs (`keeping`).

Entries are committed out of order. The sequencer takes what has become visible since it last looked and gives it the
next places. A ticket without an entry stays open until its transaction has certainly ended: all transactions that ran
when it was noticed are over. Then it was voided (its transaction rolled back), or after a minute it is missing, and an
entry of the log says so. Two sequencers take turns by a lock of the tenant's; a killed one leaves nothing half done,
since a batch is one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from cohortium_platform.audit.canonical import entry_bytes
from cohortium_platform.audit.models import Outcome
from cohortium_platform.audit.service import Entry, record_many
from cohortium_platform.audit.stored import LogBroken, add_nodes
from cohortium_platform.audit.tickets import tickets_drawn
from cohortium_platform.audit.tree import leaf_hash
from cohortium_platform.database import Database, tenant_of

__all__ = ["MISSING", "MISSING_AFTER_SECONDS", "Sequenced", "hold_log", "sequence"]

MISSING = "audit-entry-missing"
"""The action of an entry that reports tickets whose entries never came."""
MISSING_AFTER_SECONDS = 60

_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What one run did: how many entries it placed, and how many tickets it reported missing."""

    placed: int
    missing: int


@dataclass(frozen=True, slots=True)
class _Held:
    """The tenant's log, locked: how far the sequencer has come, and the transactions that may still add to it."""

    looked_to: int
    size: int
    restarted: bool
    horizon: int
    number: int


def sequence(database: Database, tenant_id: UUID, *, wait: bool = True, batch: int = _BATCH) -> Sequenced:
    """Give every visible entry its place. Without `wait`, leave it to another sequencer that is at it now.

    Raises `LogBroken` when leaves that were placed are gone, `Unavailable` when PostgreSQL does not answer.
    """
    placed = missing = 0
    while True:
        with database.tenant(tenant_id) as session:
            if not wait and not _may_hold(session):
                return Sequenced(placed, missing)
            held = _hold(session)
            drawn = tickets_drawn(session)
            until = min(drawn, held.looked_to + batch)
            tickets = _place(session, held, until)
            now_placed, now_missing = len(tickets), _follow_open(session, held, until, tickets)
            session.connection().execute(_MOVE, {"looked_to": until, "size": held.size + now_placed})
        placed, missing = placed + now_placed, missing + now_missing
        if until == drawn and not now_missing:
            return Sequenced(placed, missing)


def hold_log(session: Session) -> int:
    """Lock the tenant's log until the transaction ends: it neither grows nor is signed meanwhile. Gives its size.

    Raises `LogBroken` when the leaves do not reach as far as the sequencer came.
    """
    return _hold(session).size


def _may_hold(session: Session) -> bool:
    """Whether there is anything to do, and nobody who is doing it."""
    connection = session.connection()
    looked = connection.execute(_LOOK).one()
    if not looked.open and looked.looked_to == looked.drawn:
        return False
    return bool(connection.execute(_TRY_LOCK, {"name": _lock_name(session)}).scalar_one())


def _hold(session: Session) -> _Held:
    """Take the tenant's lock. It is not a row's: to wait for one, a transaction takes a number, and that number must be
    younger than any ticket which the one that waited for it has noted.
    """
    connection = session.connection()
    connection.execute(_LOCK, {"name": _lock_name(session)})
    row = connection.execute(_COME_TO).one_or_none()
    if row is None:
        connection.execute(_BEGIN, {"tenant": tenant_of(session)})
        row = connection.execute(_COME_TO).one()
    placed = int(connection.execute(_PLACED).scalar_one())
    if placed != row.size:
        raise LogBroken(
            f"The audit log's leaves end at place {placed} where {row.size} had been placed.",
            "Run `cohortium audit check`; compare with a checkpoint that was kept elsewhere.",
        )
    # The horizon is read before any entry is: what had ended by then shows in all that is read after.
    now = connection.execute(_NOW).one()
    if now.server_started != row.server_started:
        connection.execute(_RESTARTED)
    return _Held(row.looked_to, row.size, now.server_started != row.server_started, now.horizon, now.number)


def _lock_name(session: Session) -> str:
    return f"audit log of {tenant_of(session)}"


def _place(session: Session, held: _Held, until: int) -> list[int]:
    """Give places to the visible entries of tickets not seen before and of open ones. Returns their tickets."""
    connection = session.connection()
    window = {"looked_to": held.looked_to, "until": until}
    rows = connection.execute(_NEW, window).all() if until > held.looked_to else []
    still_open = connection.execute(_OPEN).scalars().all()
    late = connection.execute(_LATE, {"tickets": still_open}).all() if still_open else []
    entries: Sequence[Row[tuple[object, ...]]] = sorted([*late, *rows], key=lambda row: int(row.ticket))
    if not entries:
        return []
    connection.execute(
        _ADD_LEAVES,
        {
            "tenant": tenant_of(session),
            "size": held.size,
            "tickets": [row.ticket for row in entries],
            "ids": [row.id for row in entries],
            "hashes": [leaf_hash(entry_bytes(row)) for row in entries],
        },
    )
    seen = [(each, place) for place, row in enumerate(entries, held.size) for each in set(row.patients)]
    if seen:
        patients, places = zip(*seen, strict=True)
        given = {"tenant": tenant_of(session), "patients": list(patients), "places": list(places)}
        connection.execute(_ADD_PATIENTS, given)
    if late:
        connection.execute(_CLOSE, {"tickets": [row.ticket for row in late]})
    add_nodes(session, held.size, held.size + len(entries))
    return [int(row.ticket) for row in entries]


def _follow_open(session: Session, held: _Held, until: int, placed: Sequence[int]) -> int:
    """Note the tickets whose entries are not there; close voided ones; report those missing. Returns how many are."""
    connection = session.connection()
    connection.execute(_SET_HORIZON, {"number": held.number})  # of those noted by an earlier transaction
    absent = sorted(set(range(held.looked_to + 1, until + 1)).difference(placed))
    if absent:
        noted = {"tenant": tenant_of(session), "tickets": absent, "restarted": held.restarted}
        connection.execute(_NOTE_OPEN, noted)
    connection.execute(_CLOSE_VOIDED, {"horizon": held.horizon})
    gone = connection.execute(_CLOSE_MISSING, {"horizon": held.horizon, "seconds": MISSING_AFTER_SECONDS}).all()
    record_many(session, [_report(*span) for span in _spans((row.ticket, row.after_restart) for row in gone)])
    return len(gone)


def _spans(tickets: Iterable[tuple[int, bool]]) -> list[tuple[int, int, bool]]:
    """Tickets that follow each other, taken together: first, last, and whether the server had been restarted."""
    spans: list[tuple[int, int, bool]] = []
    for ticket, restarted in sorted(tickets):
        if spans and spans[-1][1:] == (ticket - 1, restarted):
            spans[-1] = (spans[-1][0], ticket, restarted)
        else:
            spans.append((ticket, ticket, restarted))
    return spans


def _report(first: int, last: int, restarted: bool) -> Entry:  # noqa: FBT001 - one of a span's three parts
    detail = {"first_ticket": first, "last_ticket": last, "database_was_restarted": restarted}
    return Entry(action=MISSING, resource=f"audit/ticket/{first}", outcome=Outcome.FAILED, detail=detail)


# Row-level security adds the tenant to each of these. None joins two tables: on a table that PostgreSQL has not counted
# yet it may then read all of the tenant's rows each second.

_LOOK = text("""
    SELECT audit_tickets_drawn() AS drawn, coalesce((SELECT looked_to FROM audit_sequencers), 0) AS looked_to,
        EXISTS (SELECT FROM audit_open_tickets) AS open
""")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
_COME_TO = text("SELECT looked_to, size, server_started FROM audit_sequencers")
_BEGIN = text("""
    INSERT INTO audit_sequencers (tenant_id, looked_to, size, server_started)
    VALUES (:tenant, 0, 0, pg_postmaster_start_time())
""")
_PLACED = text("SELECT coalesce(max(place) + 1, 0) FROM audit_leaves")
_NOW = text("""
    SELECT pg_postmaster_start_time() AS server_started, pg_current_xact_id()::text::bigint AS number,
        pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon
""")
_RESTARTED = text("UPDATE audit_sequencers SET server_started = pg_postmaster_start_time()")
_MOVE = text("UPDATE audit_sequencers SET looked_to = :looked_to, size = :size")

_NEW = text("SELECT * FROM audit_entries WHERE ticket > :looked_to AND ticket <= :until")
_OPEN = text("SELECT ticket FROM audit_open_tickets")
_LATE = text("SELECT * FROM audit_entries WHERE ticket = ANY(:tickets)")
_ADD_LEAVES = text("""
    INSERT INTO audit_leaves (tenant_id, place, ticket, entry_id, hash, placed)
    SELECT :tenant, :size + number - 1, ticket, entry_id, hash, clock_timestamp()
    FROM unnest(CAST(:tickets AS bigint[]), CAST(:ids AS uuid[]), CAST(:hashes AS bytea[]))
        WITH ORDINALITY AS given (ticket, entry_id, hash, number)
""")
_ADD_PATIENTS = text("""
    INSERT INTO audit_patients (tenant_id, patient, place)
    SELECT :tenant, patient, place
    FROM unnest(CAST(:patients AS bytea[]), CAST(:places AS bigint[])) AS given (patient, place)
""")

_CLOSE = text("DELETE FROM audit_open_tickets WHERE ticket = ANY(:tickets)")
# A database that was restored elsewhere counts its transactions anew: a number from before means nothing there.
_SET_HORIZON = text("UPDATE audit_open_tickets SET horizon = :number WHERE horizon IS NULL OR horizon > :number")
_NOTE_OPEN = text("""
    INSERT INTO audit_open_tickets (tenant_id, ticket, seen, after_restart)
    SELECT :tenant, ticket, clock_timestamp(), :restarted FROM unnest(CAST(:tickets AS bigint[])) AS absent (ticket)
""")
_CLOSE_VOIDED = text("""
    DELETE FROM audit_open_tickets
    WHERE horizon < :horizon AND EXISTS (SELECT FROM audit_voids WHERE audit_voids.ticket = audit_open_tickets.ticket)
""")
_CLOSE_MISSING = text("""
    DELETE FROM audit_open_tickets
    WHERE horizon < :horizon AND seen < clock_timestamp() - make_interval(secs => :seconds)
    RETURNING ticket, after_restart
""")
