"""Routes that change the catalogue: publishing a file, signing off, deprecating, withdrawing, publishers and keys."""

from __future__ import annotations

import logging
from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, Form, UploadFile
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select
from starlette.responses import RedirectResponse, Response

from cohortium_auth.policy import Action
from cohortium_platform.audit import Entry, record
from cohortium_platform.database import Database, afterwards
from cohortium_platform.errors import BadInput, CohortiumError
from cohortium_platform.jobs import enqueue
from cohortium_tenants.packs import EnabledPack
from cohortium_tenants.packs.catalogue.deciding import NewSignOff, deprecate, sign_off, subject_of, withdraw
from cohortium_tenants.packs.catalogue.models import PackVersion, VersionState
from cohortium_tenants.packs.catalogue.publishers import (
    add_key,
    add_publisher,
    find_publisher,
    keys_of,
    publishers,
    revoke_key,
)
from cohortium_tenants.packs.catalogue.publishing import MOST_BYTES, publish
from cohortium_tenants.packs.catalogue.tasks import CHECK, CheckVersion
from cohortium_tenants.packs.catalogue.versions import find_version
from cohortium_tenants.tenants import tenant_ids
from cohortium_web.asking import Asking
from cohortium_web.pages.packs.shown import actor_of
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["ask_for_checks", "router", "tell_users"]

router = APIRouter()

_log = logging.getLogger(__name__)

Publishing = Annotated[Asking, requires(Action.PUBLISH_PACK)]
Deciding = Annotated[Asking, requires(Action.WITHDRAW_PACK)]
Keeping = Annotated[Asking, requires(Action.MANAGE_PUBLISHERS)]
_KEYS = (
    Column("key", "Key"),
    Column("publisher", "Publisher"),
    Column("organisation", "Organisation"),
    Column("holder", "Held by"),
    Column("added", "Added"),
    Column("state", "State"),
    Column("why", "Why revoked"),
)


