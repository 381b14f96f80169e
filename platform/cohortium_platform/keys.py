"""Keys: how a tenant's keys are wrapped, and what they do.

Here: the protocol of a key-encryption key, the file that stands for one in a demonstration, and `TenantKeys`. Not here:
where wrapped keys are kept (cohortium_tenants.keys), and what is sealed or hashed with them (identities, care, audit).

A tenant's keys are wrapped by a wrapping key of that tenant alone, which lives outside the store, the database and
their backups. A restored backup of the database brings wrapped keys back; with the wrapping key destroyed nothing opens
them, so that every copy of what they sealed stays unreadable.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cohortium_platform.errors import BadSettings, CohortiumError, Conflict, NotFound
from cohortium_platform.settings import Settings

__all__ = [
    "KEY_BYTES",
    "FileKeyEncryption",
    "KeyEncryption",
    "KeyPurpose",
    "TenantKeys",
    "WrappedKey",
    "WrappingKey",
    "load_key_encryption",
]

KEY_BYTES = 32
_NONCE_BYTES = 12


class KeyPurpose(enum.StrEnum):
    """What one of a tenant's keys is for. Each is generated on its own, so that one can be changed and others stay."""

    DATA = "data"
    """Seals identities and every patient-linked value."""
    PSEUDONYM = "pseudonym"
    """Turns an NHS number into a `patient_id`; changing it would change every pseudonym."""
    SEARCH = "search"
    """Hashes NHS numbers and name words, so that they can be found without being readable."""
    AUDIT = "audit"
    """Hashes patients in audit entries, so that "who saw me" has an answer and the log names nobody."""
    LOG = "log"
    """Signs checkpoints of the audit log (Ed25519). Opened only for that, so it is none of `TenantKeys`."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A key sealed by a key-encryption key. `key_id` names that one, so that a rotation knows what is left to do."""

    key_id: str
    sealed: bytes = field(repr=False)


class WrappingKey(Protocol):
    """A key that wraps others, wherever it lives. `context` is bound in: unwrapping under another one fails."""

    @property
    def key_id(self) -> str:
        """Which key wraps now; says nothing about its value."""

    def wrap(self, key: bytes, context: bytes) -> WrappedKey:
        """Seal a key."""

    def unwrap(self, wrapped: WrappedKey, context: bytes) -> bytes:
        """Open a sealed key. Raises `CohortiumError` when it was sealed by another key or under another context."""


class KeyEncryption(WrappingKey, Protocol):
    """The key-encryption key of an installation, and a wrapping key for each tenant that can be destroyed alone."""

    def create(self, tenant_id: UUID) -> WrappingKey:
        """Make a tenant's wrapping key, or give the one that was made. Raises `Conflict` when it was destroyed."""

    def of(self, tenant_id: UUID) -> WrappingKey:
        """A tenant's wrapping key. Raises `NotFound` when it was never made, or destroyed."""

    def destroy(self, tenant_id: UUID) -> None:
        """Destroy a tenant's wrapping key for good, and every copy that is kept of it; repeating it does nothing.

        When this returns, nothing that it wrapped can be unwrapped, wherever the wrapped key comes from.
        """


class _CipherKey:
    """A wrapping key in memory."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key_id = f"file:{hashlib.sha256(b'key id' + key).hexdigest()[:16]}"

    @property
    def key_id(self) -> str:
        """A fingerprint of the key."""
        return self._key_id

    def wrap(self, key: bytes, context: bytes) -> WrappedKey:
        """Seal a key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return WrappedKey(self._key_id, nonce + self._cipher.encrypt(nonce, key, context))

    def unwrap(self, wrapped: WrappedKey, context: bytes) -> bytes:
        """Open a sealed key. Raises `CohortiumError`."""
        if wrapped.key_id != self._key_id:
            raise CohortiumError(
                f"A key was wrapped by {wrapped.key_id}, and this is {self._key_id}.",
                "Point COHORTIUM_KEY_FILE at the file that wrapped it, with the folder of tenants' keys beside it.",
            )
        return _open(self._cipher, wrapped.sealed, context)


