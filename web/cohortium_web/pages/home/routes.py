"""The first page after signing in: the registries in reach, or what this role will see here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.login import Role
from cohortium_auth.policy import Action
from cohortium_web.asking import Asking, requires

__all__ = ["WILL_SEE", "router"]

router = APIRouter()

WILL_SEE: Mapping[Role, str] = {
    Role.CLINICIAN: "identifiable patients of the practices that share with your organisation, for direct care",
    Role.CARE_COORDINATOR: "identifiable patients of the practices that share with your organisation, for direct care",
    Role.PRACTICE_MANAGER: "your practice's people, its onboarding, and worklists without clinical detail",
    Role.ICB_ANALYST: "suppressed counts and rates by organisation, and pseudonymised rows under an approval",
    Role.PROGRAMME_LEAD: "suppressed counts and rates and how registries are used, and never a patient",
    Role.IG_OFFICER: "the audit log, approvals, reviews, opt-outs and the access matrix, and no clinical content",
    Role.TENANT_ADMINISTRATOR: "organisations, people, packs, imports and exit, and no clinical content",
    Role.PACK_DEVELOPER: "the pack catalogue, and previews that a tenant has agreed to",
    Role.PLATFORM_OPERATOR: "the health of the service, and nothing that a tenant owns",
}
"""What each role sees, in words; of these, patients are what this version shows."""


@router.get("/")
def home(asking: Annotated[Asking, requires(Action.SEE_HOME)]) -> Response:
    """Show the home page of the role."""
    asking.record("home")
    return asking.page("home/home.html", will_see=WILL_SEE[asking.who.role])
