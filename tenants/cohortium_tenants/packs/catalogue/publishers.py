"""Publishers and their keys: added and revoked by the operator, and asked whose signature a file carries."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from sqlmodel import Session, col, select

from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_tenants.packs.catalogue.changes import Actor, given, note
from cohortium_tenants.packs.catalogue.models import Publisher, PublisherKey

__all__ = [
    "OPERATOR",
    "add_key",
    "add_publisher",
    "find_publisher",
    "keys_in_force",
    "keys_of",
    "publishers",
    "revoke_key",
]

OPERATOR = "installation"
"""The publisher of what distributions of this installation bring. It has no key: who may install code needs none."""
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_KEY_BYTES = 32


def add_publisher(session: Session, publisher: str, *, name: str, organisation: str, by: Actor) -> Publisher:
    """Let somebody publish. Raises `BadInput` on a bad id, and `Conflict` on one that is taken."""
    if not _ID.fullmatch(publisher) or publisher == OPERATOR:
        raise BadInput(f"A publisher cannot be called {publisher!r}.", "Use small letters, digits and single hyphens.")
    if session.get(Publisher, publisher) is not None:
        raise Conflict(f"There is a publisher called {publisher} already.", "Choose another id.")
    row = Publisher(
        id=publisher,
        name=given(name, "The publisher's name"),
        organisation=given(organisation, "The publisher's organisation"),
        added=dt.datetime.now(dt.UTC),
        added_by=by.id,
    )
    session.add(row)
    note(session, by, "publisher added", f"publisher/{publisher}")
    session.flush()
    return row


def publishers(session: Session) -> Sequence[Publisher]:
    """Every publisher, by name."""
    return session.exec(select(Publisher).order_by(col(Publisher.name))).all()


def find_publisher(session: Session, publisher: str) -> Publisher:
    """One of them. Raises `NotFound`."""
    found = session.get(Publisher, publisher)
    if found is None:
        raise NotFound(f"There is no publisher called {publisher}.", "The operator adds publishers.")
    return found


def add_key(session: Session, publisher: str, public_key: str, *, holder: str, by: Actor) -> PublisherKey:
    """Add a key, given as PEM or as the 32 bytes in Base64. Raises `BadInput` when it is no Ed25519 public key, and
    `Conflict` when it is known, also as revoked: a key that was revoked never comes back.
    """
    find_publisher(session, publisher)
    raw = _raw(public_key)
    key_id = hashlib.sha256(raw).hexdigest()[:16]
    if session.get(PublisherKey, key_id) is not None:
        raise Conflict("That key is known already.", "Make a new pair of keys: a revoked one never comes back.")
    row = PublisherKey(
        key_id=key_id,
        publisher=publisher,
        public_key=raw,
        holder=given(holder, "The name of who holds the key"),
        added=dt.datetime.now(dt.UTC),
        added_by=by.id,
    )
    session.add(row)
    note(session, by, f"key {key_id} added", f"publisher/{publisher}", f"held by {row.holder}")
    session.flush()
    return row


def revoke_key(session: Session, key_id: str, *, why: str, by: Actor) -> PublisherKey:
    """Let a key prove nothing any more. Raises `NotFound`, and `Conflict` when it was revoked before."""
    row = session.get(PublisherKey, key_id)
    if row is None:
        raise NotFound("There is no such key.", "The publisher's page lists its keys.")
    if row.revoked is not None:
        raise Conflict("That key was revoked before.", "Nothing was changed.")
    row.revoked, row.revoked_by = dt.datetime.now(dt.UTC), by.id
    row.revoked_because = given(why, "The reason")
    session.add(row)
    note(session, by, f"key {key_id} revoked", f"publisher/{row.publisher}", row.revoked_because)
    session.flush()
    return row


def keys_of(session: Session, publisher: str) -> Sequence[PublisherKey]:
    """A publisher's keys, also revoked ones, the newest first."""
    query = select(PublisherKey).where(PublisherKey.publisher == publisher).order_by(col(PublisherKey.added).desc())
    return session.exec(query).all()


def keys_in_force(session: Session) -> Mapping[str, Sequence[PublisherKey]]:
    """The keys that prove something now, by publisher."""
    found: dict[str, list[PublisherKey]] = {}
    for key in session.exec(select(PublisherKey).where(col(PublisherKey.revoked).is_(None))):
        found.setdefault(key.publisher, []).append(key)
    return found


def _raw(text: str) -> bytes:
    text = text.strip()
    try:
        if text.startswith("-----BEGIN"):
            key = load_pem_public_key(text.encode("ascii"))
            if isinstance(key, Ed25519PublicKey):
                return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            raw = base64.b64decode(text, validate=True)
            if len(raw) == _KEY_BYTES:
                return raw
    except (ValueError, binascii.Error, UnicodeEncodeError):
        pass
    raise BadInput("That is no Ed25519 public key.", "Give PEM, or its 32 bytes in Base64; never the private half.")
