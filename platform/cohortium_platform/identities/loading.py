"""Writing identities in bulk: millions in minutes, and only those that changed.

Here: sealing a practice's identities into a file, and bringing that file into the database. Not here: where they come
from (`ingest`).

Sealing happens before the load's transaction, into a file of rows in PostgreSQL's binary COPY form; the transaction
only copies that file. COPY may not write to a table under row-level security, so it fills a temporary table first.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self
from uuid import UUID

import psycopg
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.identities.identity import VERSION
from cohortium_platform.identities.models import SealedIdentity
from cohortium_platform.identities.terms import Terms
from cohortium_platform.keys import TenantKeys

__all__ = ["IdentityBatch", "IdentityChanges", "IdentitySealer", "apply_changes", "bound_to", "digests"]

_DIGEST_BYTES = 16
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_COPY_END = struct.pack(">h", -1)
_INT8_OID = 20
_COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class IdentityBatch:
    """Identities of one practice, as columns of one length. `plain` is `Identity.to_bytes`."""

    practice: str
    patient_ids: Sequence[int]
    registered: Sequence[bool]
    plain: Sequence[bytes]
    nhs_numbers: Sequence[str | None]
    names: Sequence[str]


@dataclass(slots=True)
class IdentityChanges:
    """What a load changes: a COPY file of new or changed rows, and by practice the patients who are no longer there."""

    file: Path
    written: int = 0
    departed: dict[str, list[int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.written > 0 or any(self.departed.values())


def bound_to(practice: str, patient_id: int, version: int) -> bytes:
    """What a sealed identity is bound to beside its tenant: it opens in no other row and as no other version."""
    return struct.pack(">qi", patient_id, version) + practice.encode()


def digests(session: Session, practice: str) -> dict[int, bytes]:
    """The digest of each identity that a practice has."""
    statement = select(SealedIdentity.patient_id, SealedIdentity.digest).where(col(SealedIdentity.practice) == practice)
    return dict(session.exec(statement).all())


class IdentitySealer:
    """Seals batches into one COPY file, leaving out what the database holds already. Use as a context manager."""

    def __init__(self, keys: TenantKeys, path: Path) -> None:
        self._keys, self._terms = keys, Terms(keys)
        self._file: BinaryIO = path.open("xb")
        self._file.write(_COPY_HEADER)
        self.changes = IdentityChanges(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with closing(self._file):
            self._file.write(_COPY_END)

    def add(self, batch: IdentityBatch, known: Mapping[int, bytes]) -> None:
        """Seal a practice's whole set of identities; patients of `known` (`digests`) that are not in it depart."""
        columns = zip(batch.patient_ids, batch.registered, batch.plain, batch.nhs_numbers, batch.names, strict=True)
        for patient, registered, plain, nhs_number, name in columns:
            digest = self._digest(plain, registered=registered)
            if known.get(patient) == digest:
                continue
            terms = self._terms.of_name(name)
            if nhs_number is not None:
                terms = terms | {self._terms.nhs_number(nhs_number)}
            sealed = self._keys.seal(plain, bound_to(batch.practice, patient, VERSION))
            self._file.write(_Row(batch.practice, patient, registered, digest, sealed, sorted(terms)).as_copied())
            self.changes.written += 1
        self.changes.departed[batch.practice] = sorted(known.keys() - set(batch.patient_ids))

    def _digest(self, plain: bytes, *, registered: bool) -> bytes:
        """A keyed hash: it says that two deliveries agree, and nothing of what they say."""
        said = b"identity\0" + bytes([VERSION, registered]) + plain
        return hmac.digest(self._keys.search, said, "sha256")[:_DIGEST_BYTES]


class _Row(NamedTuple):
    """One row of `_ARRIVING`."""

    practice: str
    patient_id: int
    registered: bool
    digest: bytes
    sealed: bytes
    terms: Sequence[int]

    def as_copied(self) -> bytes:
        """PostgreSQL's binary COPY form: the number of fields, then each after its length, big end first."""
        name, count = self.practice.encode(), len(self.terms)
        elements = b"".join(struct.pack(">iq", 8, term) for term in self.terms)
        dimensions = struct.pack(">ii", count, 1) if count else b""
        array = struct.pack(">iii", 1 if count else 0, 0, _INT8_OID) + dimensions + elements
        return b"".join(
            [
                struct.pack(">hi", 7, len(name)), name,
                struct.pack(">iqiii?", 8, self.patient_id, 4, VERSION, 1, self.registered),
                struct.pack(">i", len(self.digest)), self.digest,
                struct.pack(">i", len(self.sealed)), self.sealed,
                struct.pack(">i", len(array)), array,
            ]
        )  # fmt: skip


def apply_changes(session: Session, changes: IdentityChanges) -> None:
    """Bring a sealed file and the departures into the identity store, in the caller's transaction."""
    if not changes:
        return
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("Identities are copied through psycopg.")
    with connection.cursor() as cursor:
        cursor.execute(_ARRIVING)
        cursor.execute(_DEPARTING)
        with cursor.copy("COPY arriving FROM STDIN (FORMAT binary)") as copy, changes.file.open("rb") as file:
            while block := file.read(_COPY_BYTES):
                copy.write(block)
        with cursor.copy("COPY departing FROM STDIN") as copy:
            for practice, patients in changes.departed.items():
                for patient in patients:
                    copy.write_row((practice, patient))
        _merge(cursor, tenant_of(session))
    session.expire_all()


def _merge(cursor: psycopg.Cursor[tuple[object, ...]], tenant: UUID) -> None:
    cursor.execute("ANALYZE arriving")
    cursor.execute("ANALYZE departing")
    cursor.execute(_FORGET_TERMS)
    cursor.execute(_FORGET)
    cursor.execute(_WRITE, (tenant,))
    cursor.execute(_WRITE_TERMS, (tenant,))
    cursor.execute("DROP TABLE arriving, departing")


_ARRIVING = """
    CREATE TEMPORARY TABLE arriving (
        practice text, patient_id bigint, version integer, registered boolean, digest bytea, sealed bytea,
        terms bigint[]
    ) ON COMMIT DROP
"""
_DEPARTING = "CREATE TEMPORARY TABLE departing (practice text, patient_id bigint) ON COMMIT DROP"
_FORGET_TERMS = """
    DELETE FROM identity_terms USING (
        SELECT practice, patient_id, unnest(terms) AS term FROM identities
        JOIN (SELECT practice, patient_id FROM arriving UNION SELECT practice, patient_id FROM departing) AS changed
        USING (practice, patient_id)
    ) AS old
    WHERE identity_terms.term = old.term AND identity_terms.practice = old.practice
    AND identity_terms.patient_id = old.patient_id
"""
_FORGET = """
    DELETE FROM identities USING departing
    WHERE identities.practice = departing.practice AND identities.patient_id = departing.patient_id
"""
_WRITE = """
    INSERT INTO identities (tenant_id, practice, patient_id, version, registered, digest, sealed, terms)
    SELECT %s, practice, patient_id, version, registered, digest, sealed, terms FROM arriving
    ORDER BY practice, patient_id
    ON CONFLICT (tenant_id, practice, patient_id) DO UPDATE SET
        version = excluded.version, registered = excluded.registered, digest = excluded.digest,
        sealed = excluded.sealed, terms = excluded.terms, written = now()
"""
_WRITE_TERMS = """
    INSERT INTO identity_terms (tenant_id, term, practice, patient_id)
    SELECT %s, term, practice, patient_id FROM arriving, unnest(terms) AS term ORDER BY term, practice, patient_id
"""
