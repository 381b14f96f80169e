"""How often one may try to sign in: counted for each network address and each account, in bounded space.

A thing that tries (an address, an account's name) falls into one of 65,536 buckets of its kind by a keyed hash, so the
table never grows past that, a row names nobody, and nobody can choose to share a bucket with somebody else. Not here:
the lockout of an account, which is its own (`local`).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Integer, case, cast, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from cohortium_auth.login.models import SignInCounter
from cohortium_auth.login.refusals import TooManyTries
from cohortium_platform.database import AllTenants, Database

__all__ = ["ACCOUNT", "ADDRESS", "BEGINNINGS", "BUCKETS", "NOBODY", "PROGRAM", "Limit", "Limits"]

BUCKETS = 1 << 16
_SERVICE = AllTenants(reason="tries are counted before it is known whose they are")


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries of one kind in so long a time."""

    kind: str
    most: int
    window: timedelta


ADDRESS = Limit("address", 50, timedelta(minutes=15))
"""Failed tries from one address. A hospital may be one address to us, so it is no small number."""
ACCOUNT = Limit("account", 10, timedelta(minutes=15))
"""Failed tries of one account's name, whether there is such an account or not."""
BEGINNINGS = Limit("beginning", 600, timedelta(minutes=5))
"""Sign-ins begun at a provider from one address: each keeps a row for ten minutes."""
NOBODY = Limit("nobody", 1 << 30, timedelta(minutes=15))
"""Tries that change nothing. They are counted so that they take as long as those that do, and limit nobody."""
PROGRAM = Limit("program", 60, timedelta(minutes=5))
"""Failed tries of programs from one address."""


class Limits:
    """Counts tries. `key` makes buckets unguessable."""

    def __init__(self, database: Database, key: bytes) -> None:
        self._database, self._key = database, key

    def count(self, limit: Limit, who: str) -> None:
        """Count a try. Raises `TooManyTries` when there were too many in the window."""
        now, bucket = datetime.now(UTC), self._bucket(limit, who)
        fresh = col(SignInCounter.began) < now - limit.window
        # A try past the limit is not counted further, so that numbers stay small whatever comes.
        more = case((fresh, 1), else_=func.least(col(SignInCounter.tries) + 1, limit.most + 2))
        statement = (
            insert(SignInCounter)
            .values(kind=limit.kind, bucket=bucket, began=now, tries=1)
            .on_conflict_do_update(
                index_elements=["kind", "bucket"],
                set_={"tries": cast(more, Integer), "began": case((fresh, now), else_=col(SignInCounter.began))},
            )
            .returning(col(SignInCounter.tries))
        )
        with self._database.all_tenants(_SERVICE) as session:
            tries = session.connection().execute(statement).scalar_one()
        if tries > limit.most:
            raise TooManyTries(first=tries == limit.most + 1)

    def forgive(self, limit: Limit, who: str) -> None:
        """Take a try back: it succeeded."""
        statement = (
            update(SignInCounter)
            .where(col(SignInCounter.kind) == limit.kind, col(SignInCounter.bucket) == self._bucket(limit, who))
            .values(tries=func.greatest(col(SignInCounter.tries) - 1, 0))
        )
        with self._database.all_tenants(_SERVICE) as session:
            session.connection().execute(statement)

    @contextmanager
    def failures(self, *limits: tuple[Limit, str]) -> Iterator[None]:
        """Count a try before it is made, so that many at once do not slip through, and take it back if it succeeds."""
        for limit, who in limits:
            self.count(limit, who)
        yield
        for limit, who in limits:
            self.forgive(limit, who)

    def _bucket(self, limit: Limit, who: str) -> int:
        digest = hmac.digest(self._key, f"{limit.kind}\0{who}".encode(), "sha256")
        return int.from_bytes(digest[:8], "big") % BUCKETS
