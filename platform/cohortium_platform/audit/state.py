"""How a tenant's log stands: for `cohortium audit status` and the page that shows proofs. Not here: whether it is whole
(`checking`), which takes reading all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from cohortium_platform.audit.heads import last_head
from cohortium_platform.audit.models import AuditHead
from cohortium_platform.audit.reading import leaves_end
from cohortium_platform.audit.sequencer import MISSING
from cohortium_platform.audit.tickets import tickets_drawn

__all__ = ["LogState", "log_state"]


@dataclass(frozen=True, slots=True)
class LogState:
    """`size` entries have a place, of `drawn` tickets. The rest were `voided` (their transaction rolled back), are
    `missing` (reported in the log), or `waiting` (noticed `oldest_wait`; their transaction may still run), or were
    drawn since the sequencer last looked. `head` is the last checkpoint.
    """

    size: int
    drawn: int
    voided: int
    missing: int
    waiting: int
    oldest_wait: datetime | None
    head: AuditHead | None


def log_state(session: Session) -> LogState:
    """How the session's tenant's log stands."""
    counts = session.connection().execute(_COUNTS, {"missing": MISSING}).one()
    return LogState(
        size=leaves_end(session),
        drawn=tickets_drawn(session),
        voided=counts.voided,
        missing=int(counts.missing),
        waiting=counts.waiting,
        oldest_wait=counts.oldest,
        head=last_head(session),
    )


_COUNTS = text("""
    SELECT (SELECT count(*) FROM audit_voids) AS voided, (SELECT count(*) FROM audit_open_tickets) AS waiting,
        (SELECT min(seen) FROM audit_open_tickets) AS oldest,
        (
            SELECT coalesce(sum((detail ->> 'last_ticket')::numeric - (detail ->> 'first_ticket')::numeric + 1), 0)
            FROM audit_entries
            WHERE action = :missing AND detail @? '$.first_ticket.type() ? (@ == "number")'
                AND detail @? '$.last_ticket.type() ? (@ == "number")'
        ) AS missing
""")
