"""Evaluating a pack for a tenant: records in, results that count out. The one call for commands, jobs and pages.

Not here: which packs a tenant has enabled (tenants), and how an engine works.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import pyarrow as pa
from sqlmodel import Session

from cohortium_platform.audit import SERVICE, Entry, record
from cohortium_platform.database import Database
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.engines import engine_of
from cohortium_platform.engine.entered import OnePatient, reevaluate_patient, with_late_entries
from cohortium_platform.engine.evaluated import EvaluatedTables, Kind
from cohortium_platform.engine.people import one_line_each
from cohortium_platform.errors import BadInput, Cancelled, CohortiumError, NotFound, Unavailable
from cohortium_platform.records import RecordStore, entered_since, lock, snapshot_current
from cohortium_platform.results import Count, Evaluated, Kept, ResultStore, commit, count_results, write
from cohortium_platform.settings import Settings
from cohortium_plugins.model import Definition, Scalar
from cohortium_plugins.model.serialise import content_hash, scalar_to_json
from cohortium_plugins.pack import Pack

__all__ = [
    "Asked", "Evaluation", "Outcome", "Request", "around_damage", "evaluate_tenant", "publish", "run", "summary",
]  # fmt: skip


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate: a pack and its bound definition, for some practices (None: all loaded) at some days (empty: the
    newest day that the records run to). `publish` makes the results those that pages show.
    """

    pack: Pack
    definition: Definition
    parameters: Mapping[str, Scalar]
    index_dates: Sequence[dt.date] = ()
    practices: Sequence[str] | None = None
    publish: bool = True
    actor: str = SERVICE


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was evaluated. The same version, hash, snapshot and dates give the same results again. `damaged` are
    practices whose files cannot be read: they keep the results that they had.
    """

    pack: str
    version: str
    definition_hash: str
    snapshot: int
    index_dates: Sequence[dt.date]
    practices: Sequence[str]
    members: int
    counts: Sequence[Count]
    published: bool
    seconds: float
    damaged: Sequence[str] = ()


def evaluate_tenant(  # noqa: PLR0913 - an evaluation names all that it stands on
    database: Database,
    settings: Settings,
    tenant_id: UUID,
    request: Request,
    progress: Callable[[float, str], None] | None = None,
    *,
    transaction: Callable[[], AbstractContextManager[Session]] | None = None,
) -> Evaluation:
    """Evaluate, and publish when asked to: files first, then one transaction with the audit entry. A crash before it
    leaves the former results in place. `transaction` opens that one, where a job gives its own.

    Raises `NotFound` for a practice without records, and `BadInput` when nothing was loaded at all.
    """
    started = dt.datetime.now(dt.UTC)
    with database.tenant(tenant_id) as session:
        source = CatalogueSource(session, RecordStore(settings.store_root, tenant_id), snapshot_current(session))
    practices = _practices(source, request)
    days = sorted(set(request.index_dates)) or [source.records_to or started.date()]

    def work(readable: CatalogueSource) -> Evaluated:
        some = [practice for practice in practices if practice in readable.practices]
        return run(settings, tenant_id, Asked(request, readable, some, days, started), progress)

    evaluated, damaged = around_damage(source, practices, work)
    if request.publish:
        publish(database, settings, tenant_id, Outcome(request, evaluated, damaged), transaction=transaction)
    return summary(Outcome(request, evaluated, damaged))


@dataclass(frozen=True, slots=True)
class Asked:
    """One run of the engine: a request, its records, and what of them. `settled`: people to leave out."""

    request: Request
    source: CatalogueSource
    practices: Sequence[str]
    days: Sequence[dt.date]
    started: dt.datetime
    settled: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation came to. `damaged` are practices whose files cannot be read; `kept` is what it takes over."""

    request: Request
    evaluated: Evaluated
    damaged: Sequence[str] = ()
    kept: Kept | None = None


def around_damage(
    source: CatalogueSource, practices: Sequence[str], work: Callable[[CatalogueSource], T]
) -> tuple[T, Sequence[str]]:
    """Work on the practices whose files can be read, and name those whose cannot.

    Files are looked at one by one only when reading them failed. Raises `Unavailable` when nothing is left.
    """
    try:
        return work(source), []
    except (Cancelled, BadInput, NotFound):
        raise
    except CohortiumError:
        damaged = source.damaged()
        if not damaged:
            raise
        if damaged.issuperset(practices):
            raise Unavailable(
                f"Record files of practice {', '.join(sorted(damaged))} are missing or damaged.",
                "Restore them from a backup, or load the practice's latest delivery again.",
            ) from None
        return work(source.without(damaged)), sorted(damaged.intersection(practices))


def run(
    settings: Settings, tenant_id: UUID, asked: Asked, progress: Callable[[float, str], None] | None = None
) -> Evaluated:
    """Run the engine once, and take what it found out of it. What is published carries how long it stays as it is.

    An extract that cannot be read is made anew: nothing stands on extracts.
    """
    store = RecordStore(settings.store_root, tenant_id)
    try:
        return _run(settings, store, asked, progress)
    except Unavailable:
        if not store.discard_extracts():
            raise
        return _run(settings, store, asked, progress)


