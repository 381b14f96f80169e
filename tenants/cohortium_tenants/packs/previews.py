"""Previews: what a choice would change for this tenant's patients, worked out by a job and read by pages.

Here: asking for one, working it out, finding it, agreeing that the publisher sees its counts. Not here: what may be
shown to whom, and how it is suppressed (web), and comparing definitions (`cohortium_platform.engine.comparing`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import pyarrow as pa
from sqlmodel import Session, col, select

from cohortium_platform.audit import Entry, record
from cohortium_platform.database import tenant_of
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.comparing import Comparison, compare
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_platform.jobs import JobContext, JobKind, JobQueue, enqueue
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.records import RecordStore, snapshot_current
from cohortium_platform.results import Former, ResultStore, former_results
from cohortium_platform.settings import Settings, load_settings
from cohortium_plugins.model import Definition
from cohortium_plugins.model.serialise import content_hash
from cohortium_tenants.packs.catalogue.models import VersionState
from cohortium_tenants.packs.catalogue.versions import find_version
from cohortium_tenants.packs.choices import Choice, described, own_code
from cohortium_tenants.packs.files import TenantFiles
from cohortium_tenants.packs.models import EnabledPack, Preview
from cohortium_tenants.packs.service import TenantDefinition, definition_of, propose

__all__ = ["PREVIEW", "PreviewPack", "agree", "ask_for_preview", "choice_of", "find_preview", "previews_of"]

_NOTHING = Definition({}, (), (), ())


@dataclass(frozen=True, slots=True)
class PreviewPack:
    """Which preview to work out. `actor` asked for it."""

    preview: UUID
    actor: str = "service"


def ask_for_preview(session: Session, queue: JobQueue | None, choice: Choice, *, by: str) -> Preview:
    """Ask for a preview in the caller's transaction. Raises `BadInput` for a choice that cannot be, `NotFound` for a
    version that there is not, and `Conflict` for one that failed its checks or was withdrawn.
    """
    propose(session, choice)
    row = find_version(session, choice.pack, choice.version)
    if row.state != VersionState.PASSED or row.withdrawn is not None:
        raise Conflict("Only a version that passed its checks and was not withdrawn is previewed.", "See its page.")
    preview_id = uuid4()
    job = enqueue(session, queue, PREVIEW, PreviewPack(preview_id, by), requested_by=by)
    enabled = session.get(EnabledPack, (tenant_of(session), choice.pack))
    made = Preview(
        tenant_id=tenant_of(session),
        id=preview_id,
        pack=choice.pack,
        version=row.version,
        content_hash=row.content_hash,
        parameters=dict(choice.parameters),
        local_codes=[described(code) for code in choice.codes],
        compared_with="" if enabled is None else enabled.version,
        job_id=job,
        asked=dt.datetime.now(dt.UTC),
        asked_by=by,
    )
    session.add(made)
    session.flush()
    return made


def choice_of(preview: Preview) -> Choice:
    """What a preview is of."""
    codes = [own_code(each) for each in preview.local_codes]
    return Choice(preview.pack, preview.version, preview.parameters, codes)


def find_preview(session: Session, pack_id: str, preview_id: UUID) -> Preview:
    """One preview. Raises `NotFound`."""
    found = session.get(Preview, (tenant_of(session), preview_id))
    if found is None or found.pack != pack_id:
        raise NotFound("There is no such preview.", "Choose one from the pack's page.")
    return found


def previews_of(session: Session, pack_id: str, *, limit: int = 50) -> Sequence[Preview]:
    """The previews of a pack, the newest first."""
    query = select(Preview).where(Preview.pack == pack_id).order_by(col(Preview.asked).desc()).limit(limit)
    return session.exec(query).all()


def agree(session: Session, preview: Preview, *, by: str, agreed: bool) -> None:
    """Let the publisher's developers see the suppressed counts of a preview, or no longer."""
    preview.agreed, preview.agreed_by = (dt.datetime.now(dt.UTC), by) if agreed else (None, "")
    session.add(preview)


