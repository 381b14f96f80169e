"""The access matrix: a page drawn from the policies that decide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.login import Purpose, Role
from cohortium_auth.policy import Action, access_matrix, read_policies
from cohortium_platform.errors import BadInput
from cohortium_tenants.organisations import OrganisationType
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
_KINDS: Mapping[OrganisationType, str] = {OrganisationType.ICB: "ICB", OrganisationType.PCN: "PCN"}


@router.get("/")
def show_matrix(asking: Annotated[Asking, requires(Action.VIEW_ACCESS_MATRIX)], role: str = "") -> Response:
    """Who may do what: of one role or of all."""
    if role and role not in set(Role):
        raise BadInput("There is no such role.", "Choose one from the list.")
    asking.record("ig/matrix", detail={"role": role} if role else None)
    return asking.answer(_table(role), "governance/matrix.html", roles=list(Role), role=role, policies=_policies())


def _table(role: str) -> Table:
    """One row for what holds in the same kinds of organisation by the same policies, of purposes that it can have."""
    kinds: dict[tuple[Role, Action, str], dict[Purpose, set[OrganisationType]]] = defaultdict(lambda: defaultdict(set))
    for each in access_matrix():
        if each.purpose in each.role.purposes and (not role or each.role == role):
            policies = " ".join(sorted(policy.id for policy in each.policies))
            kinds[each.role, each.action, policies][each.purpose].add(each.kind)
    rows = []
    for (who, action, policies), of_purpose in sorted(kinds.items()):
        alike: dict[frozenset[OrganisationType], list[Purpose]] = defaultdict(list)
        for purpose in sorted(of_purpose):
            alike[frozenset(of_purpose[purpose])].append(purpose)
        for held, purposes in alike.items():
            rows.append([
                Cell(who),
                Cell(action.replace("-", " ")),
                Cell(", ".join(purposes)),
                Cell(_words(held)),
                Cell(policies),
            ])  # fmt: skip
    return Table("access-matrix", "Who may do what, for which purpose", _COLUMNS, rows, "This role may do nothing.")


def _words(kinds: frozenset[OrganisationType]) -> str:
    if kinds == frozenset(OrganisationType):
        return "any"
    return ", ".join(_KINDS.get(kind, kind.replace("-", " ")) for kind in OrganisationType if kind in kinds)


def _policies() -> list[tuple[str, str, str]]:
    return [
        (policy.id, policy.title, ", ".join(sorted(policy.obligations)) or "nothing further")
        for policy in read_policies().policies
    ]
