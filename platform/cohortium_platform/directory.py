"""What the platform needs to know of organisations, stated here and supplied by the tenants' layer.

Here: a protocol. Not here: organisations themselves (cohortium_tenants.organisations).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import date
from typing import Protocol

__all__ = ["OrganisationDirectory"]


class OrganisationDirectory(Protocol):
    """One tenant's organisations, by ODS code. Codes are opaque: nothing is read into their letters."""

    def practices(self, on: date) -> AbstractSet[str]:
        """Practices that are open in this tenant on a day."""

    def places_of(self, practice: str, on: date) -> AbstractSet[str]:
        """Places (boroughs) that a practice belongs to on a day, directly or through others; usually one."""

    def pcns_of(self, practice: str, on: date) -> AbstractSet[str]:
        """PCNs that a practice belongs to on a day; at most one, none for a practice outside any."""

    def successors(self, code: str, on: date) -> AbstractSet[str]:
        """Who stands for an organisation on a day: itself, or those that took over from it by then, step by step."""
