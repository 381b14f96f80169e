"""Who is meant: the names under which a resource can be referred to, and what a reference asks for.

Here: turning a Reference into the names it may be found under, strongest first, and a resource into the names it
answers to. Not here: the join between the two, which is done over the whole delivery at once (`resolving`).

Names are plain text: `Patient/1`, `https://server/fhir/Patient/1`, `urn:uuid:...`, `12#urn:uuid:...` (the same, within
Bundle 12 only) and `Patient?system|value`. One name that fits two resources finds neither, since a record filed under
the wrong person is worse than one left out; only NHS numbers may be shared, as one person may have two resources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from cohortium_platform.ingest.fhir.values import Json, text

__all__ = [
    "NDJSON",
    "NHS_NUMBER",
    "ODS_CODE",
    "SEPARATOR",
    "Origin",
    "contained",
    "identity",
    "lookup",
    "names",
    "system_of",
]

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
ODS_CODE = "https://fhir.nhs.uk/Id/ods-organization-code"

_SAME_SYSTEM = {
    "http://fhir.nhs.uk/Id/nhs-number": NHS_NUMBER,
    "urn:oid:2.16.840.1.113883.2.1.4.1": NHS_NUMBER,
    "http://fhir.nhs.uk/Id/ods-organization-code": ODS_CODE,
    "https://fhir.nhs.uk/id/ods-organization-code": ODS_CODE,
}

SEPARATOR = "\x1f"
_ADDRESS = re.compile(r"(?:(https?://[^\s?#]+)/)?([A-Z][A-Za-z]+)/([^/\s?#]+)(?:/_history/[^/\s]+)?/?")
_UUID_LENGTH = 36


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a resource stands.

    `base` is its server's address as its full URL gives it, `scope` tells its Bundle apart from every other, `full_url`
    is the entry's own.
    """

    base: str = ""
    scope: str = ""
    full_url: str = ""

    @classmethod
    def of_entry(cls, full_url: str, scope: str) -> Origin:
        """The origin of a Bundle's entry."""
        match = _ADDRESS.fullmatch(full_url)
        return cls(base=(match[1] + "/") if match and match[1] else "", scope=scope, full_url=full_url)


NDJSON = Origin()
"""The origin of a resource that stands on a line of its own."""


def identity(kind: str, resource: Json, origin: Origin) -> str | None:
    """What makes two resources of a delivery versions of one: the id, within its server. Nothing without an id."""
    number = resource.get("id")
    return f"{origin.base}{kind}/{number}" if number else None


def names(kind: str, resource: Json, origin: Origin) -> Iterator[str]:
    """Names that a resource answers to."""
    if number := text(resource.get("id")):
        yield f"{kind}/{number}"
        if len(number) == _UUID_LENGTH:
            yield f"urn:uuid:{number.lower()}"
    if origin.full_url.startswith("urn:"):
        urn = origin.full_url.lower()
        yield urn
        yield f"{origin.scope}#{urn}"
    elif origin.full_url:
        yield _without_version(origin.full_url)
    for identifier in resource.get("identifier") or ():
        if name := _identifier_name(kind, identifier):
            yield name


def lookup(kind: str, reference: Json, holder: Json, origin: Origin) -> str | None:
    """Names under which the target of a reference to a `kind` may be found, strongest first, joined by `SEPARATOR`.

    Nothing when the reference names no target. `holder` is the resource that holds the reference, for `#contained`.
    """
    address = reference.get("reference")
    if type(address) is str and address:
        # The commonest form by far, without the cost of the general one.
        if not origin.base and address.startswith(kind) and address.count("/") == 1 and "?" not in address:
            return address
        if address[0] == "#":
            target = contained(holder, address)
            return SEPARATOR.join(_identifier_names(kind, target)) or None if target else None
        return SEPARATOR.join(_address_names(address, origin)) or None
    identifier = reference.get("identifier")
    return _identifier_name(kind, identifier) if identifier else None


def contained(holder: Json, address: str) -> Json | None:
    """The contained resource that `#address` means."""
    for inner in holder.get("contained") or ():
        if inner.get("id") in (address[1:], address):
            found: Json = inner
            return found
    return None


def _address_names(address: str, origin: Origin) -> Iterator[str]:
    if address.startswith("urn:"):
        urn = address.lower()
        if origin.scope:
            yield f"{origin.scope}#{urn}"
        yield urn
        return
    if "?" in address:
        yield from _conditional_names(address)
        return
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return
    base = match[1] + "/" if match[1] else origin.base
    if base:
        yield f"{base}{match[2]}/{match[3]}"
    yield f"{match[2]}/{match[3]}"


def _conditional_names(address: str) -> Iterator[str]:
    """Names of a conditional reference, `Patient?identifier=system|value`."""
    parts = urlsplit(address)
    kind = parts.path.rpartition("/")[2]
    for token in parse_qs(parts.query).get("identifier", ()):
        system, bar, value = token.partition("|")
        if bar and (name := _identifier_name(kind, {"system": system, "value": value})):
            yield name


def _without_version(url: str) -> str:
    return url.partition("/_history/")[0]


def _identifier_names(kind: str, resource: Json) -> list[str]:
    """Names by identifier, the NHS number first."""
    found = [name for each in resource.get("identifier") or () if (name := _identifier_name(kind, each))]
    return sorted(found, key=lambda name: NHS_NUMBER not in name)


def _identifier_name(kind: str, identifier: Json) -> str | None:
    system, value = system_of(identifier), text(identifier.get("value"))
    if value is None:
        return None
    if system in (NHS_NUMBER, ODS_CODE):
        value = value.replace(" ", "").replace("-", "").upper()
    return f"{kind}?{system}|{value}"


def system_of(identifier: Json) -> str:
    """An identifier's system in its present spelling."""
    system = (text(identifier.get("system")) or "").rstrip("/")
    return _SAME_SYSTEM.get(system, system)
