"""The tables of organisations. Not here: what makes a graph of them (`graph`) and what may be changed (`service`).

Every span of days includes its first and its last day; an absent end means that it still holds.
"""

from __future__ import annotations

import enum
from datetime import date
from typing import ClassVar

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from cohortium_platform.database import TenantTable, Travels

__all__ = ["PROVIDERS", "Organisation", "OrganisationType", "Relationship", "RelationshipKind", "Successor"]


class OrganisationType(enum.StrEnum):
    """What an organisation is."""

    ICB = "icb"
    PLACE = "place"
    PCN = "pcn"
    FEDERATION = "federation"
    NEIGHBOURHOOD_TEAM = "neighbourhood-team"
    PRACTICE = "practice"
    TRUST = "trust"
    CANCER_ALLIANCE = "cancer-alliance"


PROVIDERS = frozenset({OrganisationType.PRACTICE, OrganisationType.TRUST})
"""Organisations that treat patients and hold records of them. A Cancer Alliance is none: it never sees a patient."""


class RelationshipKind(enum.StrEnum):
    """How a child belongs to its parent."""

    MEMBER_OF = "member-of"
    """A practice in a PCN, a federation, a neighbourhood team or a place."""
    PART_OF = "part-of"
    """A place in an ICB, a PCN in a place."""
    COMMISSIONED_BY = "commissioned-by"
    """A trust that works for an ICB."""
    COVERED_BY = "covered-by"
    """An ICB in a Cancer Alliance's area."""


class Organisation(TenantTable, table=True):
    """One organisation. `closed` is its last day. `fictitious` marks one that was made up for a demonstration."""

    __tablename__ = "organisations"
    travels: ClassVar[Travels] = Travels.EXPORTED

    ods_code: str = Field(primary_key=True)
    name: str
    type: str
    opened: date
    closed: date | None = None
    fictitious: bool = False


class Relationship(TenantTable, table=True):
    """That one organisation belongs to another, from `start` to `end`."""

    __tablename__ = "organisation_relationships"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "child"], ["organisations.tenant_id", "organisations.ods_code"]),
        ForeignKeyConstraint(["tenant_id", "parent"], ["organisations.tenant_id", "organisations.ods_code"]),
        Index(None, "tenant_id", "parent"),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    child: str = Field(primary_key=True)
    parent: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    start: date = Field(primary_key=True)
    end: date | None = None


class Successor(TenantTable, table=True):
    """That one organisation takes over from another, wholly or in part, from a day on. Many to many."""

    __tablename__ = "organisation_successors"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "predecessor"], ["organisations.tenant_id", "organisations.ods_code"]),
        ForeignKeyConstraint(["tenant_id", "successor"], ["organisations.tenant_id", "organisations.ods_code"]),
    )
    travels: ClassVar[Travels] = Travels.EXPORTED

    predecessor: str = Field(primary_key=True)
    successor: str = Field(primary_key=True)
    on_date: date
