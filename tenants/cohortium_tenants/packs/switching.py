"""Exchanging what a registry shows: version, parameters, the tenant's own codes and the results, in one transaction.

Until it commits, everything is as it was; after it, everything is new. What was shown before is kept, and comes back
the same way, file by file, without anything being worked out. Not here: working results out (`tasks`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import Conflict, NotFound
from cohortium_platform.jobs import Job, JobState
from cohortium_platform.results import bring_back, newest_switch
from cohortium_tenants.packs.catalogue.deciding import standing_of
from cohortium_tenants.packs.catalogue.models import PackVersion
from cohortium_tenants.packs.catalogue.versions import find_version
from cohortium_tenants.packs.choices import Choice, own_code
from cohortium_tenants.packs.models import EnabledPack, Enablement
from cohortium_tenants.packs.pinning import How, pin
from cohortium_tenants.packs.service import TenantDefinition, enabled_pack, propose
from cohortium_tenants.sensitive import ListChanged, hold_list, list_version

__all__ = [
    "Transaction", "check_may_be_enabled", "check_not_under_way", "enablements", "former_of", "publishing",
    "roll_back", "switching",
]  # fmt: skip

Transaction = Callable[[], AbstractContextManager[Session]]


class _Exchanged(ListChanged):
    """Something was worked out for a choice that the tenant does not run any more."""


def publishing(found: TenantDefinition, transaction: Transaction) -> Transaction:
    """A transaction to publish results of what the tenant runs in: it raises `ListChanged` when codes have become
    sensitive or no longer are, or the tenant runs something else, since the definition was made; and none of it changes
    before it ends.
    """

    @contextmanager
    def opened() -> Iterator[Session]:
        with transaction() as session:
            hold_list(session, found.sensitive_version)
            if found.enablement is not None:
                key = (tenant_of(session), found.pack.id)
                now = session.get(EnabledPack, key, with_for_update={"read": True}, populate_existing=True)
                if now is None or now.enablement != found.enablement:
                    raise _Exchanged("What is evaluated was exchanged in the meantime.", "Nothing was published.")
            yield session

    return opened


def check_may_be_enabled(session: Session, choice: Choice) -> PackVersion:
    """Give the version of a choice. Raises `NotFound`, `BadInput` for a choice that cannot be, and `Conflict` with
    every reason why the version may not be enabled.
    """
    propose(session, choice)
    standing = standing_of(session, find_version(session, choice.pack, choice.version))
    if standing.hindrances:
        raise Conflict(
            f"{choice.pack} {choice.version} may not be enabled. {' '.join(standing.hindrances)}", "See its page."
        )
    return standing.row


def switching(
    choice: Choice, found: TenantDefinition, transaction: Transaction, *, by: str, reason: str = ""
) -> Transaction:
    """A transaction that results of a choice are committed in, and that lets the tenant run the choice as it ends.

    Raises `ListChanged` as `publishing` does, and `Conflict` when the version may no longer be enabled.
    """

    @contextmanager
    def opened() -> Iterator[Session]:
        with transaction() as session:
            hold_list(session, found.sensitive_version)
            row = check_may_be_enabled(session, choice)
            session.get(EnabledPack, (tenant_of(session), choice.pack), with_for_update=True)
            yield session
            moment = newest_switch(session, choice.pack)
            how = How.ENABLED if _is_another(session, row) else How.CHANGED
            sensitive = found.sensitive_version
            pin(session, choice, row, by=by, how=how, sensitive_version=sensitive, reason=reason, at=moment)

    return opened


def _is_another(session: Session, row: PackVersion) -> bool:
    now = session.get(EnabledPack, (tenant_of(session), row.pack))
    return now is None or now.content_hash != row.content_hash


def enablements(session: Session, pack_id: str) -> Sequence[Enablement]:
    """What the tenant has run of a pack, the newest first."""
    return session.exec(
        select(Enablement).where(Enablement.pack == pack_id).order_by(col(Enablement.enabled).desc())
    ).all()


def former_of(session: Session, pack_id: str) -> Enablement | None:
    """What was run before what is run now, when its results can come back: they were shown until the exchange, and no
    code has become sensitive or ceased to be since.
    """
    now = enabled_pack(session, pack_id)
    former_id = session.get_one(Enablement, (tenant_of(session), now.enablement)).former
    if former_id is None:
        return None
    former = session.get_one(Enablement, (tenant_of(session), former_id))
    if former.sensitive_version != list_version(session) or former.ended is None:
        return None
    return former if bring_back(session, pack_id, former.ended, only_look=True) else None


def roll_back(session: Session, pack_id: str, *, by: str, reason: str) -> UUID:
    """Show again what was shown before the last exchange, and run what was run; gives the enablement. The results are
    the very files of then: whoever calls this asks for a refresh, which brings them up to date.

    Raises `NotFound` when there is nothing to go back to, and `Conflict` while a job exchanges it.
    """
    hold_list(session, list_version(session))
    check_not_under_way(session, pack_id)
    enabled_pack(session, pack_id)
    session.get(EnabledPack, (tenant_of(session), pack_id), with_for_update=True, populate_existing=True)
    former = former_of(session, pack_id)
    if former is None or former.ended is None:
        raise NotFound(
            f"There are no former results of {pack_id} to go back to.", "Enable the version that you want instead."
        )
    row = session.get_one(PackVersion, former.content_hash)
    if row.withdrawn is not None:
        raise Conflict(f"{pack_id} {row.version} was withdrawn: {row.withdrawn_because}", "Enable another version.")
    moment = dt.datetime.now(dt.UTC)
    bring_back(session, pack_id, former.ended, at=moment)
    choice = Choice(pack_id, former.version, former.parameters, [own_code(each) for each in former.local_codes])
    return pin(
        session, choice, row, by=by, how=How.ROLLED_BACK, sensitive_version=former.sensitive_version, reason=reason,
        at=moment,
    )  # fmt: skip


def check_not_under_way(session: Session, pack_id: str) -> None:
    """Raise `Conflict` while a job that exchanges the pack waits or runs."""
    active = select(Job.id).where(
        Job.unique_key == f"switch-pack:{pack_id}", col(Job.state).in_([JobState.QUEUED, JobState.RUNNING])
    )
    if session.exec(active).first() is not None:
        raise Conflict(f"{pack_id} is being exchanged at this moment.", "Wait until that has ended, or cancel it.")
