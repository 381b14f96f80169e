"""Beginning and ending a tenant's read-only period. The database refuses changes in one, whoever asks: a page, a job, a
load or a command (`migrations.protection`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, Conflict
from cohortium_platform.portability.models import ReadOnlyPeriod

__all__ = ["LONGEST_REASON", "begin_read_only", "end_read_only", "read_only_period"]

LONGEST_REASON = 200
"""Characters: a reason stands on every page."""

_NOBODY_WRITES = "SELECT pg_try_advisory_xact_lock(hashtextextended('writing ' || CAST(:tenant AS uuid), 0))"


def read_only_period(session: Session) -> ReadOnlyPeriod | None:
    """The tenant's read-only period, if it is in one."""
    return session.exec(select(ReadOnlyPeriod).where(col(ReadOnlyPeriod.ended).is_(None))).one_or_none()


def begin_read_only(session: Session, *, reason: str, by: str) -> ReadOnlyPeriod:
    """Begin one: from the end of this transaction on nothing is changed, nor by what began before.

    Raises `BadInput` without a reason, `Conflict` when there is one already or something is being written.
    """
    reason = " ".join(reason.split())
    if not reason or len(reason) > LONGEST_REASON:
        raise BadInput(
            f"A read-only period has a reason of 1 to {LONGEST_REASON} characters.", "It stands on every page."
        )
    if read_only_period(session) is not None:
        raise Conflict("There is a read-only period already.", "End it first to begin another.")
    if not session.connection().execute(text(_NOBODY_WRITES), {"tenant": str(tenant_of(session))}).scalar_one():
        raise Conflict("Something is being written at this moment.", "Wait until loads and jobs are done; try again.")
    period = ReadOnlyPeriod(tenant_id=tenant_of(session), reason=reason, by=by)
    session.add(period)
    session.flush()
    return period


def end_read_only(session: Session, *, by: str) -> ReadOnlyPeriod:
    """End it: things can be changed again. Raises `Conflict` when there is none."""
    period = read_only_period(session)
    if period is None:
        raise Conflict("There is no read-only period.", "Nothing is to be ended.")
    period.ended, period.ended_by = datetime.now(UTC), by
    session.add(period)
    session.flush()
    return period
