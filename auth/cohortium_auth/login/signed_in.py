"""The seam: what the rest of Cohortium knows of someone who has signed in, and what a way of signing in must give.

Here: two data classes and one protocol. A new way to sign in (OIDC, say) is a class with `identify`, and nothing that
stands behind this seam changes. Not here: any such way (`demo`), the rows behind a session (`sessions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from cohortium_auth.login.roles import Purpose, Role

__all__ = ["Identified", "SignInMethod", "SignedIn"]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Someone signed in, in one role of one organisation (ODS code), for one purpose.

    `session` names the session's row and nothing else; it is not what the browser holds.
    """

    person_id: UUID
    display_name: str
    role: Role
    organisation: str
    tenant_id: UUID
    purpose: Purpose
    membership_id: UUID
    session: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identified:
    """A person of a tenant who has proved who they are, and the role that they chose to act in."""

    tenant_id: UUID
    person_id: UUID
    membership_id: UUID


class SignInMethod(Protocol):
    """A way to find out who somebody is."""

    @property
    def name(self) -> str:
        """One word, kept with each session that it opened."""

    def identify(self, answer: Mapping[str, str]) -> Identified:
        """Turn what the browser sent back into a person. Raises `Unauthenticated` when it proves nothing."""
