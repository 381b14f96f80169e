"""Evaluating an enabled pack as a job, and bringing its results up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from cohortium_platform.engine.refresh import Refreshed, refresh_tenant
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.jobs import JobContext, JobKind, enqueue
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.records import snapshot_current
from cohortium_platform.results import evaluated_packs
from cohortium_platform.settings import load_settings
from cohortium_tenants.packs.service import TenantDefinition, definition_of, enabled_packs
from cohortium_tenants.sensitive import ListChanged, hold_list

__all__ = [
    "EVALUATE",
    "EVALUATE_ANEW",
    "KINDS",
    "REFRESH",
    "EvaluatePack",
    "RefreshPack",
    "ask_to_refresh",
    "publishing",
]

MOST_ROUNDS = 10
"""Work that finds at its end a newer snapshot, or other sensitive codes, begins again, but not for ever."""

Transaction = Callable[[], AbstractContextManager[Session]]


def publishing(found: TenantDefinition, transaction: Transaction) -> Transaction:
    """A transaction to publish results of a definition in: it raises `ListChanged` when codes have become sensitive, or
    no longer are, since the definition was made; and none change before it ends.
    """

    @contextmanager
    def opened() -> Iterator[Session]:
        with transaction() as session:
            hold_list(session, found.sensitive_version)
            yield session

    return opened


@dataclass(frozen=True, slots=True)
class EvaluatePack:
    """Which pack, as of which days (empty: the day the records run to), for which practices (None: all)."""

    pack: str
    index_dates: tuple[date, ...] = ()
    practices: tuple[str, ...] | None = None
    actor: str = "service"


def _evaluate(context: JobContext, asked: EvaluatePack) -> JobResult | None:
    """Evaluate and publish; a second attempt publishes the same results again."""
    for left in reversed(range(MOST_ROUNDS)):
        try:
            return _evaluate_once(context, asked)
        except ListChanged:
            if not left:
                raise
    return None


def _evaluate_once(context: JobContext, asked: EvaluatePack) -> JobResult:
    with context.database.tenant(context.tenant_id) as session:
        found = definition_of(session, asked.pack)
    done = evaluate_tenant(
        context.database,
        load_settings(),
        context.tenant_id,
        Request(found.pack, found.definition, found.parameters, asked.index_dates, asked.practices, actor=asked.actor),
        context.progress,
        transaction=publishing(found, context.transaction),
    )
    outcome: JobResult = {"members": done.members, "practices": len(done.practices), "snapshot": done.snapshot}
    if done.damaged:
        outcome = {**outcome, "damaged": list(done.damaged)}
    with context.transaction() as session:  # one who changes the list later finds the job ended, and asks for another
        hold_list(session, found.sensitive_version)
        context.succeed(session, outcome)
    return outcome


@dataclass(frozen=True, slots=True)
class RefreshPack:
    """Which pack to bring up to date, to which day (None: the day the records run to, never back)."""

    pack: str
    to: date | None = None
    actor: str = "service"


def _refresh(context: JobContext, asked: RefreshPack) -> JobResult | None:
    """Work out what can have changed. While this ran, a load may have found it running and asked for no other: then
    there is a newer snapshot, and it begins again.
    """
    whole: set[str] = set()
    for left in reversed(range(MOST_ROUNDS)):
        with context.database.tenant(context.tenant_id) as session:
            found, snapshot = definition_of(session, asked.pack), snapshot_current(session)
        try:
            done = _refresh_once(context, asked, found)
        except ListChanged:
            if not left:
                raise
            continue
        whole.update(done.whole)
        with context.database.tenant(context.tenant_id) as session:
            if snapshot_current(session) == snapshot:
                break
    damaged = [] if done.evaluation is None else list(done.evaluation.damaged)
    outcome = {"index_date": done.index_date.isoformat(), "practices": sorted(whole), "kept": done.kept}
    return {**outcome, "damaged": damaged} if damaged else outcome


def _refresh_once(context: JobContext, asked: RefreshPack, found: TenantDefinition) -> Refreshed:
    return refresh_tenant(
        context.database,
        load_settings(),
        context.tenant_id,
        Request(found.pack, found.definition, found.parameters, actor=asked.actor),
        context.progress,
        to=asked.to,
        transaction=publishing(found, context.transaction),
    )


def ask_to_refresh(session: Session, actor: str) -> list[UUID]:
    """Ask, in the caller's transaction, that every registry that has results be brought up to the newest snapshot."""
    enabled = {row.pack for row in enabled_packs(session)}
    packs = sorted(enabled & evaluated_packs(session))
    return [enqueue(session, None, REFRESH, RefreshPack(pack, actor=actor), requested_by=actor) for pack in packs]


EVALUATE = JobKind("evaluate", EvaluatePack, _evaluate, unique=lambda asked: asked.pack)
REFRESH = JobKind("refresh", RefreshPack, _refresh, unique=lambda asked: asked.pack)
EVALUATE_ANEW = JobKind("evaluate-anew", EvaluatePack, _evaluate, unique=lambda asked: asked.pack)
"""The same, asked for when results had to be withdrawn: it waits beside an evaluation that somebody asked for."""
KINDS = [EVALUATE, EVALUATE_ANEW, REFRESH]
