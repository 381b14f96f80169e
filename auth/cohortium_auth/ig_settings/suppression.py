"""How a tenant's counts are suppressed: the one place where it is read, and its choice by an IG officer.

A choice holds for every month and preview from the next request on: nothing that is published is kept. Not here: what a
policy does to counts (`cohortium_platform.statistics`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import Session, col, select

from cohortium_auth.ig_settings.models import SuppressionChoice
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput
from cohortium_platform.statistics import POLICIES, STRICT, SuppressionPolicy, policy_of

__all__ = ["choose_suppression", "suppression_choices", "suppression_name", "suppression_policy"]

_STRICT = next(name for name, policy in POLICIES.items() if policy == STRICT)
_LONGEST_WHY = 500


def suppression_policy(session: Session) -> SuppressionPolicy:
    """What every count of the tenant is published under."""
    return POLICIES[suppression_name(session)]


def suppression_name(session: Session) -> str:
    """Its name among `POLICIES`; the strict one's where nothing was chosen."""
    choices = suppression_choices(session)
    return choices[0].policy if choices else _STRICT


def suppression_choices(session: Session) -> Sequence[SuppressionChoice]:
    """Every choice, the newest first."""
    newest = col(SuppressionChoice.chosen).desc()
    return session.exec(select(SuppressionChoice).order_by(newest, col(SuppressionChoice.id))).all()


def choose_suppression(session: Session, name: str, *, by: UUID, why: str) -> SuppressionChoice:
    """Choose a policy. Raises `BadInput` on an unknown one, on that which holds already, and without a reason."""
    policy_of(name)
    if name == suppression_name(session):
        raise BadInput("Counts are suppressed like this already.", "Choose another rule, or leave it as it is.")
    if not why.strip() or len(why) > _LONGEST_WHY:
        raise BadInput("A reason is missing or too long.", f"Give it in 1 to {_LONGEST_WHY} characters.")
    choice = SuppressionChoice(
        tenant_id=tenant_of(session), policy=name, why=why.strip(), chosen=datetime.now(UTC), chosen_by=by
    )
    session.add(choice)
    session.flush()
    return choice
