"""Writing audit entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlmodel import Session

from cohortium_platform.audit.models import AuditEntry, Outcome
from cohortium_platform.database import Database, tenant_of

__all__ = ["SERVICE", "Entry", "record", "record_alone"]

SERVICE = "service"
"""The actor and role of what Cohortium does unasked: a sweep, a nightly refresh."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What an audit entry says. It never holds an NHS number, a name or a part of a record.

    `actor` is a person's id in the tenant, or `SERVICE`; `role` and `organisation` (ODS code) are those acted in;
    `resource` names what was acted upon (`registry/cancer-care`, `job/<id>`); `practices` are ODS codes; `patients` are
    `TenantKeys.audit_hash`es of the patients concerned, on a list those of the page shown; `policy` is the policy that
    decided; `detail` holds counts and settings, as JSON.
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


def record(session: Session, entry: Entry) -> UUID:
    """Write an entry in the caller's transaction: what it records and the entry become visible together or not at all.

    Raises what the database raises when it cannot be written; the action must then not happen.
    """
    row = AuditEntry(
        tenant_id=tenant_of(session),
        id=uuid4(),
        at=datetime.now(UTC),
        actor=entry.actor,
        role=entry.role,
        organisation=entry.organisation,
        purpose=entry.purpose,
        action=entry.action,
        resource=entry.resource,
        practices=list(entry.practices),
        patients=list(entry.patients),
        policy=entry.policy,
        outcome=entry.outcome,
        request_id=entry.request_id,
        detail=dict(entry.detail),
    )
    session.add(row)
    session.flush()
    return row.id


def record_alone(database: Database, tenant_id: UUID, entry: Entry) -> UUID:
    """Write an entry in a transaction of its own: for a denial or a failure, whose own transaction does not commit."""
    with database.tenant(tenant_id) as session:
        return record(session, entry)