def _preview(context: JobContext, asked: PreviewPack) -> JobResult | None:
    """Work a preview out; a second attempt writes another file, and the row names the one that counts."""
    settings = load_settings()
    with context.database.tenant(context.tenant_id) as session:
        preview = session.get(Preview, (context.tenant_id, asked.preview))
        if preview is None:
            raise NotFound("There is no such preview.")
        before, after = _definitions(session, choice_of(preview))
        store = RecordStore(settings.store_root, context.tenant_id)
        source = CatalogueSource(session, store, snapshot_current(session))
        formers = former_results(session, preview.pack)
        newest = formers[0].evaluation.index_date if formers else None
        sensitive = after.sensitive_version
    day = max((d for d in (source.records_to, newest) if d is not None), default=None)
    if day is None:
        raise BadInput("No records have been loaded.", "Load some, and preview again.")
    results = ResultStore(settings.store_root, context.tenant_id)
    stood = _standing(formers, results, before, source.snapshot, day)
    found = compare(settings, store, source, before, after.definition, day, context.progress, stood=stood)
    return _keep(context, settings, asked, found, sensitive)


def _standing(
    formers: Sequence[Former], store: ResultStore, before: Definition, snapshot: int, day: dt.date
) -> Callable[[Collection[str]], pa.Table] | None:
    """How to read what stands written, when that is what would be worked out: by this very definition, of the newest
    records, at the day.
    """
    made = {(f.evaluation.definition_hash, f.evaluation.snapshot, f.evaluation.index_date) for f in formers}
    if made != {(content_hash(before), snapshot, day)}:
        return None
    return lambda indicators: pa.concat_tables([former.statuses(store, indicators) for former in formers])


def _definitions(session: Session, choice: Choice) -> tuple[Definition, TenantDefinition]:
    """What the tenant runs now, nothing at all when it runs nothing of the pack; and what is being considered."""
    enabled = session.get(EnabledPack, (tenant_of(session), choice.pack))
    before = _NOTHING if enabled is None else definition_of(session, choice.pack).definition
    return before, propose(session, choice)


def _keep(
    context: JobContext, settings: Settings, asked: PreviewPack, found: Comparison, sensitive_version: int
) -> JobResult:
    """Write who changes into a file of the tenant's, then the rest into its row, with the audit entry and the job's
    success.
    """
    kept = TenantFiles(settings.store_root, context.tenant_id)
    path = kept.write("previews", found.changes)
    outcome: JobResult = {
        "changes": found.changes.num_rows,
        "indicators": len(found.differing.indicators),
        "alike": found.differing.alike,
        "snapshot": found.snapshot,
    }
    try:
        with context.transaction() as session:
            preview = session.get_one(Preview, (context.tenant_id, asked.preview))
            preview.finished, preview.path = dt.datetime.now(dt.UTC), path
            preview.snapshot, preview.index_date = found.snapshot, found.index_date
            preview.sensitive_version, preview.alike = sensitive_version, found.differing.alike
            preview.cohorts = sorted(found.differing.cohorts)
            preview.indicators = sorted(found.differing.indicators)
            preview.people = {
                cohort: {practice: list(counts) for practice, counts in by_practice.items()}
                for cohort, by_practice in found.people.items()
            }
            preview.concerned = list(found.concerned)
            session.add(preview)
            detail = {"version": preview.version, "snapshot": found.snapshot}
            resource = f"pack/{preview.pack}/preview/{preview.id}"
            record(session, Entry(action="work-out-preview", resource=resource, actor=asked.actor, detail=detail))
            context.succeed(session, outcome)
    except BaseException:
        kept.discard(path)
        raise
    return outcome


PREVIEW = JobKind("preview-pack", PreviewPack, _preview)
