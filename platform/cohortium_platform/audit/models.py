"""The tables of the log. What proves something accepts inserts only: the privileges say so.

Here: entries, voided tickets, leaves, nodes, heads, an index of patients; and two tables of notes that the sequencer
keeps for itself, which prove nothing. Not here: who writes which (`service`, `tickets`, `sequencer`, `heads`).
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, FetchedValue, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from cohortium_platform.audit.functions import attach_tickets
from cohortium_platform.database import Privilege, TenantTable, Travels, metadata

__all__ = [
    "AuditEntry",
    "AuditHead",
    "AuditLeaf",
    "AuditNode",
    "AuditPatient",
    "AuditVoid",
    "OpenTicket",
    "Outcome",
    "Sequencer",
]

_INSERT_ONLY = frozenset({Privilege.SELECT, Privilege.INSERT})
_NOTES = Travels.left("They are the sequencer's own notes of this database; where the log goes, it begins new ones.")


class Outcome(enum.StrEnum):
    """How it ended: it was done, it was refused, or it was permitted and failed."""

    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


class AuditEntry(TenantTable, table=True):
    """One entry; `audit.service.Entry` says what each column means. A trigger gives the ticket (`functions`)."""

    __tablename__ = "audit_entries"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        Index(None, "tenant_id", "ticket", unique=True),
        Index(None, "tenant_id", "at", "ticket"),
        Index(None, "tenant_id", "actor", "at"),
        Index(None, "tenant_id", "organisation", "at"),
        Index(None, "tenant_id", "action", "at"),
        Index(None, "tenant_id", "resource", "at"),
        Index(None, "tenant_id", "request_id"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED
    privileges: ClassVar[frozenset[Privilege]] = _INSERT_ONLY

    id: UUID = Field(primary_key=True)
    ticket: int = Field(default=None, sa_type=BigInteger, sa_column_kwargs={"server_default": FetchedValue()})
    at: datetime = Field(sa_type=DateTime(timezone=True))
    actor: str
    role: str
    organisation: str
    purpose: str
    action: str
    # In the order of code points, so that all that begins alike stands together in the index (`search`).
    resource: str = Field(sa_type=Text(collation="C"))
    practices: list[str] = Field(sa_type=ARRAY(Text))
    patients: list[bytes] = Field(sa_type=ARRAY(LargeBinary))
    policy: str
    outcome: str
    request_id: str
    detail: dict[str, object] = Field(sa_type=JSONB)


class AuditVoid(TenantTable, table=True):
    """A ticket whose entry was never committed, and why: its transaction rolled back."""

    __tablename__ = "audit_voids"
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = Travels.EXPORTED
    privileges: ClassVar[frozenset[Privilege]] = _INSERT_ONLY

    ticket: int = Field(primary_key=True, sa_type=BigInteger)
    reason: str
    at: datetime = Field(sa_type=DateTime(timezone=True))


class AuditLeaf(TenantTable, table=True):
    """An entry's place in the tree, from 0 on without a gap, and the hash of its bytes when it was placed."""

    __tablename__ = "audit_leaves"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (Index(None, "tenant_id", "ticket", unique=True),)
    travels: ClassVar[Travels] = Travels.EXPORTED
    privileges: ClassVar[frozenset[Privilege]] = _INSERT_ONLY

    place: int = Field(primary_key=True, sa_type=BigInteger)
    ticket: int = Field(sa_type=BigInteger)
    entry_id: UUID
    hash: bytes
    placed: datetime = Field(sa_type=DateTime(timezone=True))


class AuditNode(TenantTable, table=True):
    """The hash of a complete subtree of 256**level leaves, so that a proof reads hundreds of hashes and not all."""

    __tablename__ = "audit_nodes"
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = Travels.DERIVED
    privileges: ClassVar[frozenset[Privilege]] = _INSERT_ONLY

    level: int = Field(primary_key=True, sa_type=SmallInteger)
    index: int = Field(primary_key=True, sa_type=BigInteger)
    hash: bytes


class AuditPatient(TenantTable, table=True):
    """Which entries concern a patient. An index by another name: an index on an array cannot be used under row-level
    security, since PostgreSQL does not trust array operators to keep silent about rows of others (`LEAKPROOF`).
    """

    __tablename__ = "audit_patients"
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = Travels.DERIVED
    privileges: ClassVar[frozenset[Privilege]] = _INSERT_ONLY

    patient: bytes = Field(primary_key=True)
    place: int = Field(primary_key=True, sa_type=BigInteger)


class AuditHead(TenantTable, table=True):
    """A signed checkpoint as it was issued, and the frontier of its tree, from which the next one is worked out."""

    __tablename__ = "audit_heads"
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = Travels.EXPORTED
    privileges: ClassVar[frozenset[Privilege]] = _INSERT_ONLY

    size: int = Field(primary_key=True, sa_type=BigInteger)
    root: bytes
    frontier: list[bytes] = Field(sa_type=ARRAY(LargeBinary))
    note: str
    at: datetime = Field(sa_type=DateTime(timezone=True))


class OpenTicket(TenantTable, table=True):
    """A ticket that was drawn and whose entry has not been seen. `horizon` is the number of a transaction: when all up
    to it have ended, the one that drew the ticket has.
    """

    __tablename__ = "audit_open_tickets"
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = _NOTES

    ticket: int = Field(primary_key=True, sa_type=BigInteger)
    seen: datetime = Field(sa_type=DateTime(timezone=True))
    horizon: int | None = Field(default=None, sa_type=BigInteger)
    after_restart: bool = False


class Sequencer(TenantTable, table=True):
    """How far the sequencer has come, in tickets and in places, and the start of the server it last worked on."""

    __tablename__ = "audit_sequencers"
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = _NOTES
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT, Privilege.UPDATE})

    looked_to: int = Field(default=0, sa_type=BigInteger)
    size: int = Field(default=0, sa_type=BigInteger)
    server_started: datetime = Field(sa_type=DateTime(timezone=True))


attach_tickets(metadata.tables[AuditEntry.__tablename__])
