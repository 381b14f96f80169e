"""Changes to a tenant's list of sensitive codes. The table accepts inserts only: the list is what they come to."""

from __future__ import annotations

import datetime as dt
import enum
from typing import ClassVar

from sqlalchemy import BigInteger, DateTime
from sqlmodel import Field

from cohortium_platform.database import Privilege, TenantTable, Travels

__all__ = ["Category", "SensitiveChange"]


class Category(enum.StrEnum):
    """What makes a code sensitive: the four kinds that the RCGP's set withholds from summaries of GP records."""

    ASSISTED_CONCEPTION = "assisted conception"
    SEXUAL_HEALTH = "sexually transmitted infection or HIV"
    TERMINATION = "termination of pregnancy"
    GENDER = "gender"


class SensitiveChange(TenantTable, table=True):
    """A code that came on the list at a version, or went off it. `source` says where it comes from or why it went; `by`
    is a person's id, or names who acted from the command line.
    """

    __tablename__ = "sensitive_code_changes"
    travels: ClassVar[Travels] = Travels.EXPORTED
    privileges: ClassVar[frozenset[Privilege]] = frozenset({Privilege.SELECT, Privilege.INSERT})

    version: int = Field(primary_key=True)
    code: int = Field(primary_key=True, sa_type=BigInteger)
    listed: bool
    category: str
    source: str
    by: str
    at: dt.datetime = Field(sa_type=DateTime(timezone=True))
