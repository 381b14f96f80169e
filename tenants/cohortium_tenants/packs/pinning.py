"""Writing down what a tenant runs from a moment on, in the caller's transaction and with its audit entry.

Not here: what belongs into the same transaction, the results (`switching`).
"""

from __future__ import annotations

import datetime as dt
import enum
from uuid import UUID, uuid4

from sqlmodel import Session, select

from cohortium_platform.audit import Entry, record
from cohortium_platform.database import tenant_of
from cohortium_tenants.packs.catalogue.models import PackVersion
from cohortium_tenants.packs.choices import Choice, described, own_code_of
from cohortium_tenants.packs.models import EnabledPack, Enablement, LocalCode

__all__ = ["How", "pin"]


class How(enum.StrEnum):
    """How a tenant came to run what it runs."""

    ENABLED = "enabled"
    CHANGED = "changed"
    ROLLED_BACK = "rolled back"


def pin(  # noqa: PLR0913 - a choice, and what the audit must say of it
    session: Session,
    choice: Choice,
    row: PackVersion,
    *,
    by: str,
    how: How,
    sensitive_version: int = 0,
    reason: str = "",
    at: dt.datetime | None = None,
) -> UUID:
    """Let the tenant run a choice from now on (`at`: the moment that its result files give); gives the enablement. What
    it ran before is kept, and says when it ended.
    """
    tenant, now = tenant_of(session), at or dt.datetime.now(dt.UTC)
    former = session.get(EnabledPack, (tenant, choice.pack), with_for_update=True, populate_existing=True)
    made = Enablement(
        tenant_id=tenant,
        id=uuid4(),
        pack=choice.pack,
        version=row.version,
        content_hash=row.content_hash,
        definition_hash=row.definition_hash,
        parameters=dict(choice.parameters),
        local_codes=[described(code) for code in choice.codes],
        sensitive_version=sensitive_version,
        how=how,
        reason=reason,
        enabled=now,
        by=by,
        former=None if former is None else former.enablement,
    )
    session.add(made)
    if former is not None:
        before = session.get_one(Enablement, (tenant, former.enablement))
        before.ended, before.sensitive_version = now, sensitive_version
        session.add(before)
    enabled = former or EnabledPack(
        tenant_id=tenant, pack=choice.pack, version="", content_hash="", definition_hash="", enabled_by=by,
        enablement=made.id,
    )  # fmt: skip
    enabled.version, enabled.content_hash, enabled.definition_hash = row.version, row.content_hash, row.definition_hash
    enabled.parameters, enabled.enabled, enabled.enabled_by = dict(choice.parameters), now, by
    enabled.enablement = made.id
    session.add(enabled)
    _keep_codes(session, choice, by)
    detail = {
        "how": how,
        "version": row.version,
        "content": row.content_hash,
        "definition": row.definition_hash,
        "enablement": str(made.id),
        "parameters": dict(choice.parameters),
        "local_codes": made.local_codes,
    }
    record(session, Entry(action="enable-pack", resource=f"pack/{choice.pack}", actor=by, detail=detail))
    return made.id


def _keep_codes(session: Session, choice: Choice, by: str) -> None:
    """Let the tenant's codes of the pack be those of the choice, and leave alone those that stay."""
    wanted = {(own.codelist, own.code): own for own in choice.codes}
    for row in session.exec(select(LocalCode).where(LocalCode.pack == choice.pack)).all():
        own = wanted.get((row.codelist, row.code))
        if own is None or described(own) != described(own_code_of(row)):
            session.delete(row)
        else:
            del wanted[row.codelist, row.code]
    session.flush()
    session.add_all(
        LocalCode(
            tenant_id=tenant_of(session),
            pack=choice.pack,
            codelist=own.codelist,
            code=own.code,
            term=own.term,
            category=own.category,
            reason=own.reason,
            added_by=by,
        )
        for own in wanted.values()
    )
    session.flush()
