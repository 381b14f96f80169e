"""Bringing a tenant's results up to date: only what a load or the passing of days can have changed is worked out again.

A practice that was loaded, and practices that its movers left or joined, are evaluated whole. Of the others, people
whose own day has come (`evaluated.MAY_CHANGE`) and people outside the registry are looked at again; the rest is taken
over. The outcome reads as if everything had been evaluated. Not here: how an engine looks ahead (`duckdb_outlook`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from uuid import UUID

import duckdb
import pyarrow as pa
from sqlmodel import Session

from cohortium_platform.database import Database
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.service import (
    Asked,
    Evaluation,
    Outcome,
    Request,
    around_damage,
    evaluate_tenant,
    publish,
    run,
    summary,
)
from cohortium_platform.errors import BadInput
from cohortium_platform.records import RecordStore, changed_practices, movers_practices, snapshot_current
from cohortium_platform.results import Evaluated, Former, Kept, ResultStore, former_results
from cohortium_platform.settings import Settings
from cohortium_plugins.model.serialise import content_hash

__all__ = ["Refreshed", "out_of_date", "refresh_tenant"]

Progress = Callable[[float, str], None]
Transaction = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did. `whole`: practices evaluated whole; `kept`: members of other practices who were taken over as
    they were; `evaluation` is None when everything was up to date.
    """

    index_date: dt.date
    whole: Sequence[str]
    kept: int
    evaluation: Evaluation | None


@dataclass(frozen=True)
class _Plan:
    """What to work out. `forward`: results to bring forward to the last of `days`, each with its practices."""

    source: CatalogueSource
    days: Sequence[dt.date]
    whole: Sequence[str]
    forward: Sequence[tuple[Former, Sequence[str]]] = ()


def refresh_tenant(  # noqa: PLR0913 - what, for whom, until when
    database: Database,
    settings: Settings,
    tenant_id: UUID,
    request: Request,
    progress: Progress | None = None,
    *,
    to: dt.date | None = None,
    transaction: Transaction | None = None,
) -> Refreshed:
    """Bring the results of a pack up to the newest snapshot and to a day: by default the newest that records run to,
    but never back. Earlier index dates stay those of the results there are.

    Raises what `evaluate_tenant` raises. Former results stay in place until the new ones are committed.
    """
    with database.tenant(tenant_id) as session:
        plan = _plan(session, RecordStore(settings.store_root, tenant_id), request, to)
    day = plan.days[-1]
    if plan.forward:
        started = dt.datetime.now(dt.UTC)
        store = ResultStore(settings.store_root, tenant_id)
        try:
            outcome = _forward(settings, store, request, plan, progress)
        except duckdb.Error:  # a file of results is gone or of another layout
            plan = replace(plan, whole=plan.source.practices, forward=())
        else:
            outcome = replace(outcome, evaluated=replace(outcome.evaluated, started=started))
            publish(database, settings, tenant_id, outcome, transaction=transaction)
            kept = 0 if outcome.kept is None else outcome.kept.listed.num_rows
            return Refreshed(day, plan.whole, kept, summary(outcome))
    if not plan.whole:
        return Refreshed(day, (), 0, None)
    asked = replace(request, index_dates=plan.days, practices=plan.whole)
    done = evaluate_tenant(database, settings, tenant_id, asked, progress, transaction=transaction)
    return Refreshed(day, plan.whole, 0, done)


def _plan(session: Session, store: RecordStore, request: Request, to: dt.date | None) -> _Plan:
    snapshot = snapshot_current(session)
    source = CatalogueSource(session, store, snapshot)
    formers = former_results(session, request.pack.id)
    newest = formers[0].evaluation.index_date if formers else None
    day = to or max(d for d in (source.records_to, newest, dt.date.min) if d is not None)
    if not source.practices or day == dt.date.min:
        raise BadInput("No records have been loaded.", "Run: cohortium import DELIVERY --tenant TENANT")
    if newest is None:
        return _Plan(source, [day], source.practices)
    former = formers[0]
    earlier = [each for each in former.earlier_dates if each < day]
    hash_now = content_hash(request.definition)
    alike = [
        each
        for each in formers
        if each.evaluation.index_dates == former.evaluation.index_dates and each.evaluation.definition_hash == hash_now
    ]
    standing: list[tuple[Former, Sequence[str]]] = []
    for each in alike if day >= newest else ():
        stale = _stale(session, store, each, snapshot, [*earlier, newest, day])
        standing.append((each, sorted(each.practices.intersection(source.practices) - stale)))
    whole = sorted(set(source.practices).difference(*(practices for _, practices in standing)))
    return _Plan(source, [*earlier, day], whole, [found for found in standing if found[1]] if day > newest else [])


