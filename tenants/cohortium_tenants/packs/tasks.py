"""Evaluating an enabled pack as a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.jobs import JobContext, JobKind
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.settings import load_settings
from cohortium_tenants.packs.service import definition_of

__all__ = ["EVALUATE", "KINDS", "EvaluatePack"]


@dataclass(frozen=True, slots=True)
class EvaluatePack:
    """Which pack, as of which days (empty: the day the records run to), for which practices (None: all)."""

    pack: str
    index_dates: tuple[date, ...] = ()
    practices: tuple[str, ...] | None = None
    actor: str = "service"


def _evaluate(context: JobContext, asked: EvaluatePack) -> JobResult | None:
    """Evaluate and publish; a second attempt publishes the same results again."""
    with context.database.tenant(context.tenant_id) as session:
        found = definition_of(session, asked.pack)
    done = evaluate_tenant(
        context.database,
        load_settings(),
        context.tenant_id,
        Request(found.pack, found.definition, found.parameters, asked.index_dates, asked.practices, actor=asked.actor),
        context.progress,
        transaction=context.transaction,
    )
    return {"members": done.members, "practices": len(done.practices), "snapshot": done.snapshot}


EVALUATE = JobKind("evaluate", EvaluatePack, _evaluate, unique=lambda asked: asked.pack)
KINDS = [EVALUATE]
