"""A tenant's list of sensitive codes as it stands, and how it came to be. It is empty until the tenant fills it.

Here: reading the list, and waiting for one another where it matters that it stays as it is. Not here: changing it
(`changing`), and what follows for definitions (`cohortium_tenants.packs`) and pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func, text
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import Conflict
from cohortium_tenants.sensitive.models import SensitiveChange

__all__ = ["ListChanged", "changes", "hold_list", "list_version", "sensitive_codes"]

_LOCK = "SELECT pg_advisory_xact_lock{}(hashtextextended('sensitive ' || :tenant, 0))"


class ListChanged(Conflict):
    """The list is no longer that which something was worked out with."""


def sensitive_codes(session: Session) -> Mapping[int, SensitiveChange]:
    """The codes on the list now, in order, each with the change that put it there."""
    statement = select(SensitiveChange).order_by(col(SensitiveChange.code), col(SensitiveChange.version))
    last = {change.code: change for change in session.exec(statement)}
    return {code: change for code, change in last.items() if change.listed}


def list_version(session: Session) -> int:
    """How often the list was changed; 0 while nothing was ever on it."""
    return session.exec(select(func.max(SensitiveChange.version))).one() or 0


def changes(session: Session) -> Sequence[SensitiveChange]:
    """Every change, the newest first."""
    return session.exec(
        select(SensitiveChange).order_by(col(SensitiveChange.version).desc(), col(SensitiveChange.code))
    ).all()


def hold_list(session: Session, expected: int | None = None) -> None:
    """Until the transaction ends, let nobody change the list. With `expected`, a version: many may hold it at once, and
    `ListChanged` is raised when the list has another. Without, this transaction alone holds it, to change it.
    """
    statement = _LOCK.format("" if expected is None else "_shared")
    session.connection().execute(text(statement), {"tenant": str(tenant_of(session))})
    if expected is not None and list_version(session) != expected:
        raise ListChanged("What is evaluated was changed in the meantime.", "Nothing was published. Evaluate again.")
