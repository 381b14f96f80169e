"""Routes of previews: what a version would change here. Counts for those who may only see counts, suppressed and of
places and above; people, each explained before and after, for those who look after them.

What may be published is decided over every practice of the ICB, whoever asks (`cohortium_platform.statistics`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, cast
from uuid import UUID

import pyarrow as pa
from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from cohortium_auth.ig_settings import suppression_policy
from cohortium_auth.login import Role
from cohortium_auth.policy import Action, PatientScope, patients_left_in
from cohortium_platform.engine.comparing import COHORT
from cohortium_platform.errors import BadInput
from cohortium_platform.jobs import Job, JobState
from cohortium_platform.records import RecordStore
from cohortium_platform.statistics import Level, Path, Publication
from cohortium_plugins.model import Status
from cohortium_tenants.organisations import OrganisationType
from cohortium_tenants.packs import Preview
from cohortium_tenants.packs.catalogue.publishers import publishers
from cohortium_tenants.packs.catalogue.versions import find_version, pack_of
from cohortium_tenants.packs.files import TenantFiles
from cohortium_tenants.packs.previews import agree, ask_for_preview, find_preview
from cohortium_tenants.sensitive import list_version
from cohortium_web.asking import Asking
from cohortium_web.pages.packs.enabling import Chosen, chosen, form_view
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table
from cohortium_web.words import STATUSES

__all__ = ["Changes", "ended", "organisation_path", "read_changes", "router", "titles", "words_of"]

router = APIRouter(prefix="/packs/{pack}")

Asking_ = Annotated[Asking, requires(Action.PREVIEW_PACK)]
LEVELS: Mapping[Level, str] = {Level.ICB: "ICB", Level.PLACE: "Place"}
"""The levels at which those see counts who may see nothing but counts."""
_COLUMNS = (
    Column("what", "Cohort or measure"),
    Column("from", "Now"),
    Column("to", "Then"),
    Column("organisation", "Where"),
    Column("people", "People", numeric=True),
)
_COUNTED = """
    SELECT part, name, before, after, practice, count(*) FROM read_parquet($file) {} GROUP BY ALL ORDER BY ALL
"""
_ONLY = "SEMI JOIN only_patients USING (patient_id)"
_PEOPLE = "SELECT DISTINCT patient_id FROM read_parquet($file)"


@dataclass(frozen=True, slots=True)
class Changes:
    """People by what changes for them and where: (part, name, before, after) and the practice; true counts."""

    counts: Mapping[tuple[str, str, str, str], Mapping[str, int]]


@router.get("/versions/{version}/preview")
def show_form(asking: Asking_, pack: str, version: str) -> Response:
    """The form: with which parameters and codes to preview."""
    asking.record(f"pack/{pack}", detail={"shown": "preview-form", "version": version})
    return asking.page("packs/preview_form.html", **form_view(asking, pack, version))


@router.post("/versions/{version}/preview")
def ask(asking: Asking_, pack: str, version: str, form: Chosen) -> Response:
    """Ask for a preview."""
    choice = chosen(asking, pack, version, form)
    made = ask_for_preview(asking.session, asking.site.queue, choice, by=str(asking.who.person_id))
    asking.record(f"pack/{pack}/preview/{made.id}", detail={"version": made.version})
    return RedirectResponse(f"/packs/{pack}/previews/{made.id}/", HTTPStatus.SEE_OTHER)


@router.get("/previews/{preview}/")
def show(
    asking: Annotated[Asking, requires(Action.VIEW_PREVIEW)], pack: str, preview: UUID, level: str = Level.ICB
) -> Response:
    """How far it is, and what it found: suppressed counts."""
    found = _allowed(asking, pack, preview)
    job = asking.session.get_one(Job, (asking.who.tenant_id, found.job_id))
    if found.finished is None:
        return _progress(asking, found, job)
    if asking.request.headers.get("hx-request"):
        asking.record(f"pack/{pack}/preview/{preview}", detail={"shown": "progress"})
        return Response(headers={"HX-Refresh": "true"})
    if level not in LEVELS:
        raise BadInput("There are no counts at that level.", "Choose one from the list.")
    table = _table(asking, found, Level(level))
    asking.record(f"pack/{pack}/preview/{preview}", detail={"shown": "counts", "level": level})
    return asking.answer(
        table,
        "packs/preview.html",
        preview=found,
        job=job,
        stale=found.sensitive_version != list_version(asking.session),
        levels=[(each.value, title, each == level) for each, title in LEVELS.items()],
        may_agree=Action.PREVIEW_PACK in asking.actions,
        may_enable=Action.ENABLE_PACK in asking.actions,
    )


@router.post("/previews/{preview}/agree")
def agree_to_show(asking: Asking_, pack: str, preview: UUID, agreed: Annotated[str, Form()] = "") -> Response:
    """Let the publisher's developers see the suppressed counts, or no longer."""
    found = find_preview(asking.session, pack, preview)
    agree(asking.session, found, by=str(asking.who.person_id), agreed=agreed == "yes")
    asking.record(f"pack/{pack}/preview/{preview}", detail={"agreed": agreed == "yes"})
    return RedirectResponse(f"/packs/{pack}/previews/{preview}/", HTTPStatus.SEE_OTHER)


