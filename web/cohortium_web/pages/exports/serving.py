"""What exports of every level share: which exporters there are, the page of one's files, and giving a file out.

Not here: who may ask, and what an exporter is given (`routes`, `counts`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from starlette.responses import Response

from cohortium_platform.errors import BadInput, CohortiumError, NotFound
from cohortium_platform.jobs import JobState
from cohortium_plugins.exporting import Exporter, ExportLevel
from cohortium_plugins.installed import installed_exporters
from cohortium_tenants.exports import ExportFiles, ExportRegistry, Part, asked_of, exports_of, find_export
from cohortium_web.asking import Asking

__all__ = ["approval_of", "chosen", "fetch", "files_of", "page_of_files", "record_patients"]

_AT_ONCE = 2_000


def page_of_files(asking: Asking, title: str, pack: str, level: ExportLevel, *, at: str) -> Response:
    """The exporters of a level, and what they have made for this person. `at`: where its routes begin."""
    jobs = exports_of(asking.session, str(asking.who.person_id), pack, level)
    titles = {each.name: each.title for each in _exporters(level)}
    made = [(asked.export, titles.get(asked.exporter, asked.exporter), job) for job in jobs if (asked := asked_of(job))]
    return asking.page("exports/exports.html", title=title, level=level.value, exporters=titles, made=made, at=at)


def chosen(level: ExportLevel, name: str) -> Exporter:
    """An exporter of a level by name. Raises `BadInput`."""
    for each in _exporters(level):
        if each.name == name:
            return each
    raise BadInput("There is no such exporter.", "Choose one from the list.")


def fetch(asking: Asking, pack: str, level: ExportLevel, export: UUID, *, resource: str) -> Response:
    """Give a file to whoever asked for it, as long as that same approval gives them every practice it speaks of.
    `resource`: how the audit names the registry.
    """
    job = find_export(asking.session, str(asking.who.person_id), pack, level, export)
    asked, exporter = asked_of(job), installed_exporters().get(asked_of(job).exporter)
    if asked.approval != approval_of(asking) or not asking.practices.issuperset(asked.practices):
        asking.refuse(f"{resource}/export/{export}")
    if job.state != JobState.SUCCEEDED or exporter is None:
        raise NotFound("This file is not there.", "Look at the page whether it is still being made.")
    files = files_of(asking)
    made, patients = files.open(export, Part.MADE), memoryview(files.open(export, Part.PATIENTS)).cast("q")
    detail: dict[str, str | int] = {"exporter": asked.exporter, "level": level.value}
    if level is not ExportLevel.AGGREGATE:
        detail["fetched"] = len(patients)
    record_patients(asking, asked, patients.tolist(), detail, resource=resource)
    name = f"{pack}-{asked.index_date}-{level}{exporter.suffix}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(made, media_type=exporter.media_type, headers=headers)


def record_patients(
    asking: Asking, export: ExportRegistry, patients: Sequence[int], detail: Mapping[str, str | int], *, resource: str
) -> None:
    """One entry for so many patients: whoever asks who was shown a row of theirs is told of this one."""
    practices: Collection[str] = export.practices
    for some in [patients[at : at + _AT_ONCE] for at in range(0, len(patients), _AT_ONCE)] or [[]]:
        asking.record(f"{resource}/export/{export.export}", practices=practices, patients=some, detail=detail)


def approval_of(asking: Asking) -> UUID:
    """The approval that the decision relied on. Raises `CohortiumError` where a policy demanded none."""
    if asking.decision.approval is None:
        raise CohortiumError("A file would be made under no approval.", "The policy must demand one.")
    return asking.decision.approval


def files_of(asking: Asking) -> ExportFiles:
    """Where the tenant's exports are kept."""
    return ExportFiles(asking.site.settings.store_root, asking.keys)


def _exporters(level: ExportLevel) -> list[Exporter]:
    return sorted((each for each in installed_exporters().values() if each.level is level), key=lambda each: each.title)
