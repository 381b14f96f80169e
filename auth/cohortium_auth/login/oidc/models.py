"""Tables of a tenant's providers, and of whom each vouches for. Not here: attempts to sign in (`login.attempts`)."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKeyConstraint, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["ProviderLink", "SignInProvider"]

_STAYS = Travels.left("A provider knows this installation's addresses; it is registered anew where the tenant goes.")


class SignInProvider(TenantTable, table=True):
    """A provider as a tenant registered itself there. `sealed` is the client secret, or the private key (PEM) with
    which we sign (then `key_id` names it), under the tenant's data key; `providers.OpenedProvider` says what the other
    columns mean.
    """

    __tablename__ = "sign_in_providers"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)
    travels: ClassVar[Travels] = _STAYS

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    title: str
    kind: str
    issuer: str
    client_id: str
    key_id: str
    sealed: bytes
    algorithm: str
    scopes: str
    acr_values: list[str] = Field(sa_type=ARRAY(Text))
    least_assurance: int
    directory: str
    roles: dict[str, str] = Field(sa_type=JSONB)
    levels: dict[str, int] = Field(sa_type=JSONB)
    enabled: bool = True
    created: datetime = Field(sa_type=DateTime(timezone=True))


class ProviderLink(TenantTable, table=True):
    """An administrator's word that a subject of a provider is a person of the tenant. `subject` is what never changes
    and is never given to someone else: `sub`, or for Entra ID `tid/oid`; never an email address.
    """

    __tablename__ = "provider_links"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "provider_id"], ["sign_in_providers.tenant_id", "sign_in_providers.id"]),
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
        Index(None, "tenant_id", "person_id"),
    )
    travels: ClassVar[Travels] = _STAYS

    provider_id: UUID = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    person_id: UUID
    linked: datetime = Field(sa_type=DateTime(timezone=True))
    linked_by: str
