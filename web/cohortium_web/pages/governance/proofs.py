"""Proofs: the signed checkpoints of the log, to keep, and how to verify with them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from sqlmodel import col, select
from starlette.responses import RedirectResponse, Response

from cohortium_auth.policy import Action
from cohortium_platform.audit.heads import take_head
from cohortium_platform.audit.models import AuditHead
from cohortium_platform.audit.state import log_state
from cohortium_platform.errors import NotFound
from cohortium_tenants.tenants.signing import log_signer
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/ig/proofs")

Exporting = Annotated[Asking, requires(Action.EXPORT_AUDIT)]
_COLUMNS = (
    Column("at", "Signed"),
    Column("size", "Entries", numeric=True),
    Column("root", "Root of the tree"),
    Column("note", "Checkpoint"),
)


@router.get("/")
def show_proofs(asking: Exporting) -> Response:
    """How the log stands, its public key, and every checkpoint."""
    state = log_state(asking.session)
    signer = log_signer(asking.site.aside, asking.site.key_encryption, asking.tenant)
    heads = asking.session.exec(select(AuditHead).order_by(col(AuditHead.size).desc())).all()
    rows = [
        [Cell(head.at), Cell(head.size), Cell(bytes(head.root).hex()), Cell("take", href=f"/ig/proofs/{head.size}.txt")]
        for head in heads
    ]
    asking.record("ig/proofs")
    table = Table("checkpoints", "Signed checkpoints", _COLUMNS, rows, "None was taken yet.")
    return asking.answer(table, "governance/proofs.html", state=state, key=str(signer.key))


@router.post("/")
def take_checkpoint(asking: Exporting) -> Response:
    """Sign a checkpoint now, of everything up to now."""
    signer = log_signer(asking.site.aside, asking.site.key_encryption, asking.tenant)
    take_head(asking.site.aside, asking.tenant.id, signer)
    asking.record("ig/proofs", detail={"checkpoint": True})
    return RedirectResponse("/ig/proofs/", 303)


@router.get("/{size}.txt")
def take_note(asking: Exporting, size: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
    """A checkpoint as its text."""
    head = asking.session.get(AuditHead, (asking.tenant.id, size))
    if head is None:
        raise NotFound("There is no such checkpoint.", "Choose one from the list.")
    asking.record(f"ig/proofs/{size}")
    headers = {"content-disposition": f'attachment; filename="checkpoint-{size}.txt"'}
    return Response(head.note, media_type="text/plain; charset=utf-8", headers=headers)