def out_of_date(session: Session, store: RecordStore, pack: str, definition_hash: str) -> frozenset[str]:
    """Give the practices whose results of a pack are not those of this definition over the newest snapshot, at the
    newest index date of all.
    """
    snapshot = snapshot_current(session)
    found = set(CatalogueSource(session, store, snapshot).practices)
    formers = former_results(session, pack)
    for each in formers:
        made = each.evaluation
        alike = (made.definition_hash, made.index_dates) == (definition_hash, formers[0].evaluation.index_dates)
        days = [*each.earlier_dates, made.index_date]
        found.symmetric_difference_update(each.practices)  # neither without results nor without records
        found.update(_stale(session, store, each, snapshot, days) if alike else each.practices)
    return frozenset(found)


def _stale(
    session: Session, store: RecordStore, former: Former, snapshot: int, days: Sequence[dt.date]
) -> frozenset[str]:
    """Give the practices of an evaluation that were loaded since, or whose people moved."""
    since = former.evaluation.snapshot
    changed = changed_practices(session, since, snapshot)
    if former.practices <= changed:
        return former.practices
    movers = movers_practices(session, store, since, snapshot, changed, days)
    return former.practices if movers is None else former.practices & (changed | movers)


def _forward(
    settings: Settings, store: ResultStore, request: Request, plan: _Plan, progress: Progress | None
) -> Outcome:
    """Bring practices forward, and evaluate the others whole."""
    practices = [*plan.whole, *(practice for _, some in plan.forward for practice in some)]

    def work(source: CatalogueSource) -> Outcome:
        readable = set(source.practices)
        forward = [(former, [each for each in some if each in readable]) for former, some in plan.forward]
        whole = [practice for practice in plan.whole if practice in readable]
        left = _Plan(source, plan.days, whole, [(former, some) for former, some in forward if some])
        return _worked_out(settings, store, request, left, progress)

    outcome, damaged = around_damage(plan.source, practices, work)
    return replace(outcome, damaged=damaged)


def _worked_out(
    settings: Settings, store: ResultStore, request: Request, plan: _Plan, progress: Progress | None
) -> Outcome:
    started, day = dt.datetime.now(dt.UTC), plan.days[-1]
    forward = [practice for _, some in plan.forward for practice in some]
    settled = [former.settled(store, some, day) for former, some in plan.forward]
    parts: list[Evaluated] = []
    if forward:
        asked = Asked(request, plan.source, forward, [day], started, pa.concat_tables(settled))
        parts.append(run(settings, store.tenant_id, asked, _share(progress, 0.0, 0.5)))
    if plan.whole:
        asked = Asked(request, plan.source, plan.whole, plan.days, started)
        parts.append(run(settings, store.tenant_id, asked, _share(progress, 0.5, 1.0)))
    first, kept = parts[0], []
    results = [part.results for part in parts]
    for (former, some), who in zip(plan.forward, settled, strict=True):
        stood = former.results(store, some, day, who)
        results.append(stood.select(first.results.column_names).cast(first.results.schema))
        kept.append(former.kept(store, some, who))
    evaluated = replace(
        first,
        index_dates=plan.days,
        practices=sorted([*forward, *plan.whole]),
        results=pa.concat_tables(results),
        listed=pa.concat_tables([part.listed for part in parts]),
    )
    return Outcome(request, evaluated, kept=_together(kept))


def _together(kept: Sequence[Kept]) -> Kept | None:
    if not kept:
        return None
    return Kept(
        history=[file for each in kept for file in each.history],
        counts=pa.concat_tables([each.counts for each in kept]),
        listed=pa.concat_tables([each.listed for each in kept]),
    )


def _share(progress: Progress | None, start: float, end: float) -> Progress | None:
    """Tell progress of a part as that of the whole."""
    if progress is None:
        return None
    return lambda fraction, step: progress(start + (end - start) * fraction, step)
