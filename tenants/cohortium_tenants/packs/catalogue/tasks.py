"""Checking a version of the catalogue as a job of the tenant whose developer brought it in."""

from __future__ import annotations

from dataclasses import dataclass

from cohortium_platform.audit import Entry, record
from cohortium_platform.jobs import JobContext, JobKind
from cohortium_platform.jobs.kinds import JobResult
from cohortium_tenants.packs.catalogue.publishing import check_version, keep_outcome
from cohortium_tenants.packs.catalogue.versions import content_of

__all__ = ["CHECK", "KINDS", "CheckVersion"]


@dataclass(frozen=True, slots=True)
class CheckVersion:
    """Which version, by its content's hash, to check; `actor` brought it in."""

    content_hash: str
    actor: str = "service"


def _check(context: JobContext, asked: CheckVersion) -> JobResult | None:
    with context.database.tenant(context.tenant_id) as session:
        content = content_of(session, asked.content_hash)
    context.progress(0.1, "Running checks and golden patients")
    outcome = check_version(content)
    with context.transaction() as session:
        row = keep_outcome(session, asked.content_hash, outcome)
        result: JobResult = {"pack": row.pack, "version": row.version, "state": row.state}
        resource = f"pack/{row.pack}/{row.version}"
        record(session, Entry(action="check-pack", resource=resource, actor=asked.actor, detail={"state": row.state}))
        context.succeed(session, result)
    return result


CHECK = JobKind("check-pack", CheckVersion, _check, unique=lambda asked: asked.content_hash)
KINDS = [CHECK]
