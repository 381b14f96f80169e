"""The catalogue for programs: a build server publishes a signed file and asks how its checks went.

A program needs the scope `system/Pack.c` to publish and `system/Pack.rs` to read. Who signs off and who enables are
people, on pages.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body
from starlette.responses import JSONResponse

from cohortium_platform.jobs import enqueue
from cohortium_tenants.packs.catalogue.changes import Actor
from cohortium_tenants.packs.catalogue.deciding import Standing, standing_of, subject_of
from cohortium_tenants.packs.catalogue.models import VersionState
from cohortium_tenants.packs.catalogue.publishing import publish
from cohortium_tenants.packs.catalogue.tasks import CHECK, CheckVersion
from cohortium_tenants.packs.catalogue.versions import find_version, versions_of
from cohortium_web.api.requiring import AskingProgram, requires_program
from cohortium_web.bounds import PACK_FILE

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/packs")

Reading = Annotated[AskingProgram, requires_program("system/Pack.rs")]


@router.post("")
def take(
    asking: Annotated[AskingProgram, requires_program("system/Pack.c")],
    content: Annotated[bytes, Body(media_type=PACK_FILE)],
) -> JSONResponse:
    """Take a signed file in as a version; its checks are run by a job. The same file again gives the same version."""
    actor = f"program:{asking.who.id}"
    row = publish(asking.session, content, by=Actor(actor, asking.who.name, asking.who.organisation))
    if row.state == VersionState.WAITING:
        enqueue(asking.session, asking.site.queue, CHECK, CheckVersion(row.content_hash, actor), requested_by=actor)
    asking.record(subject_of(row), detail={"content": row.content_hash})
    address = f"/api/v1/packs/{row.pack}/{row.version}"
    found = _described(standing_of(asking.session, row))
    return JSONResponse(found, HTTPStatus.ACCEPTED, headers={"location": address})


@router.get("")
def show_all(asking: Reading) -> JSONResponse:
    """Every version of every pack."""
    asking.record("packs")
    return JSONResponse([_described(standing_of(asking.session, row)) for row in versions_of(asking.session)])


@router.get("/{pack}/{version}")
def show(asking: Reading, pack: str, version: str) -> JSONResponse:
    """One version: where it stands, and what its checks and golden patients gave."""
    row = find_version(asking.session, pack, version)
    asking.record(subject_of(row))
    return JSONResponse(
        {**_described(standing_of(asking.session, row)), "findings": row.findings, "golden": row.golden}
    )


def _described(standing: Standing) -> dict[str, object]:
    row = standing.row
    return {
        "pack": row.pack,
        "version": row.version,
        "title": row.title,
        "publisher": row.publisher,
        "content": row.content_hash,
        "source": row.source,
        "checks": row.state,
        "state": standing.word,
        "may_be_enabled": standing.may_be_enabled,
        "hindrances": list(standing.hindrances),
        "sign_offs": [
            {"person": each.person, "role": each.role, "on": each.on.isoformat(), "hazard_log": each.hazard_log}
            for each in standing.sign_offs
        ],
    }
