"""Patient: how someone is reached, and their next of kin.

Here: choosing among telephone numbers and addresses. Not here: who the patient is.

The best of each kind stands in the patient's own columns; what is beside it, and every next of kin, is a row of
`contacts`, so that nothing is staged twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cohortium_platform.ingest.fhir.values import Json, day, text

__all__ = ["Contact", "Reach", "contacts"]

_NEXT_OF_KIN = "N"
_LAST = 99


class Reach(NamedTuple):
    """The columns of the extract's `patients` that say how someone is reached."""

    address: str | None
    postcode: str | None
    telephone: str | None
    mobile: str | None
    email: str | None


class Contact(NamedTuple):
    """One row of the extract's `contacts`; `date` is the day it is said to hold from."""

    date: str | None
    kind: str
    relationship: str | None
    name: str | None
    value: str | None


def contacts(resource: Json) -> tuple[Reach, list[Contact]]:
    """The best way of each kind to reach a patient, and all others beside it with every next of kin."""
    found = [*_telecoms(resource), *_addresses(resource)]
    best: dict[str, Contact] = {}
    for contact in found:
        best.setdefault(contact.kind, contact)
    values = {kind: contact.value for kind, contact in best.items()}
    address = next(iter(_by_preference(resource.get("address"))), {})
    reach = Reach(
        address=values.get("address"),
        postcode=text(address.get("postalCode")),
        telephone=values.get("telephone"),
        mobile=values.get("mobile"),
        email=values.get("email"),
    )
    return reach, [*(each for each in found if each is not best[each.kind]), *_next_of_kin(resource)]


def _telecoms(resource: Json) -> Iterator[Contact]:
    for telecom in _by_preference(resource.get("telecom")):
        value, kind = text(telecom.get("value")), _telecom_kind(telecom)
        if value is not None and kind is not None:
            yield Contact(_since(telecom), kind, None, None, value)


def _telecom_kind(telecom: Json) -> str | None:
    system = telecom.get("system")
    if system == "email":
        return "email"
    if system == "sms" or (system == "phone" and telecom.get("use") == "mobile"):
        return "mobile"
    return "telephone" if system == "phone" else None


def _addresses(resource: Json) -> Iterator[Contact]:
    for address in _by_preference(resource.get("address")):
        lines = [*(address.get("line") or ()), *(address.get(part) for part in ("city", "district", "state"))]
        value = ", ".join(filter(None, map(text, lines))) or text(address.get("text"))
        if value is not None:
            yield Contact(_since(address), "address", None, None, value)


def _next_of_kin(resource: Json) -> Iterator[Contact]:
    """The contacts whose relationship is next of kin (HL7 v2 table 0131, which UK Core uses)."""
    for contact in resource.get("contact") or ():
        codes = [
            coding.get("code") for each in contact.get("relationship") or () for coding in each.get("coding") or ()
        ]
        if _NEXT_OF_KIN not in codes:
            continue
        name = contact.get("name") or {}
        words = [*(name.get("prefix") or ()), *(name.get("given") or ()), name.get("family")]
        value = next((text(each.get("value")) for each in _by_preference(contact.get("telecom"))), None)
        yield Contact(
            _since(contact), "next-of-kin", _NEXT_OF_KIN, " ".join(filter(None, words)) or text(name.get("text")), value
        )


def _since(holder: Json) -> str | None:
    return day((holder.get("period") or {}).get("start"))[0]


def _by_preference(items: list[Json] | None) -> list[Json]:
    """Those still in use: by rank, then homes before the rest, then as given."""
    present = [item for item in items or () if item.get("use") != "old"]
    return sorted(present, key=lambda item: (item.get("rank") or _LAST, item.get("use") not in ("home", "mobile")))