def _allowed(asking: Asking, pack: str, preview: UUID) -> Preview:
    """The preview; for a developer only one that the tenant agreed to show, of their own publisher's."""
    found = find_preview(asking.session, pack, preview)
    if asking.who.role is Role.PACK_DEVELOPER:
        own = {each.id for each in publishers(asking.session) if each.organisation == asking.who.organisation}
        row = find_version(asking.session, pack, found.content_hash)
        if found.agreed is None or row.publisher not in own:
            asking.refuse(f"pack/{pack}/preview/{preview}")
    return found


def _progress(asking: Asking, found: Preview, job: Job) -> Response:
    asking.record(f"pack/{found.pack}/preview/{found.id}", detail={"shown": "progress"})
    if ended(job) and asking.request.headers.get("hx-request"):
        return Response(headers={"HX-Refresh": "true"})
    return asking.page("packs/preview_progress.html", preview=found, job=job, ended=ended(job))


def ended(job: Job) -> bool:
    """Whether a job has come to an end."""
    return job.state not in {JobState.QUEUED, JobState.RUNNING}


def read_changes(asking: Asking, found: Preview, *, everyone: bool = False) -> Changes:
    """What a preview's file holds, narrowed to those whom the permission leaves in (`everyone`: as it is)."""
    settings, tenant = asking.site.settings, asking.who.tenant_id
    file = {"file": str(TenantFiles(settings.store_root, tenant).path(found.path))}
    only: pa.Table | None = None
    if not everyone:
        store, cursor = RecordStore(settings.store_root, tenant), asking.site.results.cursor()
        people = [cast("int", patient) for (patient,) in asking.site.results.rows(_PEOPLE, file)]
        scope = PatientScope(asking.session, store, cursor, found.snapshot or 0, asking.who.organisation, asking.on)
        left = patients_left_in(scope, asking.decision.obligations, people)
        only = None if left is None else pa.table({"patient_id": pa.array(sorted(left), pa.int64())})
    text = _COUNTED.format("" if only is None else _ONLY)
    rows = asking.site.results.rows(text, {**file, "only": only})
    counts: dict[tuple[str, str, str, str], dict[str, int]] = defaultdict(dict)
    for part, name, before, after, practice, people_there in rows:
        key = (str(part), str(name), str(before or ""), str(after or ""))
        counts[key][str(practice)] = cast("int", people_there)
    return Changes(counts)


def organisation_path(asking: Asking, practice: str) -> Path:
    """Where a practice stands today: ICB, place, PCN and itself."""
    graph = asking.organisations
    above = graph.above(practice, asking.on)
    kinds = (OrganisationType.ICB, OrganisationType.PLACE, OrganisationType.PCN)
    found = (min((code for code in above if graph.nodes[code].type == kind), default="") for kind in kinds)
    return (*found, practice)


def _table(asking: Asking, found: Preview, level: Level) -> Table:
    """One row a change and organisation; of each change what may be published is decided over all practices at once."""
    names, changes = titles(asking, found), read_changes(asking, found)
    paths = {practice: organisation_path(asking, practice) for practice in found.concerned}
    depth = list(LEVELS).index(level)
    inside: dict[str, set[str]] = defaultdict(set)
    for practice, path in paths.items():
        inside[path[depth]].add(practice)
    rows, policy = [], suppression_policy(asking.session)
    for (part, name, before, after), counts in changes.counts.items():
        published = Publication(dict(counts), paths, policy)
        for code in sorted(inside, key=lambda code: (asking.name_of(code), code)):
            figure = published.figure(inside[code])
            rows.append([
                Cell(names.get((part, name), name)),
                *words_of(part, before, after),
                Cell(asking.name_of(code) or "None"),
                Cell(figure.value, hidden="" if figure.value is not None else figure.text),
            ])  # fmt: skip
    caption = f"What version {found.version} would change, by {LEVELS[level]}"
    empty = "Nothing changes for anybody whom this may be said of."
    name = f"{found.pack}-preview-{level}"
    return Table(name, caption, _COLUMNS, rows, empty, suppression=policy.words)


def words_of(part: str, before: str, after: str) -> tuple[Cell, Cell]:
    """What stands now and then, in words."""
    if part == COHORT:
        return Cell("in the cohort" if before else "not in it"), Cell("in the cohort" if after else "not in it")
    found = [STATUSES[Status(each)].word if each else "not asked of them" for each in (before, after)]
    return Cell(found[0]), Cell(found[1])


def titles(asking: Asking, found: Preview) -> Mapping[tuple[str, str], str]:
    """What cohorts and measures are called in the version previewed; one that it lacks keeps its name."""
    definition = pack_of(asking.session, find_version(asking.session, found.pack, found.content_hash)).definition
    cohorts = {("cohort", each.name): each.title for each in definition.cohorts}
    return cohorts | {("indicator", each.name): each.title for each in definition.indicators}
