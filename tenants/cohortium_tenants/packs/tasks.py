"""What packs have jobs do: evaluate, bring results up to date, exchange what a registry shows; previews and checks have
modules of their own, whose kinds are listed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from sqlmodel import Session

from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.refresh import Refreshed, refresh_tenant
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.errors import BadInput
from cohortium_platform.jobs import JobContext, JobKind, JobQueue, enqueue
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.records import RecordStore, snapshot_current
from cohortium_platform.results import evaluated_packs, former_results
from cohortium_platform.settings import load_settings
from cohortium_tenants.packs.choices import Choice, described, own_code
from cohortium_tenants.packs.history import HISTORY_MONTHS, history_days
from cohortium_tenants.packs.incidents import INCIDENT
from cohortium_tenants.packs.previews import PREVIEW
from cohortium_tenants.packs.service import TenantDefinition, definition_of, enabled_packs, propose
from cohortium_tenants.packs.switching import check_may_be_enabled, check_not_under_way, publishing, switching
from cohortium_tenants.sensitive import ListChanged, hold_list

__all__ = [
    "EVALUATE",
    "EVALUATE_ANEW",
    "KINDS",
    "REFRESH",
    "SWITCH",
    "EvaluatePack",
    "RefreshPack",
    "SwitchPack",
    "ask_to_refresh",
    "ask_to_switch",
]

MOST_ROUNDS = 10
"""Work that finds at its end a newer snapshot, or other sensitive codes, begins again, but not for ever."""


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


@dataclass(frozen=True, slots=True)
class SwitchPack:
    """What a registry shall show, pinned: a version, parameters as JSON and the tenant's own codes as `choices` writes
    them; why, and by whom; and over how many month ends it has a history from the first day.
    """

    pack: str
    version: str
    parameters: dict[str, object] = field(default_factory=dict)
    codes: list[dict[str, object]] = field(default_factory=list)
    reason: str = ""
    actor: str = "service"
    months: int = HISTORY_MONTHS

    @property
    def choice(self) -> Choice:
        """What is chosen."""
        return Choice(self.pack, self.version, self.parameters, [own_code(each) for each in self.codes])


def ask_to_switch(session: Session, queue: JobQueue | None, choice: Choice, *, reason: str, by: str) -> UUID:
    """Ask, in the caller's transaction, that a registry be worked out by a choice and then show it. Raises what
    `check_may_be_enabled` raises, and `Conflict` while another exchange of the pack waits or runs.
    """
    row = check_may_be_enabled(session, choice)
    check_not_under_way(session, choice.pack)
    asked = SwitchPack(
        choice.pack, row.version, dict(choice.parameters), [described(each) for each in choice.codes], reason, by
    )
    return enqueue(session, queue, SWITCH, asked, requested_by=by)


def _switch(context: JobContext, asked: SwitchPack) -> JobResult | None:
    """Work everything out beside what is shown, then exchange both in one commit. Killed before it, nothing changed."""
    for left in reversed(range(MOST_ROUNDS)):
        try:
            return _switch_once(context, asked)
        except ListChanged:
            if not left:
                raise
    return None


def _switch_once(context: JobContext, asked: SwitchPack) -> JobResult:
    settings = load_settings()
    with context.database.tenant(context.tenant_id) as session:
        check_may_be_enabled(session, asked.choice)
        found, snapshot = propose(session, asked.choice), snapshot_current(session)
        source = CatalogueSource(session, RecordStore(settings.store_root, context.tenant_id), snapshot)
        formers = former_results(session, asked.pack)
        newest = formers[0].evaluation.index_date if formers else None
    last = max((day for day in (source.records_to, newest) if day is not None), default=None)
    if last is None:
        raise BadInput("No records have been loaded.", "Load some, and enable the version again.")
    outcome: JobResult = {"pack": asked.pack, "version": asked.version, "index_date": last.isoformat()}

    @contextmanager
    def ending() -> Iterator[Session]:
        with context.transaction() as session:
            yield session
            if snapshot_current(session) != snapshot:  # what was loaded meanwhile
                enqueue(session, None, REFRESH, RefreshPack(asked.pack, actor=asked.actor), requested_by=asked.actor)
            context.succeed(session, outcome)

    days = tuple(history_days(last, asked.months))
    request = Request(found.pack, found.definition, found.parameters, days, actor=asked.actor)
    transaction = switching(asked.choice, found, ending, by=asked.actor, reason=asked.reason)
    evaluate_tenant(context.database, settings, context.tenant_id, request, context.progress, transaction=transaction)
    return outcome


EVALUATE = JobKind("evaluate", EvaluatePack, _evaluate, unique=lambda asked: asked.pack)
REFRESH = JobKind("refresh", RefreshPack, _refresh, unique=lambda asked: asked.pack)
EVALUATE_ANEW = JobKind("evaluate-anew", EvaluatePack, _evaluate, unique=lambda asked: asked.pack)
"""The same, asked for when results had to be withdrawn: it waits beside an evaluation that somebody asked for."""
SWITCH = JobKind("switch-pack", SwitchPack, _switch, unique=lambda asked: asked.pack)
KINDS = [EVALUATE, EVALUATE_ANEW, REFRESH, SWITCH, PREVIEW, INCIDENT]