@router.get("/publish/")
def show_publishing(asking: Publishing) -> Response:
    """The form that takes a file."""
    asking.record("packs/publish")
    return asking.page("packs/publish.html", most=MOST_BYTES // 2**20, publishers=publishers(asking.session))


@router.post("/publish/")
def take_file(asking: Publishing, file: Annotated[UploadFile | None, File()] = None) -> Response:
    """Take a signed file in as a version, and have its checks run by a job."""
    if file is None or not file.filename:
        raise BadInput("No file was chosen.", "Choose the file that `cohortium pack sign` wrote.")
    row = publish(asking.session, file.file.read(MOST_BYTES + 1), by=actor_of(asking))
    ask_for_checks(asking, row)
    asking.record(subject_of(row), detail={"content": row.content_hash})
    return _to(row)


def ask_for_checks(asking: Asking, row: PackVersion) -> None:
    """Have a version's checks and golden patients run, unless they were."""
    if row.state == VersionState.WAITING:
        by = str(asking.who.person_id)
        enqueue(asking.session, asking.site.queue, CHECK, CheckVersion(row.content_hash, by), requested_by=by)


@router.post("/packs/{pack}/versions/{version}/sign-off")
def sign(  # noqa: PLR0913, PLR0917 - a sign-off is this much
    asking: Annotated[Asking, requires(Action.SIGN_OFF_PACK)],
    pack: str,
    version: str,
    role: Annotated[str, Form()] = "",
    on: Annotated[str, Form()] = "",
    hazard_log: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    """Sign a version off for clinical safety."""
    row = find_version(asking.session, pack, version)
    try:
        day = date.fromisoformat(on)
    except ValueError:
        raise BadInput("The day is missing or is no day.", "Choose it from the calendar.") from None
    made = sign_off(asking.session, row, NewSignOff(role, day, hazard_log, note), by=actor_of(asking))
    detail = {"role": made.role, "on": on, "hazard_log": made.hazard_log}
    asking.record(subject_of(row), detail=detail)
    return _to(row)


@router.post("/packs/{pack}/versions/{version}/deprecate")
def deprecate_version(asking: Deciding, pack: str, version: str, why: Annotated[str, Form()] = "") -> Response:
    """Say that a version should no longer be chosen."""
    row = find_version(asking.session, pack, version)
    deprecate(asking.session, row, why=why, by=actor_of(asking))
    asking.record(subject_of(row), detail={"deprecated": why.strip()})
    return _to(row)


@router.post("/packs/{pack}/versions/{version}/withdraw")
def withdraw_version(asking: Deciding, pack: str, version: str, why: Annotated[str, Form()] = "") -> Response:
    """Withdraw a version, and let the log of every tenant that uses it say why."""
    row = find_version(asking.session, pack, version)
    withdraw(asking.session, row, why=why, by=actor_of(asking))
    afterwards(asking.session, partial(tell_users, content_hash=row.content_hash, but=asking.who.tenant_id))
    asking.record(subject_of(row), detail={"withdrawn": row.withdrawn_because})
    return _to(row)


def tell_users(database: Database, *, content_hash: str, but: UUID) -> None:
    """Write into the log of every other tenant that uses a version that it was withdrawn, and why; nothing where the
    withdrawal was not committed. Their pages say it in any case.
    """
    try:
        for tenant_id in tenant_ids(database):
            if tenant_id != but:
                with database.tenant(tenant_id) as session:
                    _tell(session, content_hash)
    except (CohortiumError, OperationalError):
        _log.warning("not every tenant's log was told of the withdrawal of %s", content_hash)


def _tell(session: Session, content_hash: str) -> None:
    row = session.get(PackVersion, content_hash)
    using = session.exec(select(EnabledPack.pack).where(EnabledPack.content_hash == content_hash)).first()
    if row is not None and row.withdrawn is not None and using is not None:
        detail = {"version": row.version, "why": row.withdrawn_because}
        record(session, Entry(action="pack-withdrawn", resource=subject_of(row), detail=detail))


@router.get("/publishers/")
def show_publishers(asking: Keeping) -> Response:
    """Every publisher with its keys."""
    rows = []
    known = publishers(asking.session)
    for publisher in known:
        for key in keys_of(asking.session, publisher.id):
            state = Cell("in force", tag="green") if key.revoked is None else Cell("revoked", tag="red")
            rows.append([
                Cell(key.key_id), Cell(publisher.name), Cell(publisher.organisation), Cell(key.holder), Cell(key.added),
                state, Cell(key.revoked_because),
            ])  # fmt: skip
    asking.record("publishers")
    table = Table("publisher-keys", "Publishers' keys", _KEYS, rows, "No publisher has a key yet.")
    in_force = [key for publisher in known for key in keys_of(asking.session, publisher.id) if key.revoked is None]
    return asking.answer(table, "packs/publishers.html", publishers=known, in_force=in_force)


@router.post("/publishers/")
def new_publisher(
    asking: Keeping,
    publisher: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    organisation: Annotated[str, Form()] = "",
) -> Response:
    """Let somebody publish."""
    made = add_publisher(asking.session, publisher.strip(), name=name, organisation=organisation, by=actor_of(asking))
    asking.record(f"publisher/{made.id}", detail={"added": made.name})
    return RedirectResponse("/publishers/", HTTPStatus.SEE_OTHER)


@router.post("/publishers/keys")
def new_key(
    asking: Keeping,
    publisher: Annotated[str, Form()] = "",
    key: Annotated[str, Form()] = "",
    holder: Annotated[str, Form()] = "",
) -> Response:
    """Add a key of a publisher."""
    found = find_publisher(asking.session, publisher)
    made = add_key(asking.session, found.id, key, holder=holder, by=actor_of(asking))
    asking.record(f"publisher/{found.id}", detail={"key_added": made.key_id, "holder": made.holder})
    return RedirectResponse("/publishers/", HTTPStatus.SEE_OTHER)


@router.post("/publishers/keys/revoke")
def end_key(asking: Keeping, key: Annotated[str, Form()] = "", why: Annotated[str, Form()] = "") -> Response:
    """Revoke a key: it proves nothing from now on."""
    done = revoke_key(asking.session, key, why=why, by=actor_of(asking))
    asking.record(f"publisher/{done.publisher}", detail={"key_revoked": key, "why": done.revoked_because})
    return RedirectResponse("/publishers/", HTTPStatus.SEE_OTHER)


def _to(row: PackVersion) -> Response:
    return RedirectResponse(f"/packs/{row.pack}/versions/{row.version}/", HTTPStatus.SEE_OTHER)
