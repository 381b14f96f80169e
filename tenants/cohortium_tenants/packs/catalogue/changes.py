"""Who did what to the catalogue. Written in the transaction that does it, beside the tenant's own audit entry."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from cohortium_platform.errors import BadInput
from cohortium_tenants.packs.catalogue.models import CatalogueChange

__all__ = ["Actor", "catalogue_changes", "given", "note"]

_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who changes the catalogue: as the audit names them (a person's id, `program:<id>`, an operator's name),
    what people call them, and the organisation (ODS code) they act in; empty for the operator of this installation.
    """

    id: str
    name: str
    organisation: str = ""


def note(session: Session, by: Actor, what: str, subject: str, why: str = "") -> None:
    """Write a change down."""
    session.add(
        CatalogueChange(
            at=dt.datetime.now(dt.UTC), actor=by.id, actor_name=by.name, what=what, subject=subject, why=why
        )
    )


def catalogue_changes(session: Session, subject: str = "", *, limit: int = 200) -> Sequence[CatalogueChange]:
    """What was done, the newest first: to one subject, or to all."""
    query = select(CatalogueChange).order_by(col(CatalogueChange.at).desc(), col(CatalogueChange.id)).limit(limit)
    return session.exec(query.where(CatalogueChange.subject == subject) if subject else query).all()


def given(text: str, what: str) -> str:
    """What somebody wrote, without blanks around it. Raises `BadInput` when there is nothing, or far too much."""
    text = text.strip()
    if not text:
        raise BadInput(f"{what} is missing.", "Write it and send the form again.")
    if len(text) > _LONGEST:
        raise BadInput(f"{what} is too long.", f"Keep it below {_LONGEST:,} characters.")
    return text
