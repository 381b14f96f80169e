"""Sealing a stream under a tenant's data key, piece by piece, so that no file is held in memory.

Each stream has a key of its own, derived (HKDF-SHA-256) from the data key, 32 random bytes, the tenant and a context. A
piece's nonce holds its number and whether it is the last, so that pieces that are exchanged, left out, cut off or added
do not open (the STREAM construction).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cohortium_platform.errors import CohortiumError
from cohortium_platform.keys import KEY_BYTES, TenantKeys

__all__ = ["Readable", "opened_pieces", "sealed_bytes", "sealed_pieces"]

PIECE_BYTES = 2**20
_MAGIC = b"cohortium sealed stream 1\n"
_SALT_BYTES = 32
_TAG_BYTES = 16


class Readable(Protocol):
    """What is read in pieces; fewer bytes than asked for are the last."""

    def read(self, size: int, /) -> bytes:
        """Read so many bytes."""


def sealed_bytes(plain: int) -> int:
    """How long a stream of so many bytes is when it is sealed."""
    pieces = max(1, -(-plain // PIECE_BYTES))
    return len(_MAGIC) + _SALT_BYTES + plain + pieces * _TAG_BYTES


def sealed_pieces(keys: TenantKeys, source: Readable, context: bytes) -> Iterator[bytes]:
    """Seal what is read from `source`; it opens for this tenant and context alone."""
    salt = secrets.token_bytes(_SALT_BYTES)
    cipher = _cipher(keys, salt, context)
    yield _MAGIC + salt
    number, piece = 0, source.read(PIECE_BYTES)
    while True:
        following = source.read(PIECE_BYTES) if len(piece) == PIECE_BYTES else b""
        yield cipher.encrypt(_nonce(number, last=not following), piece, None)
        if not following:
            return
        number, piece = number + 1, following


def opened_pieces(keys: TenantKeys, source: Readable, context: bytes) -> Iterator[bytes]:
    """Open a sealed stream. Raises `CohortiumError` at the first piece that is not as it was sealed.

    Pieces given before that are authentic; the whole is so only when the last one was given.
    """
    head = source.read(len(_MAGIC) + _SALT_BYTES)
    if len(head) != len(_MAGIC) + _SALT_BYTES or not head.startswith(_MAGIC):
        raise CohortiumError("This is no sealed stream, or of another version.")
    cipher = _cipher(keys, head[len(_MAGIC) :], context)
    size = PIECE_BYTES + _TAG_BYTES
    number, piece = 0, source.read(size)
    while True:
        following = source.read(size) if len(piece) == size else b""
        try:
            yield cipher.decrypt(_nonce(number, last=not following), piece, None)
        except (InvalidTag, ValueError) as wrong:
            raise CohortiumError(
                "A sealed file cannot be opened: it was altered, cut, moved, or sealed under a key that is gone."
            ) from wrong
        if not following:
            return
        number, piece = number + 1, following


def _cipher(keys: TenantKeys, salt: bytes, context: bytes) -> AESGCM:
    info = b"cohortium sealed stream 1" + keys.tenant_id.bytes + context
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=salt, info=info).derive(keys.data))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