def _run(
    settings: Settings, store: RecordStore, asked: Asked, progress: Callable[[float, str], None] | None
) -> Evaluated:
    evaluate = engine_of(settings)
    with (
        store.working() as temporary,
        evaluate(
            asked.request.definition,
            asked.source,
            asked.practices,
            asked.days,
            settings=EngineSettings(settings.threads, settings.memory_limit, temporary, store.extracts),
            progress=progress,
            outlook=asked.request.publish,
            settled=asked.settled,
        ) as tables,
    ):
        evaluated = _evaluated(asked, settings.engine, tables)
    return with_late_entries(evaluated, asked.request.definition, asked.source)


def publish(
    database: Database,
    settings: Settings,
    tenant_id: UUID,
    outcome: Outcome,
    *,
    transaction: Callable[[], AbstractContextManager[Session]] | None = None,
) -> None:
    """Make results those that pages show: files first, then one transaction with the audit entry."""
    results = ResultStore(settings.store_root, tenant_id)
    written = write(results, outcome.evaluated, outcome.kept)
    try:
        with (transaction or (lambda: database.tenant(tenant_id)))() as session:
            lock(session)  # first, as whoever makes an entry takes it first: two never wait for each other
            commit(session, outcome.evaluated, written, outcome.damaged)
            _catch_up(session, settings, tenant_id, outcome)
            record(session, _entry(outcome))
    except BaseException:
        results.discard(written)
        raise


def _catch_up(session: Session, settings: Settings, tenant_id: UUID, outcome: Outcome) -> None:
    """Evaluate anew whoever has an entry made in Cohortium since the snapshot that was evaluated: their tiles turned
    while the engine worked, and stay turned.
    """
    evaluated, request = outcome.evaluated, outcome.request
    store, results = RecordStore(settings.store_root, tenant_id), ResultStore(settings.store_root, tenant_id)
    engine = EngineSettings(settings.threads, settings.memory_limit)
    for practice, patient_id in entered_since(session, store, evaluated.snapshot, evaluated.practices):
        who = OnePatient(evaluated.pack, request.definition, evaluated.definition_hash, practice, patient_id)
        reevaluate_patient(session, store, results, who, engine)


def summary(outcome: Outcome) -> Evaluation:
    """Say what was evaluated, with the counts at every index date that the engine was asked for."""
    evaluated = outcome.evaluated
    return Evaluation(
        pack=evaluated.pack,
        version=evaluated.version,
        definition_hash=evaluated.definition_hash,
        snapshot=evaluated.snapshot,
        index_dates=list(evaluated.index_dates),
        practices=list(evaluated.practices),
        members=evaluated.listed.num_rows + (0 if outcome.kept is None else outcome.kept.listed.num_rows),
        counts=count_results(evaluated.results, evaluated.windowed),
        published=outcome.request.publish,
        seconds=(dt.datetime.now(dt.UTC) - evaluated.started).total_seconds(),
        damaged=list(outcome.damaged),
    )


def _practices(source: CatalogueSource, request: Request) -> list[str]:
    loaded = source.practices
    if not loaded:
        raise BadInput("No records have been loaded.", "Run: cohortium import DELIVERY --tenant TENANT")
    if request.practices is None:
        return list(loaded)
    if unknown := sorted(set(request.practices) - set(loaded)):
        raise NotFound(
            f"No records of practice {unknown[0]} have been loaded.", "`cohortium status` lists those loaded."
        )
    return sorted(set(request.practices))


def _evaluated(asked: Asked, engine: str, tables: EvaluatedTables) -> Evaluated:
    request = asked.request
    return Evaluated(
        pack=request.pack.id,
        version=request.pack.version,
        definition_hash=content_hash(request.definition),
        parameters={name: scalar_to_json(value) for name, value in request.parameters.items()},
        indicators=[indicator.name for indicator in request.definition.indicators],
        stratifiers=[stratifier.name for stratifier in request.definition.stratifiers],
        windowed=[i.name for i in request.definition.indicators if i.due is not None and i.renews is None],
        snapshot=asked.source.snapshot,
        index_dates=asked.days,
        practices=asked.practices,
        engine=engine,
        started=asked.started,
        results=tables.fetch(Kind.RESULTS),
        listed=one_line_each(tables.fetch(Kind.LIST)),
    )


def _entry(outcome: Outcome) -> Entry:
    evaluated = outcome.evaluated
    return Entry(
        action="evaluate",
        resource=f"registry/{evaluated.pack}",
        actor=outcome.request.actor,
        practices=list(evaluated.practices),
        detail={
            "version": evaluated.version,
            "definition": evaluated.definition_hash,
            "snapshot": evaluated.snapshot,
            "index_dates": [day.isoformat() for day in evaluated.index_dates],
            **({"damaged": list(outcome.damaged)} if outcome.damaged else {}),
        },
    )
