"""After a wrong version: who was shown a wrong status, and when. For a tenant, by a job, from its own audit log.

Every evaluation made with the wrong version is compared with what the right version says of the same records on the
same day. Whoever opened a page that named one of the patients for whom the two differ, from the moment these results
were shown until others took their place, is on the list, with the time. Patients stand there as the log has them, under
the tenant's own key. Not here: who may read it (web).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import pyarrow as pa
from sqlmodel import Session, col, select

from cohortium_platform.audit import Entry, Outcome, record
from cohortium_platform.audit.search import AuditQuery, search
from cohortium_platform.database import tenant_of
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.comparing import compare
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.jobs import JobContext, JobKind, JobQueue, enqueue
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.keys import load_key_encryption
from cohortium_platform.records import RecordStore
from cohortium_platform.results import Evaluation
from cohortium_platform.settings import Settings, load_settings
from cohortium_plugins.model import Definition
from cohortium_tenants.keys import open_keys
from cohortium_tenants.packs.catalogue.versions import find_version
from cohortium_tenants.packs.choices import Choice, own_code
from cohortium_tenants.packs.files import TenantFiles
from cohortium_tenants.packs.models import Enablement, IncidentReport
from cohortium_tenants.packs.service import propose

__all__ = ["INCIDENT", "ReportIncident", "ask_for_report", "find_report", "reports_of"]

_AT_ONCE = 500
_ID_BYTES = 8
SCHEMA = pa.schema([
    ("at", pa.timestamp("us", tz="UTC")), ("actor", pa.string()), ("role", pa.string()),
    ("organisation", pa.string()), ("action", pa.string()), ("shown", pa.string()), ("patient", pa.string()),
    ("wrong", pa.int64()), ("index_date", pa.date32()),
])  # fmt: skip
"""The list: a row a page and patient; `wrong` counts cohorts and measures that said something wrong of them."""


@dataclass(frozen=True, slots=True)
class ReportIncident:
    """Which report to make."""

    report: UUID
    actor: str = "service"


@dataclass(frozen=True, slots=True)
class _Shown:
    """An evaluation by the wrong version, and from when until when it was shown."""

    evaluation: Evaluation
    enablement: Enablement
    start: dt.datetime
    end: dt.datetime


def ask_for_report(  # noqa: PLR0913 - two versions, and who asks
    session: Session, queue: JobQueue | None, pack: str, version: str, right: str, *, by: str
) -> IncidentReport:
    """Ask for a report. Raises `NotFound` for a version that there is not, or that never ran here."""
    wrong, better = find_version(session, pack, version), find_version(session, pack, right)
    if wrong.content_hash == better.content_hash:
        raise BadInput("A version is not compared with itself.", "Choose the one that is right.")
    ran = select(Enablement.id).where(Enablement.content_hash == wrong.content_hash)
    if session.exec(ran).first() is None:
        raise NotFound(f"{pack} {wrong.version} was never enabled here.", "Nobody was shown anything by it.")
    report = uuid4()
    job = enqueue(session, queue, INCIDENT, ReportIncident(report, by), requested_by=by)
    made = IncidentReport(
        tenant_id=tenant_of(session), id=report, pack=pack, version=wrong.version, right_version=better.version,
        job_id=job, asked=dt.datetime.now(dt.UTC), asked_by=by,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def find_report(session: Session, pack: str, report: UUID) -> IncidentReport:
    """One report. Raises `NotFound`."""
    found = session.get(IncidentReport, (tenant_of(session), report))
    if found is None or found.pack != pack:
        raise NotFound("There is no such report.", "Choose one from the list.")
    return found


def reports_of(session: Session, pack: str) -> Sequence[IncidentReport]:
    """The reports about a pack, the newest first."""
    query = select(IncidentReport).where(IncidentReport.pack == pack).order_by(col(IncidentReport.asked).desc())
    return session.exec(query).all()


def _report(context: JobContext, asked: ReportIncident) -> JobResult | None:
    settings = load_settings()
    with context.database.tenant(context.tenant_id) as session:
        report = session.get(IncidentReport, (context.tenant_id, asked.report))
        if report is None:
            raise NotFound("There is no such report.")
        shown = _shown(session, report)
    rows: list[dict[str, object]] = []
    unchecked: list[str] = []
    for number, each in enumerate(shown):

        def told(fraction: float, step: str, number: int = number) -> None:
            context.progress((number + fraction) / len(shown), f"Results {number + 1} of {len(shown)}: {step.lower()}")

        try:
            wrong = _wrong(context, settings, report, each, told)
        except NotFound:  # the records of that day are not kept any more
            unchecked.append(each.evaluation.index_date.isoformat())
            continue
        with context.database.tenant(context.tenant_id) as session:
            rows += _viewed(session, settings, report, each, wrong)
    return _keep(context, settings, asked, rows, shown, unchecked)


def _shown(session: Session, report: IncidentReport) -> Sequence[_Shown]:
    """Evaluations by the wrong version, each with the time for which its results were those that pages showed."""
    every = session.exec(
        select(Evaluation).where(Evaluation.pack == report.pack).order_by(col(Evaluation.finished))
    ).all()
    runs = session.exec(
        select(Enablement).where(Enablement.pack == report.pack).order_by(col(Enablement.enabled))
    ).all()
    found = []
    for run in runs:
        if run.version != report.version:
            continue
        end_of_run = run.ended or dt.datetime.now(dt.UTC)
        made = [e for e in every if e.version == run.version and e.finished <= end_of_run]
        for place, evaluation in enumerate(made):
            following = made[place + 1].finished if place + 1 < len(made) else end_of_run
            start, end = max(evaluation.finished, run.enabled), min(following, end_of_run)
            if start < end:
                found.append(_Shown(evaluation, run, start, end))
    return found


def _wrong(
    context: JobContext,
    settings: Settings,
    report: IncidentReport,
    shown: _Shown,
    progress: Callable[[float, str], None],
) -> Mapping[int, int]:
    """How much the wrong version said otherwise than the right one, by patient, of one evaluation's records and day."""
    store = RecordStore(settings.store_root, context.tenant_id)
    with context.database.tenant(context.tenant_id) as session:
        source = CatalogueSource(session, store, shown.evaluation.snapshot)
        before, after = (_definition(session, shown, version) for version in (report.version, report.right_version))
    if not source.practices:
        raise NotFound("The records of that snapshot are not kept any more.")
    found = compare(settings, store, source, before, after, shown.evaluation.index_date, progress)
    wrong: dict[int, int] = defaultdict(int)
    for patient in found.changes.column("patient_id").to_pylist():
        wrong[patient] += 1
    return wrong


