"""Writing audit entries. Not here: their place in the tree (`sequencer`), and reading them (`search`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlmodel import Session

from cohortium_platform.audit.models import Outcome
from cohortium_platform.audit.tickets import keep_ticket
from cohortium_platform.database import Database, tenant_of

__all__ = ["SERVICE", "Entry", "record", "record_alone", "record_many"]

SERVICE = "service"
"""The actor and role of what Cohortium does unasked: a sweep, a nightly refresh."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What an audit entry says. It never holds an NHS number, a name or a part of a record.

    `actor` is a person's id in the tenant, or `SERVICE`; `role` and `organisation` (ODS code) are those acted in;
    `resource` names what was acted upon (`registry/cancer-care`, `job/<id>`); `practices` are ODS codes; `patients` are
    `TenantKeys.audit_hash`es of the patients concerned, on a list those of the page shown; `policy` is the policy that
    decided; `detail` holds counts and settings: text and whole numbers.
    """

    action: str
    resource: str
    actor: str = SERVICE
    role: str = SERVICE
    organisation: str = ""
    purpose: str = "platform operation"
    practices: Sequence[str] = ()
    patients: Sequence[bytes] = ()
    policy: str = ""
    outcome: Outcome = Outcome.DONE
    request_id: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


# One value for all rows: to bind each column of each takes four times as long. The database knows the columns' types.
_INSERT = text("""
    INSERT INTO audit_entries SELECT * FROM json_populate_recordset(NULL::audit_entries, CAST(:rows AS json))
    RETURNING ticket
""")


def record(session: Session, entry: Entry) -> UUID:
    """Write an entry in the caller's transaction: what it records and the entry become visible together or not at all.

    Raises what the database raises when it cannot be written; the action must then not happen.
    """
    (entry_id,) = record_many(session, [entry])
    return entry_id


def record_many(session: Session, entries: Sequence[Entry]) -> list[UUID]:
    """Write entries as `record` does, in one statement."""
    if not entries:
        return []
    session.flush()
    tenant_id, at = tenant_of(session), datetime.now(UTC)
    ids = [uuid4() for _ in entries]
    rows = [_row(tenant_id, entry_id, at, entry) for entry_id, entry in zip(ids, entries, strict=True)]
    written = session.connection().execute(_INSERT, {"rows": json.dumps(rows, ensure_ascii=False)})
    for ticket in written.scalars():
        keep_ticket(session, ticket)
    return ids


def _row(tenant_id: UUID, entry_id: UUID, at: datetime, entry: Entry) -> dict[str, object]:
    return {
        "tenant_id": str(tenant_id),
        "id": str(entry_id),
        "at": at.isoformat(),
        "actor": entry.actor,
        "role": entry.role,
        "organisation": entry.organisation,
        "purpose": entry.purpose,
        "action": entry.action,
        "resource": entry.resource,
        "practices": list(entry.practices),
        "patients": [rf"\x{patient.hex()}" for patient in entry.patients],
        "policy": entry.policy,
        "outcome": entry.outcome,
        "request_id": entry.request_id,
        "detail": dict(entry.detail),
    }


def record_alone(database: Database, tenant_id: UUID, entry: Entry) -> UUID:
    """Write an entry in a transaction of its own: for a denial or a failure, whose own transaction does not commit."""
    with database.tenant(tenant_id) as session:
        return record(session, entry)
