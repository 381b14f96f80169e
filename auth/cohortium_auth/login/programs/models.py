"""The table of programs. Not here: their keys' private halves, which never leave them."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["Program"]


class Program(TenantTable, table=True):
    """A program that an administrator registered for an organisation (ODS code). Its public keys are either given
    (`keys`, a JWKS) or published at `keys_url`. `ended` takes effect on tokens that are out already.
    """

    __tablename__ = "programs"
    changes_while_read_only: ClassVar[bool] = True
    travels: ClassVar[Travels] = Travels.left("A program is registered anew at the address where the tenant goes.")

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    organisation: str
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    keys: list[dict[str, str | list[str]]] = Field(sa_type=JSONB)
    keys_url: str
    registered: datetime = Field(sa_type=DateTime(timezone=True))
    registered_by: str
    ended: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