def _definition(session: Session, shown: _Shown, version: str) -> Definition:
    """A version with the parameters and codes of that time, as far as it has them."""
    run = shown.enablement
    codes = [own_code(each) for each in run.local_codes]
    try:
        return propose(session, Choice(run.pack, version, run.parameters, codes)).definition
    except BadInput:  # the right version may declare other parameters or codelists
        return propose(session, Choice(run.pack, version)).definition


def _viewed(
    session: Session, settings: Settings, report: IncidentReport, shown: _Shown, wrong: Mapping[int, int]
) -> Iterator[dict[str, object]]:
    """Pages on which one of these patients stood while these results were shown."""
    keys = open_keys(session, load_key_encryption(settings))
    hashes = {keys.audit_hash(patient.to_bytes(_ID_BYTES, "big")): many for patient, many in wrong.items()}
    offset = 0
    while hashes:
        query = AuditQuery(
            resource_prefix=f"registry/{report.pack}", since=shown.start, until=shown.end, outcome=Outcome.DONE,
            offset=offset, limit=_AT_ONCE,
        )  # fmt: skip
        page = search(session, query)
        for entry in (found.entry for found in page.found):
            for patient in entry.patients:
                if bytes(patient) in hashes:
                    yield {
                        "at": entry.at,
                        "actor": entry.actor,
                        "role": entry.role,
                        "organisation": entry.organisation,
                        "action": entry.action,
                        "shown": str(entry.detail.get("shown", "")),
                        "patient": bytes(patient).hex(),
                        "wrong": hashes[bytes(patient)],
                        "index_date": shown.evaluation.index_date,
                    }
        if not page.more:
            return
        offset += _AT_ONCE


def _keep(  # noqa: PLR0913, PLR0917 - a report is this much
    context: JobContext,
    settings: Settings,
    asked: ReportIncident,
    rows: Sequence[Mapping[str, object]],
    shown: Sequence[_Shown],
    unchecked: Sequence[str],
) -> JobResult:
    files = TenantFiles(settings.store_root, context.tenant_id)
    table = pa.Table.from_pylist([dict(row) for row in rows], SCHEMA).sort_by([("at", "ascending")])
    path = files.write("incidents", table)
    outcome: JobResult = {"views": len(rows), "unchecked": len(unchecked)}
    try:
        with context.transaction() as session:
            report = session.get_one(IncidentReport, (context.tenant_id, asked.report))
            report.finished, report.path, report.unchecked = dt.datetime.now(dt.UTC), path, list(unchecked)
            report.shown_from = min((each.start for each in shown), default=None)
            report.shown_to = max((each.end for each in shown), default=None)
            report.viewers = len({row["actor"] for row in rows})
            report.views, report.patients = len(rows), len({row["patient"] for row in rows})
            session.add(report)
            resource = f"pack/{report.pack}/incident/{report.id}"
            record(session, Entry(action="report-incident", resource=resource, actor=asked.actor, detail=dict(outcome)))
            context.succeed(session, outcome)
    except BaseException:
        files.discard(path)
        raise
    return outcome


INCIDENT = JobKind("report-incident", ReportIncident, _report)
