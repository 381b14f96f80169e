"""Tables of people, their roles, and their sessions. Not here: how someone proves who they are (`methods`)."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKeyConstraint, Index
from sqlmodel import Field

from cohortium_auth.login.roles import Purpose, Role
from cohortium_platform.database import Privilege, ServiceTable, TenantTable, Travels

__all__ = ["Membership", "Person", "SignInSession", "SigningKey"]


class Person(TenantTable, table=True):
    """Someone who may sign in to a tenant. One who works in two tenants is two people here."""

    __tablename__ = "people"
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    display_name: str


class Membership(TenantTable, table=True):
    """A role of a person in an organisation, from a first to a last day (both included; no last day: until ended)."""

    __tablename__ = "memberships"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
        Index(None, "tenant_id", "person_id"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    person_id: UUID
    role: str
    organisation: str
    start_date: date
    end_date: date | None = None

    def in_force(self, day: date) -> bool:
        """Whether the role is held on a day."""
        return self.start_date <= day and (self.end_date is None or day <= self.end_date)

    def as_role(self) -> Role:
        """The role as a word of `Role`."""
        return Role(self.role)


class SignInSession(TenantTable, table=True):
    """One sign-in in one role. `token_hash` is the SHA-256 of what the browser holds, so that a copy of this table
    opens nothing. Ends when `ended` is set, after too long idle, and in any case at `expires`.
    """

    __tablename__ = "sign_in_sessions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
        ForeignKeyConstraint(["tenant_id", "membership_id"], ["memberships.tenant_id", "memberships.id"]),
        Index(None, "tenant_id", "person_id"),
    )
    travels: ClassVar[Travels] = Travels.left("People sign in anew where the tenant goes.")

    token_hash: bytes = Field(primary_key=True)
    person_id: UUID
    membership_id: UUID
    purpose: str
    method: str
    started: datetime = Field(sa_type=DateTime(timezone=True))
    last_seen: datetime = Field(sa_type=DateTime(timezone=True))
    expires: datetime = Field(sa_type=DateTime(timezone=True))
    ended: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))

    def as_purpose(self) -> Purpose:
        """The purpose as a word of `Purpose`."""
        return Purpose(self.purpose)


class SigningKey(ServiceTable, table=True):
    """A key that signs cookies, wrapped by the key-encryption key. The newest signs; older ones still verify."""

    __tablename__ = "signing_keys"
    reason: ClassVar[str] = "A cookie must be verified before its tenant is known; the key says nothing of any tenant."
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT, Privilege.DELETE})

    number: int = Field(primary_key=True)
    key_id: str
    sealed: bytes
    created: datetime = Field(sa_type=DateTime(timezone=True))