class FileKeyEncryption(_CipherKey):
    """A key-encryption key in a file of 32 random bytes that its owner alone may read. For a demonstration only.

    Beside it a folder holds 32 random bytes for each tenant; a tenant's wrapping key is derived from both (HKDF), so
    that neither is worth anything alone. Destroying a tenant's bytes leaves a mark, and no new ones are made over it.
    """

    def __init__(self, path: Path) -> None:
        self._key = _secret(path, "`cohortium demo` makes one; do not invent it.")
        self._tenants = path.with_name(f"{path.name}.tenants")
        super().__init__(self._key)

    @classmethod
    def create_file(cls, path: Path) -> FileKeyEncryption:
        """Make the file when it is absent, then read it."""
        _make_secret(path)
        return cls(path)

    def create(self, tenant_id: UUID) -> WrappingKey:
        """Make a tenant's wrapping key, or give the one that was made. Raises `Conflict` when it was destroyed."""
        if self._mark(tenant_id).exists():
            raise Conflict("This tenant's keys were destroyed.", "A tenant that comes back is set up as a new one.")
        _make_secret(self._tenants / str(tenant_id))
        return self.of(tenant_id)

    def of(self, tenant_id: UUID) -> WrappingKey:
        """A tenant's wrapping key. Raises `NotFound` when it was never made, or destroyed."""
        if self._mark(tenant_id).exists():
            raise NotFound("This tenant's keys were destroyed.", "Nothing that they sealed can be read again.")
        path = self._tenants / str(tenant_id)
        if not path.is_file():
            raise NotFound(
                f"There is no wrapping key of this tenant in {self._tenants}.",
                "Put the folder back from where it is kept; a demonstration is made anew by `make clean-demo demo`.",
            )
        derived = HKDF(
            SHA256(), KEY_BYTES, salt=_secret(path, "Put the original back."), info=b"tenant" + tenant_id.bytes
        )
        return _CipherKey(derived.derive(self._key))

    def destroy(self, tenant_id: UUID) -> None:
        """Destroy a tenant's wrapping key for good; repeating it does nothing.

        The mark is on disk before the bytes go, so that a run that is killed leaves a key that nobody is given.
        """
        self._tenants.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mark(tenant_id).touch(mode=0o600)
        _sync_folder(self._tenants)
        path = self._tenants / str(tenant_id)
        if path.exists():
            with path.open("r+b") as file:
                file.write(bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            _sync_folder(self._tenants)

    def _mark(self, tenant_id: UUID) -> Path:
        return self._tenants / f"{tenant_id}.destroyed"


def _secret(path: Path, advice: str) -> bytes:
    """The 32 bytes of a key file. Raises `BadSettings`."""
    if not path.is_file():
        raise BadSettings(f"There is no key file at {path}.", advice)
    if path.stat().st_mode & 0o077:
        raise BadSettings(f"Others may read the key file {path}.", f"Run: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise BadSettings(f"The key file {path} does not hold {KEY_BYTES} bytes.", "Put the original back.")
    return key


def _make_secret(path: Path) -> None:
    """Write 32 random bytes when the file is absent: under its name it is whole, whoever else makes it at once."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{secrets.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """One tenant's keys, opened. Keep them no longer than the work takes; they never show in a log or an error."""

    tenant_id: UUID
    data: bytes = field(repr=False)
    pseudonym: bytes = field(repr=False)
    search: bytes = field(repr=False)
    audit: bytes = field(repr=False)
    _cipher: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cipher", AESGCM(self.data))

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Seal a value under AES-256-GCM; the tenant and the context (which row, which version) are bound in.

        Nonces are random: one data key is good for 2**32 values (NIST SP 800-38D 8.3).
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, self._bound(context))

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Open a sealed value. Raises `CohortiumError` when anything about it is not as it was sealed."""
        return _open(self._cipher, sealed, self._bound(context))

    def search_hash(self, value: bytes) -> bytes:
        """HMAC-SHA-256 under the search key, 32 bytes."""
        return hmac.digest(self.search, value, "sha256")

    def audit_hash(self, value: bytes) -> bytes:
        """HMAC-SHA-256 under the audit key, 32 bytes."""
        return hmac.digest(self.audit, value, "sha256")

    def _bound(self, context: bytes) -> bytes:
        return self.tenant_id.bytes + context


def _open(cipher: AESGCM, sealed: bytes, context: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as wrong:
        raise CohortiumError(
            "A sealed value cannot be opened: it was altered, moved, or sealed under a key that is gone."
        ) from wrong


KMS_GROUP = "cohortium.key_management"
"""Entry points of this group are functions from an address to a `KeyEncryption`."""


def load_key_encryption(settings: Settings) -> KeyEncryption:
    """The key-encryption key that the settings name. Raises `BadSettings`."""
    if settings.key_file is not None:
        return FileKeyEncryption(settings.key_file)
    name, _, address = (settings.kms or "").partition(":")
    providers = {entry.name: entry for entry in entry_points(group=KMS_GROUP)}
    if name not in providers:
        raise BadSettings(
            f"COHORTIUM_KMS names the provider {name!r}, which is not installed.",
            f"Those installed: {', '.join(sorted(providers)) or 'none'} (entry points of the group {KMS_GROUP}).",
        )
    provider: Callable[[str], KeyEncryption] = providers[name].load()
    return provider(address)
