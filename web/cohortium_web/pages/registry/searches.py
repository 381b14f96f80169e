"""Searching by NHS number or name, without either ever standing in an address or a log.

The text comes in the body of a POST and is kept sealed under the tenant's key in a row of the session; the address of
the list names that row by a random number. So the list can be paged, filtered, reloaded and gone back to, while
histories, proxies and access logs hold a number that means nothing, and nothing at all in another session. The text is
found by keyed hashes (cohortium_platform.identities); no identity is opened but those of the page shown.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

from cohortium_platform import identities
from cohortium_platform.errors import BadInput, NotFound
from cohortium_web.asking import Asking
from cohortium_web.pages.registry.models import KeptSearch

__all__ = ["LONGEST", "found_by", "keep", "text_of"]

LONGEST = 200
"""Characters of a search: more than any name."""


def keep(asking: Asking, text: str) -> UUID:
    """Keep a search for this session; returns its number. Raises `BadInput` when the text is longer than any name."""
    if len(text) > LONGEST:
        raise BadInput("That is too long for a name or an NHS number.", "Give less of it.")
    search = KeptSearch(tenant_id=asking.who.tenant_id, session=asking.who.session, sealed=b"", made=datetime.now(UTC))
    search.sealed = asking.keys.seal(text.encode(), _bound(search.id))
    asking.session.add(search)
    asking.session.flush()
    return search.id


def text_of(asking: Asking, number: UUID) -> str:
    """What was searched for. Raises `NotFound` for a search of another session."""
    search = asking.session.get(KeptSearch, (asking.who.tenant_id, number))
    if search is None or search.session != asking.who.session:
        raise NotFound("That search has ended.", "Search again from the list.")
    return asking.keys.open(search.sealed, _bound(number)).decode()


def found_by(asking: Asking, text: str, practices: Collection[str]) -> list[int]:
    """Patients of these practices whom a text finds."""
    return sorted(identities.search(asking.session, asking.keys, text, practices=practices))


def _bound(number: UUID) -> bytes:
    return b"search" + number.bytes
