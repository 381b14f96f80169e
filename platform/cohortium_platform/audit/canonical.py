"""The bytes of an entry: what is hashed into the tree, exported, and verified by anyone.

Here: canonical JSON (RFC 8785) of an entry as the table holds it. Not here: the tree over these bytes (`tree`).

An entry holds text, whole numbers, true, false and null. Any other number, and one beyond 2**53 - 1 (a SNOMED CT code
may be), is written as text: no reader then needs to agree with us on how a fraction is rounded or printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import orjson

from cohortium_platform.errors import CohortiumError

__all__ = ["FORMAT", "StoredEntry", "canonical_json", "entry_bytes"]

FORMAT = 1
"""Which fields an entry's bytes have. A new field comes with a new number; older entries keep the one they have."""

_LARGEST = 2**53 - 1  # RFC 7493: beyond it, readers disagree


class StoredEntry(Protocol):
    """A row of the table, whichever way it was read."""

    @property
    def id(self) -> UUID: ...  # noqa: D102 - `audit.service.Entry` says what each means
    @property
    def ticket(self) -> int: ...  # noqa: D102
    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102
    @property
    def role(self) -> str: ...  # noqa: D102
    @property
    def organisation(self) -> str: ...  # noqa: D102
    @property
    def purpose(self) -> str: ...  # noqa: D102
    @property
    def action(self) -> str: ...  # noqa: D102
    @property
    def resource(self) -> str: ...  # noqa: D102
    @property
    def practices(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def patients(self) -> Sequence[bytes]: ...  # noqa: D102
    @property
    def policy(self) -> str: ...  # noqa: D102
    @property
    def outcome(self) -> str: ...  # noqa: D102
    @property
    def request_id(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> Mapping[str, object]: ...  # noqa: D102


def entry_bytes(entry: StoredEntry) -> bytes:
    """The canonical JSON of an entry; its moment in UTC to the microsecond, patients' keyed hashes in hexadecimal."""
    at = entry.at.astimezone(UTC)
    return orjson.dumps(
        {  # in the RFC's order, and nothing but the detail may hold what needs preparing
            "action": entry.action,
            "actor": entry.actor,
            "at": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z",
            "detail": _prepared(entry.detail),
            "format": FORMAT,
            "id": str(entry.id),
            "organisation": entry.organisation,
            "outcome": str(entry.outcome),
            "patients": [patient.hex() for patient in entry.patients],
            "policy": entry.policy,
            "practices": entry.practices,
            "purpose": entry.purpose,
            "request_id": entry.request_id,
            "resource": entry.resource,
            "role": entry.role,
            "ticket": entry.ticket,
        }
    )


def canonical_json(value: object) -> bytes:
    """RFC 8785, after numbers that readers could disagree on were turned into text."""
    return orjson.dumps(_prepared(value))


def _prepared(value: object) -> object:
    """The value with its keys in the RFC's order: by UTF-16 code units, which is not the order of code points."""
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value <= _LARGEST else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        keys = sorted(value) if all(key.isascii() for key in value) else sorted(value, key=_utf_16)
        return {key: _prepared(value[key]) for key in keys}
    if isinstance(value, Sequence):
        return [_prepared(item) for item in value]
    raise CohortiumError(f"An audit entry holds a {type(value).__name__}, which JSON does not have.")


def _utf_16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
