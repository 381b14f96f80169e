"""Evaluating a pack for a tenant: records in, results that count out. The one call for commands, jobs and pages.

Not here: which packs a tenant has enabled (tenants), and how an engine works.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlmodel import Session

from cohortium_platform.audit import SERVICE, Entry, record
from cohortium_platform.database import Database
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.evaluated import EvaluatedTables, Kind
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.records import RecordStore, snapshot_current
from cohortium_platform.results import Count, Evaluated, ResultStore, commit, count_results, write
from cohortium_platform.settings import Settings
from cohortium_plugins.model import Definition, Scalar
from cohortium_plugins.model.serialise import content_hash, scalar_to_json
from cohortium_plugins.pack import Pack

__all__ = ["Evaluation", "Request", "evaluate_tenant"]


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
    """What was evaluated. The same version, hash, snapshot and dates give the same results again."""

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
    records, results = RecordStore(settings.store_root, tenant_id), ResultStore(settings.store_root, tenant_id)
    with database.tenant(tenant_id) as session:
        source = CatalogueSource(session, records, snapshot_current(session))
    practices = _practices(source, request)
    days = sorted(set(request.index_dates)) or [source.records_to or started.date()]
    with (
        records.working() as temporary,
        evaluate(
            request.definition, source, practices, days, settings=_engine(settings, temporary), progress=progress
        ) as tables,
    ):
        evaluated = _evaluated(request, source, practices, days, tables, started)
    counts = count_results(evaluated.results, evaluated.windowed)
    if request.publish:
        written = write(results, evaluated)
        try:
            with (transaction or (lambda: database.tenant(tenant_id)))() as session:
                commit(session, evaluated, written)
                record(session, _entry(request, evaluated))
        except BaseException:
            results.discard(written)
            raise
    return Evaluation(
        pack=evaluated.pack,
        version=evaluated.version,
        definition_hash=evaluated.definition_hash,
        snapshot=evaluated.snapshot,
        index_dates=days,
        practices=practices,
        members=evaluated.listed.num_rows,
        counts=counts,
        published=request.publish,
        seconds=(dt.datetime.now(dt.UTC) - started).total_seconds(),
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


def _engine(settings: Settings, temporary: Path) -> EngineSettings:
    return EngineSettings(settings.threads, settings.memory_limit, temporary)


def _evaluated(  # noqa: PLR0913, PLR0917 - an evaluation names all that it stands on
    request: Request,
    source: CatalogueSource,
    practices: Sequence[str],
    days: Sequence[dt.date],
    tables: EvaluatedTables,
    started: dt.datetime,
) -> Evaluated:
    return Evaluated(
        pack=request.pack.id,
        version=request.pack.version,
        definition_hash=content_hash(request.definition),
        parameters={name: scalar_to_json(value) for name, value in request.parameters.items()},
        indicators=[indicator.name for indicator in request.definition.indicators],
        stratifiers=[stratifier.name for stratifier in request.definition.stratifiers],
        windowed=[i.name for i in request.definition.indicators if i.due is not None and i.renews is None],
        snapshot=source.snapshot,
        index_dates=days,
        practices=practices,
        engine="duckdb",
        started=started,
        results=tables.fetch(Kind.RESULTS),
        listed=tables.fetch(Kind.LIST),
    )


def _entry(request: Request, evaluated: Evaluated) -> Entry:
    return Entry(
        action="evaluate",
        resource=f"registry/{evaluated.pack}",
        actor=request.actor,
        practices=list(evaluated.practices),
        detail={
            "version": evaluated.version,
            "definition": evaluated.definition_hash,
            "snapshot": evaluated.snapshot,
            "index_dates": [day.isoformat() for day in evaluated.index_dates],
        },
    )
