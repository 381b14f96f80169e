"""Pseudonyms: how a patient comes by a `patient_id`.

Here: making them. Not here: deciding which NHS numbers are to be trusted (`ingest`).

A `patient_id` is the first 8 bytes of HMAC-SHA-256 under the tenant's pseudonym key, big end first, without the highest
bit: a non-negative int64. The same NHS number has the same pseudonym whoever supplies it, for as long as the key lives.
"""

from __future__ import annotations

import hashlib

from cohortium_platform.keys import TenantKeys

__all__ = ["Pseudonyms", "pseudonym_of_nhs_number"]

_MASK = 2**63 - 1
_BLOCK = 64
_INNER, _OUTER = 0x36, 0x5C


class Pseudonyms:
    """Makes pseudonyms under one tenant's key. HMAC's two blocks of key (RFC 2104) are hashed once for all patients."""

    def __init__(self, keys: TenantKeys) -> None:
        key = keys.pseudonym.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ _INNER for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ _OUTER for byte in key))

    def of_nhs_number(self, digits: str) -> int:
        """The `patient_id` of a valid NHS number of ten digits."""
        return self._of(b"patient\0" + digits.encode())

    def of_local_id(self, practice: str, source: str, local_id: str) -> int:
        """The `patient_id` of someone without a trusted NHS number: it holds within one practice and source only."""
        return self._of(b"\0".join([b"local", practice.encode(), source.encode(), local_id.encode()]))

    def _of(self, value: bytes) -> int:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(value)
        outer.update(inner.digest())
        return int.from_bytes(outer.digest()[:8], "big") & _MASK


def pseudonym_of_nhs_number(keys: TenantKeys, digits: str) -> int:
    """The `patient_id` of one NHS number."""
    return Pseudonyms(keys).of_nhs_number(digits)
