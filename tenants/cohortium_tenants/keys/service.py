"""Making, opening, wrapping anew and destroying a tenant's keys, in the caller's transaction."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from sqlmodel import Session, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import Conflict, NotFound
from cohortium_platform.keys import KEY_BYTES, KeyEncryption, KeyPurpose, TenantKeys, WrappedKey
from cohortium_tenants.keys.models import StoredKey

__all__ = ["create_keys", "destroy_keys", "open_keys", "open_log_key", "rewrap_keys"]


def create_keys(session: Session, key_encryption: KeyEncryption) -> TenantKeys:
    """Generate a tenant's keys and keep them wrapped. Raises `Conflict` when it has some, or had some once."""
    tenant = tenant_of(session)
    if session.exec(select(StoredKey)).first() is not None:
        raise Conflict("This tenant has keys already.", "Making new ones would make its records unreadable.")
    wrapping = key_encryption.create(tenant)
    for purpose in KeyPurpose:
        wrapped = wrapping.wrap(secrets.token_bytes(KEY_BYTES), _context(session, purpose))
        session.add(StoredKey(tenant_id=tenant, purpose=purpose, key_id=wrapped.key_id, sealed=wrapped.sealed))
    session.flush()
    return open_keys(session, key_encryption)


def open_keys(session: Session, key_encryption: KeyEncryption) -> TenantKeys:
    """A tenant's keys. Raises `NotFound` when they were never made or have been destroyed."""
    stored = {key.purpose: key for key in session.exec(select(StoredKey))}
    if set(stored) != set(KeyPurpose):
        raise NotFound("This tenant has no keys.", "Either it was never set up, or it has left and they are destroyed.")
    wrapping = key_encryption.of(tenant_of(session))
    opened = {
        purpose: wrapping.unwrap(WrappedKey(stored[purpose].key_id, stored[purpose].sealed), _context(session, purpose))
        for purpose in KeyPurpose
        if purpose != KeyPurpose.LOG
    }
    return TenantKeys(
        tenant_of(session),
        data=opened[KeyPurpose.DATA],
        pseudonym=opened[KeyPurpose.PSEUDONYM],
        search=opened[KeyPurpose.SEARCH],
        audit=opened[KeyPurpose.AUDIT],
    )


def open_log_key(session: Session, key_encryption: KeyEncryption) -> bytes:
    """The private key that signs the tenant's audit log, 32 bytes. Raises `NotFound` when it is destroyed."""
    stored = session.exec(select(StoredKey).where(StoredKey.purpose == KeyPurpose.LOG)).one_or_none()
    if stored is None:
        raise NotFound("This tenant has no keys.", "Either it was never set up, or it has left and they are destroyed.")
    wrapping = key_encryption.of(tenant_of(session))
    return wrapping.unwrap(WrappedKey(stored.key_id, stored.sealed), _context(session, KeyPurpose.LOG))


def rewrap_keys(session: Session, old: KeyEncryption, new: KeyEncryption) -> int:
    """Wrap a tenant's keys by another key-encryption key; what they sealed stays as it is. Returns how many changed.

    Keys that `new` has wrapped already are left alone, so that a rotation over many tenants can be resumed. Once this
    is committed, the tenant's wrapping key of `old` must be destroyed: older backups of the database open with it.
    """
    changed, wrapping = 0, new.create(tenant_of(session))
    for key in session.exec(select(StoredKey).with_for_update()).all():
        if key.key_id == wrapping.key_id:
            continue
        context = _context(session, KeyPurpose(key.purpose))
        opened = old.of(tenant_of(session)).unwrap(WrappedKey(key.key_id, key.sealed), context)
        wrapped = wrapping.wrap(opened, context)
        key.key_id, key.sealed, key.wrapped = wrapped.key_id, wrapped.sealed, datetime.now(UTC)
        session.add(key)
        changed += 1
    return changed


def destroy_keys(session: Session, key_encryption: KeyEncryption) -> int:
    """Destroy a tenant's keys: nothing that they sealed can be read again, whichever backup it comes from.

    The wrapping key goes first and does not come back when the transaction fails: repeat it. Returns how many wrapped
    keys there were.
    """
    key_encryption.destroy(tenant_of(session))
    keys = session.exec(select(StoredKey)).all()
    for key in keys:
        session.delete(key)
    return len(keys)


def _context(session: Session, purpose: KeyPurpose) -> bytes:
    """A wrapped key opens for its own tenant and purpose only, so that rows cannot be exchanged."""
    return tenant_of(session).bytes + purpose.encode()
