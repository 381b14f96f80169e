"""Taking a registry's rows under pseudonyms that hold within one approval.

A pseudonym is a keyed hash of the approval and the patient: two approvals cannot be put together by it, and nobody
without the tenant's key can make or undo it. Ages come in bands of five years, days as months, practices as places.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from cohortium_auth.policy import Action
from cohortium_platform.errors import CohortiumError
from cohortium_platform.keys import TenantKeys
from cohortium_platform.results import ListQuery, ListRow
from cohortium_plugins.model import Status
from cohortium_web.asking import Asking
from cohortium_web.pages.registry.opened import OpenedRegistry, open_registry
from cohortium_web.requiring import requires
from cohortium_web.tables import plain_cell

__all__ = ["pseudonym_of", "router"]

router = APIRouter(prefix="/registries/{pack}")

Taking = Annotated[Asking, requires(Action.EXPORT_PSEUDONYMISED)]
_BAND = 5
_OLDEST = 90
_AT_ONCE = 2_000
_HEX = 24


@router.get("/pseudonymised/")
def show_what(asking: Taking, pack: str) -> Response:
    """What the file holds, and under which approval it is taken."""
    registry = open_registry(asking, pack)
    people = registry.results.page(ListQuery(limit=0)).total
    asking.record(f"registry/{pack}/pseudonymised", practices=registry.results.practices, detail={"shown": "what"})
    return asking.page(
        "pseudonymised/what.html", title=registry.title, enough=people > 0, columns=_columns(registry), pack=pack
    )


@router.get("/pseudonymised.csv")
def take_rows(asking: Taking, pack: str) -> Response:
    """Every member left in by opt-outs, one row a patient, in the order of their pseudonyms."""
    registry, approval = open_registry(asking, pack), asking.decision.approval
    if approval is None:
        raise CohortiumError("Rows would be taken under no approval.", "The policy must demand one.")
    rows = sorted(
        (pseudonym_of(asking.keys, approval, row.patient_id), _cells(registry, row)) for row in _everyone(registry)
    )
    practices = registry.results.practices
    asking.record(f"registry/{pack}/pseudonymised", practices=practices, detail={"shown": "csv", "rows": len(rows)})
    headers = {"content-disposition": f'attachment; filename="{pack}-{registry.index_date:%Y-%m}.csv"'}
    lines = _lines(["pseudonym", *_columns(registry)], [[name, *cells] for name, cells in rows])
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


def pseudonym_of(keys: TenantKeys, approval: UUID, patient_id: int) -> str:
    """A patient's name within one approval: 96 bits in hexadecimal."""
    return keys.search_hash(b"approval" + approval.bytes + patient_id.to_bytes(8, "big")).hex()[:_HEX]


def _columns(registry: OpenedRegistry) -> list[str]:
    strata = [stratifier.name for stratifier in registry.registered.definition.stratifiers]
    return ["age", "sex", "place", "since", *strata, *(indicator.name for indicator in registry.indicators)]


def _everyone(registry: OpenedRegistry) -> Iterator[ListRow]:
    total, offset = 1, 0
    while offset < total:
        page = registry.results.page(ListQuery(offset=offset, limit=_AT_ONCE))
        total = page.total
        yield from page.rows
        offset += _AT_ONCE


def _cells(registry: OpenedRegistry, row: ListRow) -> list[str]:
    asking = registry.asking
    places = sorted(asking.organisations.places_of(row.practice, asking.on))
    strata = [row.strata.get(each.name) or "" for each in registry.registered.definition.stratifiers]
    statuses = [str(row.statuses.get(each.name, Status.NOT_APPLICABLE)) for each in registry.indicators]
    since = "" if row.since is None else f"{row.since:%Y-%m}"
    return [_band(row.age), row.sex or "", " ".join(places), since, *strata, *statuses]


def _band(age: int | None) -> str:
    if age is None:
        return ""
    first = age - age % _BAND
    return f"{_OLDEST}+" if first >= _OLDEST else f"{first}-{first + _BAND - 1}"


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, *rows):
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow([plain_cell(cell) for cell in row])
        yield text.getvalue()
