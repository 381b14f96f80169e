"""Tokens that may be used once: logout tokens, and the assertions of programs. Not here: verifying them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from cohortium_auth.login.models import UsedToken
from cohortium_platform.database import tenant_of

__all__ = ["use_once"]


def use_once(session: Session, issuer: str, token_id: str, expires: datetime) -> bool:
    """Note a token as used until it expires; false when it was used before. Of two at once, one is first."""
    session.connection().execute(delete(UsedToken).where(col(UsedToken.expires) < datetime.now(UTC)))
    digest = hashlib.sha256(f"{issuer}\0{token_id}".encode()).digest()
    values = {"tenant_id": tenant_of(session), "token_hash": digest, "expires": expires}
    statement = insert(UsedToken).values(values).on_conflict_do_nothing().returning(col(UsedToken.token_hash))
    return session.connection().execute(statement).one_or_none() is not None
