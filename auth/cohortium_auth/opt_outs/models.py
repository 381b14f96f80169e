"""The table of cleared lists. A list itself is a file of pseudonyms in the tenant's store, never of NHS numbers."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["ClearedList"]


class ClearedList(TenantTable, table=True):
    """What the national service gave back: those of the people asked about who have not opted out, as at a day. After
    `expires` (the last day) it counts for nothing. `path` is the file's name among the
    tenant's lists; `people` are on it.
    """

    __tablename__ = "cleared_lists"
    travels: ClassVar[Travels] = Travels.left(
        "A list is asked for anew where the tenant goes; this one would be stale."
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    as_at: date
    expires: date
    path: str
    sha256: str
    people: int
    by: str
    loaded: datetime = Field(sa_type=DateTime(timezone=True))
