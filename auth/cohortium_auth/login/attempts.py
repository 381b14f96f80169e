"""Sign-ins that are under way: what must be remembered between two pages, kept here and not in the browser.

The browser carries a random token; this row holds the rest, sealed under the tenant's key, and belongs to the browser
that began. Not here: what is remembered at each stage (`oidc.flow`, `local`).
"""

from __future__ import annotations

import enum
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col

from cohortium_auth.login.models import SignInAttempt
from cohortium_auth.login.refusals import NotBegunHere
from cohortium_platform.database import tenant_of
from cohortium_platform.keys import TenantKeys

__all__ = ["LIFETIME", "Stage", "keep", "take"]

LIFETIME = timedelta(minutes=10)
"""Time that somebody has to sign in at their provider, or to set up their second factor."""
_TOKEN_BYTES = 32


class Stage(enum.StrEnum):
    """What an attempt waits for."""

    PROVIDER = "provider"
    ROLE = "role"
    ENROLMENT = "enrolment"


def keep(session: Session, keys: TenantKeys, stage: Stage, visit: str, content: Mapping[str, object]) -> str:
    """Remember an attempt of a browser; gives the token that names it. Those past their time are removed."""
    now, token = datetime.now(UTC), secrets.token_urlsafe(_TOKEN_BYTES)
    session.connection().execute(delete(SignInAttempt).where(col(SignInAttempt.expires) < now))
    row = SignInAttempt(
        tenant_id=tenant_of(session),
        token_hash=_hash(token),
        visit_hash=_hash(visit),
        stage=stage,
        sealed=keys.seal(json.dumps(content).encode(), _context(token)),
        expires=now + LIFETIME,
    )
    session.add(row)
    session.flush()
    return token


def take(session: Session, keys: TenantKeys, stage: Stage, visit: str, token: str) -> dict[str, object]:
    """What was remembered, once. Raises `NotBegunHere` when there is no such attempt of this browser, or no more."""
    statement = (
        delete(SignInAttempt)
        .where(col(SignInAttempt.token_hash) == _hash(token), col(SignInAttempt.stage) == stage)
        .where(col(SignInAttempt.visit_hash) == _hash(visit))
        .returning(col(SignInAttempt.sealed), col(SignInAttempt.expires))
    )
    found = session.connection().execute(statement).one_or_none()
    if not visit or found is None or found.expires <= datetime.now(UTC):
        raise NotBegunHere
    content: dict[str, object] = json.loads(keys.open(found.sealed, _context(token)))
    return content


def _context(token: str) -> bytes:
    return b"sign-in attempt\0" + _hash(token)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
