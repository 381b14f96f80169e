"""The words for who somebody is and why they look. Not here: what a role may do (`policy`)."""

from __future__ import annotations

import enum

__all__ = ["Purpose", "Role"]


class Purpose(enum.StrEnum):
    """Why someone looks. Part of every decision and of every audit entry."""

    DIRECT_CARE = "direct care"
    SERVICE_EVALUATION = "service evaluation"
    PLANNING = "planning"
    RESEARCH = "research"
    IG_AUDIT = "IG audit"
    PLATFORM_OPERATION = "platform operation"


class Role(enum.StrEnum):
    """What someone is in one organisation. A person acts in one role at a time; roles are never added up."""

    CLINICIAN = "clinician"
    CARE_COORDINATOR = "care coordinator"
    PRACTICE_MANAGER = "practice manager"
    ICB_ANALYST = "ICB analyst"
    PROGRAMME_LEAD = "programme lead"
    IG_OFFICER = "IG officer"
    TENANT_ADMINISTRATOR = "tenant administrator"
    PACK_DEVELOPER = "pack developer"
    PLATFORM_OPERATOR = "platform operator"

    @property
    def purpose(self) -> Purpose:
        """The purpose that the role signs in with."""
        return _PURPOSES[self]

    @property
    def purposes(self) -> tuple[Purpose, ...]:
        """Every purpose that the role can act for, the one it signs in with first."""
        return (self.purpose, *(purpose for purpose in _OTHERS.get(self, ()) if purpose is not self.purpose))


_PURPOSES = {
    Role.CLINICIAN: Purpose.DIRECT_CARE,
    Role.CARE_COORDINATOR: Purpose.DIRECT_CARE,
    Role.PRACTICE_MANAGER: Purpose.DIRECT_CARE,
    Role.ICB_ANALYST: Purpose.PLANNING,
    Role.PROGRAMME_LEAD: Purpose.SERVICE_EVALUATION,
    Role.IG_OFFICER: Purpose.IG_AUDIT,
    Role.TENANT_ADMINISTRATOR: Purpose.PLATFORM_OPERATION,
    Role.PACK_DEVELOPER: Purpose.SERVICE_EVALUATION,
    Role.PLATFORM_OPERATOR: Purpose.PLATFORM_OPERATION,
}
_SECONDARY = (Purpose.PLANNING, Purpose.SERVICE_EVALUATION, Purpose.RESEARCH)
_OTHERS = {
    Role.CLINICIAN: (Purpose.SERVICE_EVALUATION, Purpose.RESEARCH),
    Role.CARE_COORDINATOR: (Purpose.SERVICE_EVALUATION, Purpose.RESEARCH),
    Role.ICB_ANALYST: _SECONDARY,
    Role.PROGRAMME_LEAD: _SECONDARY,
}
