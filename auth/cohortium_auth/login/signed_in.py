"""The seam: what the rest of Cohortium knows of someone who has signed in, and what a way of signing in must give.

Here: data classes and one protocol. A new way to sign in (OIDC, say) is a class with `identify`, and nothing that
stands behind this seam changes. Not here: any such way (`demo`), the rows behind a session (`sessions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from cohortium_auth.login.roles import Purpose, Role

__all__ = ["HIGHEST_ASSURANCE", "Identified", "SignInMethod", "SignedIn", "Standing"]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Someone signed in, in one role of one organisation (ODS code), for one purpose.

    `session` names the session's row and nothing else; it is not what the browser holds. `assurance` is `Standing`'s.
    """

    person_id: UUID
    display_name: str
    role: Role
    organisation: str
    tenant_id: UUID
    purpose: Purpose
    membership_id: UUID
    session: bytes = field(repr=False)
    assurance: int = 1


HIGHEST_ASSURANCE = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """What a sign-in rests on, kept with its session.

    `assurance` is the authenticator assurance level, 1 to 3 (NIST SP 800-63B: 2 is two factors, 3 a hardware one).
    `provider_id` and `provider_session` name the provider that vouched and its own session (`sid`), so that a logout
    there ends the session here. `offered` are the memberships among which one may change role; all of one's own when
    absent.
    """

    assurance: int = 1
    provider_id: UUID | None = None
    provider_session: str = ""
    offered: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class Identified:
    """A person of a tenant who has proved who they are, and the role that they chose to act in."""

    tenant_id: UUID
    person_id: UUID
    membership_id: UUID
    standing: Standing = Standing()


class SignInMethod(Protocol):
    """A way to find out who somebody is."""

    @property
    def name(self) -> str:
        """One word, kept with each session that it opened."""

    def identify(self, answer: Mapping[str, str]) -> Identified:
        """Turn what the browser sent back into a person. Raises `Unauthenticated` when it proves nothing."""
