"""Pseudonyms: how a patient comes by a `patient_id`.

Here: the two functions. Not here: deciding which NHS numbers are to be trusted (`ingest`).

A `patient_id` is the first 8 bytes of HMAC-SHA-256 under the tenant's pseudonym key, big end first, without the highest
bit: a non-negative int64. The same NHS number has the same pseudonym whoever supplies it, for as long as the key lives.
"""

from __future__ import annotations

import hmac

from cohortium_platform.keys import TenantKeys

__all__ = ["pseudonym_of_local_id", "pseudonym_of_nhs_number"]

_MASK = 2**63 - 1


def pseudonym_of_nhs_number(keys: TenantKeys, digits: str) -> int:
    """The `patient_id` of a valid NHS number of ten digits."""
    return _pseudonym(keys, b"patient\0" + digits.encode())


def pseudonym_of_local_id(keys: TenantKeys, practice: str, source: str, local_id: str) -> int:
    """The `patient_id` of someone without a trusted NHS number: it holds within one practice and source only."""
    return _pseudonym(keys, b"\0".join([b"local", practice.encode(), source.encode(), local_id.encode()]))


def _pseudonym(keys: TenantKeys, value: bytes) -> int:
    return int.from_bytes(hmac.digest(keys.pseudonym, value, "sha256")[:8], "big") & _MASK
