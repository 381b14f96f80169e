"""Writing identities in bulk: millions in minutes, and only those that changed.

Here: sealing a practice's identities into a file, and bringing that file into the database. Not here: where they come
from (`ingest`).

Sealing happens before the load's transaction, into a file of rows in PostgreSQL's binary COPY form; the transaction
only copies that file. COPY may not write to a table under row-level security, so it fills a temporary table first.
Rows are sealed in the order of practice and patient, and go into the store as they come: sorting them would spill.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

import psycopg
from sqlalchemy import text
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.identities.identity import VERSION
from cohortium_platform.identities.models import SealedIdentity
from cohortium_platform.identities.terms import Terms
from cohortium_platform.keys import TenantKeys

__all__ = [
    "IdentityBatch",
    "IdentityChanges",
    "IdentitySealer",
    "apply_changes",
    "bound_to",
    "digests",
    "rebuild_terms",
]

_DIGEST_BYTES = 16
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_COPY_END = struct.pack(">h", -1)
_INT8_OID = 20
_COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class IdentityBatch:
    """Identities of one practice, as columns of one length.

    `plain` is `Identity.to_bytes`; `names` are columns as well, family names and given names; `untrusted_numbers` are
    NHS numbers that the pseudonym was not made of, and by which the patient is to be found all the same.
    """

    practice: str
    patient_ids: Sequence[int]
    registered: Sequence[bool]
    plain: Sequence[bytes]
    names: Sequence[Sequence[str | None]]
    untrusted_numbers: Sequence[str | None]


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
        self._empty_digest = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=keys.search, person=b"identity")
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
        row, of_name = _RowForm(batch.practice), self._terms.of_name
        whose = zip(batch.patient_ids, batch.registered, batch.plain, batch.untrusted_numbers, strict=True)
        for (patient, registered, plain, number), names in zip(whose, zip(*batch.names, strict=True), strict=True):
            digest = self._digest(plain, registered=registered)
            if known.get(patient) == digest:
                continue
            terms = {term for name in names if name for term in of_name(name)}
            if number is not None:
                terms.add(self._terms.nhs_number(number))
            sealed = self._keys.seal(plain, bound_to(batch.practice, patient, VERSION))
            self._file.write(row.of(patient, sealed, digest, sorted(terms), registered=registered))
            self.changes.written += 1
        self.changes.departed[batch.practice] = sorted(known.keys() - set(batch.patient_ids))

    def _digest(self, plain: bytes, *, registered: bool) -> bytes:
        """A keyed hash: it says that two deliveries agree, and nothing of what they say."""
        said = self._empty_digest.copy()
        said.update(bytes((VERSION, registered)) + plain)
        return said.digest()


class _RowForm:
    """Rows of `_ARRIVING` in PostgreSQL's binary COPY form: how many fields, then each after its length, big end first.

    The forms of a practice's rows are alike but for the number of terms, so that each is worked out once.
    """

    def __init__(self, practice: str) -> None:
        name = practice.encode()
        self._begin = struct.pack(">hi", 7, len(name)) + name
        self._fixed = struct.Struct(f">iqiii?i{_DIGEST_BYTES}si")
        self._arrays: dict[int, struct.Struct] = {}

    def of(self, patient: int, sealed: bytes, digest: bytes, terms: Sequence[int], *, registered: bool) -> bytes:
        """One row."""
        fixed = self._fixed.pack(8, patient, 4, VERSION, 1, registered, _DIGEST_BYTES, digest, len(sealed))
        return b"".join((self._begin, fixed, sealed, self._array(terms)))

    def _array(self, terms: Sequence[int]) -> bytes:
        """An array of int8: its length, dimensions, elements each after its length."""
        count = len(terms)
        if not count:
            return struct.pack(">iiii", 12, 0, 0, _INT8_OID)
        if count not in self._arrays:
            self._arrays[count] = struct.Struct(">iiiiii" + "iq" * count)
        elements = [8] * (2 * count)
        elements[1::2] = terms
        return self._arrays[count].pack(20 + 12 * count, 1, 0, _INT8_OID, count, 1, *elements)


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
        cursor.execute("ANALYZE departing")
        cursor.execute(_FORGET)
        cursor.execute(_WRITE, (tenant_of(session),))
        changed = cursor.execute("SELECT practice FROM arriving UNION SELECT practice FROM departing").fetchall()
        cursor.execute("DROP TABLE arriving, departing")
    rebuild_terms(session, frozenset(practice for (practice,) in changed))
    session.expire_all()


def rebuild_terms(session: Session, practices: Collection[str]) -> None:
    """Make the terms of these practices anew from their identities."""
    names = {"tenant": tenant_of(session), "practices": sorted(practices)}
    session.connection().execute(text(_FORGET_TERMS), names)
    session.connection().execute(text(_WRITE_TERMS), names)


_ARRIVING = """
    CREATE TEMPORARY TABLE arriving (
        practice text, patient_id bigint, version integer, registered boolean, digest bytea, sealed bytea,
        terms bigint[]
    ) ON COMMIT DROP
"""
_DEPARTING = "CREATE TEMPORARY TABLE departing (practice text, patient_id bigint) ON COMMIT DROP"
_FORGET = """
    DELETE FROM identities USING departing
    WHERE identities.practice = departing.practice AND identities.patient_id = departing.patient_id
"""
_WRITE = """
    INSERT INTO identities (tenant_id, practice, patient_id, version, registered, digest, sealed, terms)
    SELECT %s, practice, patient_id, version, registered, digest, sealed, terms FROM arriving
    ON CONFLICT (tenant_id, practice, patient_id) DO UPDATE SET
        version = excluded.version, registered = excluded.registered, digest = excluded.digest,
        sealed = excluded.sealed, terms = excluded.terms, written = now()
"""
_FORGET_TERMS = "DELETE FROM identity_terms WHERE practice = ANY(:practices)"
_WRITE_TERMS = """
    INSERT INTO identity_terms (tenant_id, practice, term, patient_ids)
    SELECT CAST(:tenant AS uuid), practice, term, array_agg(patient_id)
    FROM identities, unnest(terms) AS term
    WHERE practice = ANY(:practices) GROUP BY practice, term ORDER BY practice, term
"""
