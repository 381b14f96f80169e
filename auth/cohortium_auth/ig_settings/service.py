"""Reading and changing a tenant's rules for access, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping

from sqlmodel import Session

from cohortium_auth.ig_settings.models import IgSettings
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput

__all__ = ["LIMITS", "change_ig_settings", "read_ig_settings"]

LIMITS: Mapping[str, tuple[int, int]] = {
    "officers_to_approve": (1, 2),
    "break_glass_minutes": (5, 480),
    "review_days": (1, 30),
    "trust_relationship_days": (1, 1826),
    "notice_days": (1, 90),
}
"""The least and the most that each may be."""


def read_ig_settings(session: Session) -> IgSettings:
    """The tenant's rules; those it comes with where nothing was changed."""
    tenant = tenant_of(session)
    return session.get(IgSettings, tenant) or IgSettings(tenant_id=tenant)


def change_ig_settings(session: Session, changes: Mapping[str, int]) -> IgSettings:
    """Change some of them. Raises `BadInput` on an unknown one, or a value out of its limits."""
    settings = read_ig_settings(session)
    for name, value in changes.items():
        if name not in LIMITS:
            raise BadInput(f"There is no rule {name}.", f"Those there are: {', '.join(LIMITS)}.")
        least, most = LIMITS[name]
        if not least <= value <= most:
            raise BadInput(f"{name} cannot be {value}.", f"Give {least} to {most}.")
        setattr(settings, name, value)
    session.add(settings)
    session.flush()
    return settings
