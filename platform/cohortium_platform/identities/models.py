"""The identity store's tables. Not here: reading and writing them (`service`, `loading`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import BigInteger, DateTime, Index, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["IdentityTerm", "SealedIdentity"]


class SealedIdentity(TenantTable, table=True):
    """A patient's identity as one practice supplied it, sealed.

    One row a practice: what a new practice knows (an address, a telephone number) does not show at the old one.
    `digest` is keyed and tells whether a new delivery says anything else; `terms` are the hashes it is found by, kept
    here so that `identity_terms` can be made from them without opening anything.
    """

    __tablename__ = "identities"
    __table_args__ = (Index(None, "tenant_id", "patient_id"),)
    travels: ClassVar[Travels] = Travels.left(
        "Sealed under a key that stays; travels opened, as identities/*.parquet, when that was approved."
    )

    practice: str = Field(primary_key=True)
    patient_id: int = Field(primary_key=True, sa_type=BigInteger)
    version: int
    registered: bool
    digest: bytes
    sealed: bytes
    terms: list[int] = Field(sa_type=ARRAY(BigInteger))
    written: datetime = Field(
        default_factory=lambda: datetime.now(UTC),
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )


class IdentityTerm(TenantTable, table=True):
    """The patients of a practice who are found by one keyed hash. Practice and hash are the key: a search is an index
    scan, and reach is applied in it.
    """

    __tablename__ = "identity_terms"
    travels: ClassVar[Travels] = Travels.DERIVED

    practice: str = Field(primary_key=True)
    term: int = Field(primary_key=True, sa_type=BigInteger)
    patient_ids: list[int] = Field(sa_type=ARRAY(BigInteger))
