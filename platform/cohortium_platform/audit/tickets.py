"""Tickets: a number for each entry, drawn in PostgreSQL when it is written, so that one that is gone leaves a gap.

Here: a tenant's tickets, and the note that a ticket's entry was rolled back. Not here: the functions in PostgreSQL that
draw them (`functions`), and what becomes of a ticket (`sequencer`).

A ticket is drawn before it is known which transaction commits, or in which order: it says nothing of an entry's place,
only that there was an entry. A transaction that rolls back says so afterwards, in one of its own; when it cannot, since
its process was killed, the sequencer reports the ticket as missing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import event, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session

from cohortium_platform.audit.models import AuditVoid
from cohortium_platform.database import Database, afterwards, tenant_of
from cohortium_platform.errors import Unavailable

__all__ = ["ROLLED_BACK", "keep_ticket", "open_log", "tickets_drawn"]

ROLLED_BACK = "rolled back"
"""Why a ticket has no entry."""

_KEPT = "audit tickets of this transaction"

_log = logging.getLogger(__name__)


def open_log(session: Session) -> None:
    """Give the session's tenant its tickets. Do it once, in the transaction that makes the tenant's keys."""
    session.connection().execute(text("SELECT audit_open_log()"))


def tickets_drawn(session: Session) -> int:
    """How many tickets the tenant has drawn: the last one's number."""
    return int(session.connection().execute(text("SELECT audit_tickets_drawn()")).scalar_one())


@dataclass(slots=True)
class _Kept:
    """The tickets that one session drew, each with the savepoint it was drawn in, and those that came to nothing."""

    tenant_id: UUID
    drawn: dict[int, SessionTransaction | None] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)

    def roll_back(self, ended: SessionTransaction) -> None:
        """Take note that a transaction, or a savepoint in one, is undone, and all that was written in it."""
        for ticket, within in list(self.drawn.items()):
            if ended.parent is None or _lies_in(within, ended):
                del self.drawn[ticket]
                self.lost.append(ticket)

    def void(self, database: Database) -> None:
        """Write down which tickets came to nothing."""
        if not self.lost:
            return
        at = datetime.now(UTC)
        rows = [{"tenant_id": self.tenant_id, "ticket": each, "reason": ROLLED_BACK, "at": at} for each in self.lost]
        try:
            with database.tenant(self.tenant_id) as session:
                session.connection().execute(insert(AuditVoid).values(rows).on_conflict_do_nothing())
        except (Unavailable, SQLAlchemyError):
            _log.warning("audit tickets of a rolled-back transaction could not be voided; they will count as missing")


def keep_ticket(session: Session, ticket: int) -> None:
    """Remember a ticket until its transaction has ended, so that it is voided when its entry does not come to be."""
    kept = session.info.get(_KEPT)
    if not isinstance(kept, _Kept):
        kept = session.info[_KEPT] = _Kept(tenant_of(session))
        afterwards(session, kept.void)
    kept.drawn[ticket] = session.get_nested_transaction()


@event.listens_for(OrmSession, "after_soft_rollback")
def _rolled_back(session: OrmSession, ended: SessionTransaction) -> None:
    kept = session.info.get(_KEPT)
    if isinstance(kept, _Kept):
        kept.roll_back(ended)


def _lies_in(within: SessionTransaction | None, ended: SessionTransaction) -> bool:
    """Whether a savepoint is the one that ended, or was made inside it."""
    while within is not None:
        if within is ended:
            return True
        within = within.parent
    return False
