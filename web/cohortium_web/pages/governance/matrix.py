"""The access matrix: a page drawn from the policies that decide."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.login import Role
from cohortium_auth.policy import Action, Permission, access_matrix, read_policies
from cohortium_platform.errors import BadInput
from cohortium_web.asking import Asking
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/ig/matrix")

_COLUMNS = (
    Column("role", "Role"),
    Column("action", "May"),
    Column("purpose", "For"),
    Column("kinds", "In an organisation that is a"),
    Column("policy", "By policy"),
)


@router.get("/")
def show_matrix(asking: Annotated[Asking, requires(Action.VIEW_ACCESS_MATRIX)], role: str = "") -> Response:
    """Who may do what: of one role or of all."""
    if role and role not in set(Role):
        raise BadInput("There is no such role.", "Choose one from the list.")
    asking.record("ig/matrix", detail={"role": role} if role else None)
    return asking.answer(_table(role), "governance/matrix.html", roles=list(Role), role=role, policies=_policies())


def _table(role: str) -> Table:
    asked = [permission for permission in access_matrix() if not role or permission.role == role]
    rows = []
    for (who, action, purpose, policy), group in groupby(sorted(asked, key=_row), key=_row):
        kinds = ", ".join(str(permission.kind) for permission in group)
        rows.append([Cell(who), Cell(action.replace("-", " ")), Cell(purpose), Cell(kinds), Cell(policy)])
    return Table("access-matrix", "Who may do what, for which purpose", _COLUMNS, rows, "This role may do nothing.")


def _row(permission: Permission) -> tuple[str, str, str, str]:
    policies = " ".join(sorted(policy.id for policy in permission.policies))
    return permission.role, permission.action, permission.purpose, policies


def _policies() -> list[tuple[str, str, str]]:
    return [
        (policy.id, policy.title, ", ".join(sorted(policy.obligations)) or "nothing further")
        for policy in read_policies().policies
    ]
