"""Tables of people, their roles, and their sessions. Not here: how someone proves who they are."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKeyConstraint, Index, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from cohortium_auth.login.roles import Purpose, Role
from cohortium_auth.login.signed_in import Standing
from cohortium_platform.database import Privilege, ServiceTable, TenantTable, Travels

__all__ = ["Membership", "Person", "SignInAttempt", "SignInCounter", "SignInSession", "SigningKey", "UsedToken"]


class Person(TenantTable, table=True):
    """Someone who may sign in to a tenant. One who works in two tenants is two people here."""

    __tablename__ = "people"
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = Travels.EXPORTED

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    display_name: str


class Membership(TenantTable, table=True):
    """A role of a person in an organisation, from a first to a last day (both included; no last day: until ended)."""

    __tablename__ = "memberships"
    changes_while_read_only: ClassVar[bool] = True
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
    opens nothing. Ends when `ended` is set, after too long idle, and in any case at `expires`. The columns from
    `assurance` on are those of `signed_in.Standing`.
    """

    __tablename__ = "sign_in_sessions"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
        ForeignKeyConstraint(["tenant_id", "membership_id"], ["memberships.tenant_id", "memberships.id"]),
        Index(None, "tenant_id", "person_id"),
        Index(None, "tenant_id", "provider_id", "provider_session"),
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
    assurance: int = 1
    provider_id: UUID | None = None
    provider_session: str = ""
    offered: list[UUID] | None = Field(default=None, sa_type=ARRAY(Uuid))

    def as_purpose(self) -> Purpose:
        """The purpose as a word of `Purpose`."""
        return Purpose(self.purpose)

    def standing(self) -> Standing:
        """What the sign-in rested on."""
        offered = None if self.offered is None else tuple(self.offered)
        return Standing(self.assurance, self.provider_id, self.provider_session, offered)


class SignInAttempt(TenantTable, table=True):
    """A sign-in that waits: for the provider's answer, for a choice of role, for a second factor's first code. Taken
    once, by the browser that began it (`visit_hash`), before it expires. `sealed` is for `attempts` to read.
    """

    __tablename__ = "sign_in_attempts"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (Index(None, "tenant_id", "expires"),)
    travels: ClassVar[Travels] = Travels.left("A sign-in that is under way is begun anew.")

    token_hash: bytes = Field(primary_key=True)
    visit_hash: bytes
    stage: str
    sealed: bytes
    expires: datetime = Field(sa_type=DateTime(timezone=True))


class UsedToken(TenantTable, table=True):
    """The hash of a token that may be used once (`jti` and who made it), kept until it has expired."""

    __tablename__ = "used_tokens"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (Index(None, "tenant_id", "expires"),)
    travels: ClassVar[Travels] = Travels.left("Tokens are for this installation's addresses.")

    token_hash: bytes = Field(primary_key=True)
    expires: datetime = Field(sa_type=DateTime(timezone=True))


class SignInCounter(ServiceTable, table=True):
    """Tries of one bucket since `began`; see `limits`."""

    __tablename__ = "sign_in_counters"
    reason: ClassVar[str] = "Tries are counted before it is known whose they are; a row names nobody."

    kind: str = Field(primary_key=True)
    bucket: int = Field(primary_key=True)
    began: datetime = Field(sa_type=DateTime(timezone=True))
    tries: int


class SigningKey(ServiceTable, table=True):
    """A key that signs cookies, wrapped by the key-encryption key. The newest signs; older ones still verify."""

    __tablename__ = "signing_keys"
    reason: ClassVar[str] = "A cookie must be verified before its tenant is known; the key says nothing of any tenant."
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT, Privilege.DELETE})

    number: int = Field(primary_key=True)
    key_id: str
    sealed: bytes
    created: datetime = Field(sa_type=DateTime(timezone=True))
