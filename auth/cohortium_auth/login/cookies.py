"""Signing what a browser carries: the session cookie, and the proof that a form is ours.

Here: the key, kept wrapped in the database so that every process shares one, and two signatures. Not here: how a cookie
is set (cohortium_web), and whether its session still lives (`sessions`).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from itsdangerous import BadSignature, Signer
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from cohortium_auth.login.models import SigningKey
from cohortium_platform.database import AllTenants, Database
from cohortium_platform.errors import Unauthenticated
from cohortium_platform.keys import KEY_BYTES, KeyEncryption, WrappedKey

__all__ = ["CookieSigner", "open_cookie_signer"]

_CONTEXT = b"cookie signing"


class CookieSigner:
    """Signs with the newest key, and still knows what older ones signed."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take keys from oldest to newest."""
        self._cookies = Signer(keys, salt="session", digest_method="sha256", key_derivation="hmac")
        self._keys = tuple(keys)
        self._form_key = hmac.digest(keys[-1], b"forms", "sha256")

    def derived(self, use: bytes) -> Sequence[bytes]:
        """Keys for another use, one of each signing key, oldest first: none tells anything of another."""
        return [hmac.digest(key, b"derived\0" + use, "sha256") for key in self._keys]

    def sign(self, tenant_id: UUID, token: str) -> str:
        """The session cookie's value: which tenant's rows to look in, and the token."""
        return self._cookies.sign(f"{tenant_id.hex}.{token}").decode()

    def read(self, cookie: str) -> tuple[UUID, str]:
        """The tenant and token of a session cookie. Raises `Unauthenticated` when it is not one of ours."""
        try:
            tenant, _, token = self._cookies.unsign(cookie).decode().partition(".")
            return UUID(hex=tenant), token
        except (BadSignature, ValueError) as forged:
            raise Unauthenticated("Your session has ended.", "Sign in again.") from forged

    def form_token(self, visit: str, session_cookie: str) -> str:
        """What a form must carry: bound to this browser's visit and to its session."""
        return hmac.digest(self._form_key, f"{visit}\0{session_cookie}".encode(), "sha256").hex()

    def is_form_token(self, token: str, visit: str, session_cookie: str) -> bool:
        """Whether a form carries the token of this browser and session."""
        return hmac.compare_digest(token.encode(), self.form_token(visit, session_cookie).encode())


def open_cookie_signer(database: Database, key_encryption: KeyEncryption) -> CookieSigner:
    """Open the signing keys, making one when there is none; processes that start together agree on it.

    Keys that another key-encryption key wrapped are left alone: after a rotation of that one, people sign in anew.
    """
    stored: Sequence[SigningKey] = ()
    while not stored:
        with database.all_tenants(AllTenants(reason="cookies are signed before their tenant is known")) as session:
            every = session.exec(select(SigningKey).order_by(col(SigningKey.number))).all()
            stored = [key for key in every if key.key_id == key_encryption.key_id]
            if not stored:
                number = 1 + max((key.number for key in every), default=0)
                _add_key(session, key_encryption.wrap(secrets.token_bytes(KEY_BYTES), _CONTEXT), number)
    return CookieSigner([key_encryption.unwrap(WrappedKey(key.key_id, key.sealed), _CONTEXT) for key in stored])


def _add_key(session: Session, wrapped: WrappedKey, number: int) -> None:
    """Add a key unless another process came first; then its key is read."""
    values = {"number": number, "key_id": wrapped.key_id, "sealed": wrapped.sealed, "created": datetime.now(UTC)}
    session.connection().execute(insert(SigningKey).values(values).on_conflict_do_nothing())
