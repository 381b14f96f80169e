"""What an identity holds, and its one form as bytes.

Here: the fields and their JSON. Not here: sealing it (`loading`, `service`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import orjson

__all__ = ["CONTACT_FIELDS", "TEXT_FIELDS", "VERSION", "Contact", "Identity"]

VERSION = 1
"""Form of the sealed bytes. Bound into each sealed value, so that one form is never read as another."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A way to reach a patient, or a person to reach about them. `relationship` is a UK Core code such as N (next of
    kin) where the contact is another person; `value` is a number or an address.
    """

    kind: str | None
    relationship: str | None
    name: str | None
    value: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a patient is, as their practice supplied it; what was not supplied is None.

    `nhs_number` is ten digits, as given even when its check digit is wrong; `nhs_number_status` is the verification
    status code (01 is verified). Names and addresses are never normalised.
    """

    nhs_number: str | None = None
    nhs_number_status: str | None = None
    family_name: str | None = None
    given_name: str | None = None
    title: str | None = None
    date_of_birth: date | None = None
    address: str | None = None
    postcode: str | None = None
    lsoa: str | None = None
    telephone: str | None = None
    mobile: str | None = None
    email: str | None = None
    contacts: tuple[Contact, ...] = ()

    @property
    def name(self) -> str:
        """The name as the NHS writes it: SMITH, Jane (Mrs)."""
        parts = ", ".join(part for part in [(self.family_name or "").upper(), self.given_name or ""] if part)
        return f"{parts} ({self.title})" if self.title and parts else parts

    def to_bytes(self) -> bytes:
        """JSON without what is absent."""
        return orjson.dumps({key: value for key, value in _plain(self).items() if value not in (None, [])})

    @staticmethod
    def from_bytes(data: bytes) -> Identity:
        """Undo `to_bytes`."""
        found: dict[str, Any] = orjson.loads(data)
        day = found.get("date_of_birth")
        contacts = tuple(
            Contact(*(contact.get(name) for name in CONTACT_FIELDS)) for contact in found.get("contacts") or ()
        )
        texts = {name: found.get(name) for name in TEXT_FIELDS}
        return Identity(**texts, date_of_birth=None if day is None else date.fromisoformat(day), contacts=contacts)


TEXT_FIELDS = tuple(field.name for field in fields(Identity) if field.name not in {"date_of_birth", "contacts"})
"""Fields of an identity that are plain text."""
CONTACT_FIELDS = tuple(field.name for field in fields(Contact))


def _plain(identity: Identity) -> dict[str, object]:
    plain: dict[str, object] = {name: getattr(identity, name) for name in TEXT_FIELDS}
    plain["date_of_birth"] = identity.date_of_birth
    plain["contacts"] = [
        {name: getattr(contact, name) for name in CONTACT_FIELDS if getattr(contact, name) is not None}
        for contact in identity.contacts
    ]
    return plain
