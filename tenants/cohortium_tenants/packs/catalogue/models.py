"""Tables of the catalogue: publishers, their keys, the versions of packs, and what was decided of them.

The catalogue is the service's own: one version is the same for every tenant. Not here: what a tenant enables (`packs`).
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from cohortium_platform.database import Privilege, ServiceTable

__all__ = [
    "CatalogueChange",
    "PackContent",
    "PackVersion",
    "Publisher",
    "PublisherKey",
    "SignOff",
    "Source",
    "VersionState",
]

_OF_ALL = "A pack's version is the same for every tenant; the row says nothing of any of them."
_APPEND = frozenset({Privilege.SELECT, Privilege.INSERT})
_KEPT = frozenset({Privilege.SELECT, Privilege.INSERT, Privilege.UPDATE})


class Source(enum.StrEnum):
    """How a version came into the catalogue."""

    PUBLISHED = "published"
    """Its signed file was uploaded."""
    INSTALLED = "installed"
    """It came with a distribution that the operator installed."""


class VersionState(enum.StrEnum):
    """Where a version stands. Its checks: waiting, then passed or failed. A version that has passed may be signed off,
    deprecated, or withdrawn; these three stand in rows and columns of their own.
    """

    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"


class Publisher(ServiceTable, table=True):
    """Who publishes packs. `organisation` (ODS code) is whose pack developers speak for it; empty for the operator."""

    __tablename__ = "publishers"
    reason: ClassVar[str] = _OF_ALL
    privileges: ClassVar[frozenset[Privilege]] = _KEPT

    id: str = Field(primary_key=True)
    name: str
    organisation: str
    added: dt.datetime = Field(sa_type=DateTime(timezone=True))
    added_by: str


class PublisherKey(ServiceTable, table=True):
    """A publisher's Ed25519 key: `public_key` is its raw 32 bytes, `holder` the person who holds the private half. A
    revoked key proves nothing, not even of what it signed before: whoever stole it can have put any date on that.
    """

    __tablename__ = "publisher_keys"
    reason: ClassVar[str] = _OF_ALL
    privileges: ClassVar[frozenset[Privilege]] = _KEPT

    key_id: str = Field(primary_key=True)
    publisher: str = Field(foreign_key="publishers.id")
    public_key: bytes
    holder: str
    added: dt.datetime = Field(sa_type=DateTime(timezone=True))
    added_by: str
    revoked: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    revoked_by: str = ""
    revoked_because: str = ""


class PackVersion(ServiceTable, table=True):
    """One version of a pack, named by its content's hash; nothing of what it says ever changes. `findings` and `golden`
    are what the server's own checks and golden patients gave. `author` is the actor who brought it in, `author_name`
    what people call them.
    """

    __tablename__ = "pack_versions"
    __table_args__ = (Index(None, "pack", "version", unique=True),)
    reason: ClassVar[str] = _OF_ALL
    privileges: ClassVar[frozenset[Privilege]] = _KEPT

    content_hash: str = Field(primary_key=True)
    pack: str
    version: str
    title: str
    publisher: str
    definition_hash: str
    source: str
    bytes: int
    author: str
    author_name: str
    added: dt.datetime = Field(sa_type=DateTime(timezone=True))
    state: str = VersionState.WAITING
    findings: list[dict[str, object]] = Field(default_factory=list, sa_type=JSONB)
    golden: dict[str, object] = Field(default_factory=dict, sa_type=JSONB)
    checked: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    deprecated: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    deprecated_because: str = ""
    withdrawn: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    withdrawn_because: str = ""


class PackContent(ServiceTable, table=True):
    """The file of a version as it was signed. Beside the rows that name it and in their transaction: no file is ever
    without its row, and no row without its file.
    """

    __tablename__ = "pack_contents"
    reason: ClassVar[str] = _OF_ALL
    privileges: ClassVar[frozenset[Privilege]] = _APPEND

    content_hash: str = Field(primary_key=True, foreign_key="pack_versions.content_hash")
    content: bytes


class SignOff(ServiceTable, table=True):
    """A clinical safety sign-off of a version (DCB0129): who, as what, on which day, and where its hazards are logged.
    `actor` is the person's id in their tenant.
    """

    __tablename__ = "pack_sign_offs"
    __table_args__ = (Index(None, "content_hash"),)
    reason: ClassVar[str] = _OF_ALL
    privileges: ClassVar[frozenset[Privilege]] = _APPEND

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    content_hash: str = Field(foreign_key="pack_versions.content_hash")
    actor: str
    person: str
    role: str
    on: dt.date
    hazard_log: str
    note: str
    recorded: dt.datetime = Field(sa_type=DateTime(timezone=True))


class CatalogueChange(ServiceTable, table=True):
    """What was done to the catalogue, by whom: for a publisher, a key (`subject`), or a version (pack and version)."""

    __tablename__ = "catalogue_changes"
    __table_args__ = (Index(None, "at"),)
    reason: ClassVar[str] = _OF_ALL
    privileges: ClassVar[frozenset[Privilege]] = _APPEND

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    at: dt.datetime = Field(sa_type=DateTime(timezone=True))
    actor: str
    actor_name: str
    what: str
    subject: str
    why: str
