"""What an export is, and finding those that somebody asked for. Not here: asking for one and making it (`tasks`).

An export is its job's row: who asked, of which registry, under which approval, for which practices.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import TypeAdapter
from sqlmodel import Session, col, select

from cohortium_platform.errors import NotFound
from cohortium_platform.jobs import Job
from cohortium_tenants.exports.files import KEPT

__all__ = ["KIND", "ExportRegistry", "asked_of", "exports_of", "find_export"]

KIND = "export-registry"


@dataclass(frozen=True, slots=True)
class ExportRegistry:
    """What is exported, of which results, by which exporter, under which approval. `columns` in their order, `titles`
    what they are called; `practices` are those whose people its rows may be of.
    """

    export: UUID
    exporter: str
    registry: str
    title: str
    version: str
    definition_hash: str
    index_date: dt.date
    level: str
    approval: UUID
    practices: tuple[str, ...]
    columns: tuple[str, ...]
    titles: dict[str, str]
    actor: str = "service"


_ADAPTER = TypeAdapter(ExportRegistry)


def asked_of(job: Job) -> ExportRegistry:
    """What a job of this kind was asked for."""
    return _ADAPTER.validate_python(job.parameters)


def exports_of(session: Session, actor: str, registry: str, level: str) -> Sequence[Job]:
    """The jobs of those exports that somebody asked for and that are still kept, the newest first."""
    query = select(Job).where(
        Job.kind == KIND, Job.requested_by == actor, col(Job.created) > dt.datetime.now(dt.UTC) - KEPT
    )
    found = session.exec(query.order_by(col(Job.created).desc())).all()
    return [job for job in found if (asked := asked_of(job)).registry == registry and asked.level == level]


def find_export(session: Session, actor: str, registry: str, level: str, export: UUID) -> Job:
    """The job of one of them. Raises `NotFound`, also for what somebody else asked for."""
    for job in exports_of(session, actor, registry, level):
        if asked_of(job).export == export:
            return job
    raise NotFound("There is no such file.", "Have it made anew.")
