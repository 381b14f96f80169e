"""The table of local accounts. Not here: the people whose they are."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import DateTime, ForeignKeyConstraint, UniqueConstraint
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["LocalAccount"]


class LocalAccount(TenantTable, table=True):
    """An account of a person. `password` is an Argon2id hash; `secret` the second factor's, sealed under the tenant's
    data key and absent until it is set up. `last_step` is the time step of the last code accepted: none is accepted
    twice. `initial_until` is set while the password is the one that an administrator gave.
    """

    __tablename__ = "local_accounts"
    changes_while_read_only: ClassVar[bool] = True
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["people.tenant_id", "people.id"]),
        UniqueConstraint("tenant_id", "name"),
    )
    travels: ClassVar[Travels] = Travels.left("Passwords and second factors are set up anew where the tenant goes.")

    person_id: UUID = Field(primary_key=True)
    name: str
    password: str
    initial_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    secret: bytes | None = None
    last_step: int = 0
    failures: int = 0
    locked_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
