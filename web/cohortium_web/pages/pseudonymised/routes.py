"""Taking a registry's rows under pseudonyms that hold within one approval.

A pseudonym is a keyed hash of the approval and the patient: two approvals cannot be put together by it, and nobody
without the tenant's key can make or undo it. Ages come in bands, days as months, practices as places, and whoever is
one of too few is made coarser or held back: as few as are hidden in counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from cohortium_auth.ig_settings import suppression_policy
from cohortium_auth.policy import Action
from cohortium_platform.errors import CohortiumError
from cohortium_platform.keys import TenantKeys
from cohortium_platform.results import ListQuery, ListRow
from cohortium_platform.spreadsheets import plain_cell
from cohortium_platform.statistics import made_alike
from cohortium_plugins.model import Status
from cohortium_web.asking import Asking
from cohortium_web.pages.pseudonymised.identifying import COLUMNS, WITHHELD, Identifying, in_words, steps
from cohortium_web.pages.registry.opened import OpenedRegistry, open_registry
from cohortium_web.requiring import requires

__all__ = ["AlikeRows", "alike_rows", "pseudonym_of", "router"]

router = APIRouter(prefix="/registries/{pack}")

Taking = Annotated[Asking, requires(Action.EXPORT_PSEUDONYMISED)]
_AT_ONCE = 2_000
_HEX = 24


@dataclass(frozen=True, slots=True)
class AlikeRows:
    """What may leave: rows with what is shown of who they are. `least` are alike in that; `held_back` were too few."""

    shown: Sequence[tuple[ListRow, tuple[str, ...]]]
    least: int
    held_back: int

    @property
    def coarser(self) -> int:
        """How many rows have something withheld."""
        return sum(WITHHELD in cells for _, cells in self.shown)

    def under_pseudonyms(self, registry: OpenedRegistry, approval: UUID) -> Sequence[tuple[Sequence[str], int]]:
        """Each row's cells, from its pseudonym to its statuses, and whose it is; in the order of their pseudonyms."""
        keys, least = registry.asking.keys, str(self.least)
        return sorted(
            ([pseudonym_of(keys, approval, row.patient_id), least, *shown, *_statuses(registry, row)], row.patient_id)
            for row, shown in self.shown
        )


@router.get("/pseudonymised/")
def show_what(asking: Taking, pack: str) -> Response:
    """What the file holds, and under which approval it is taken."""
    registry = open_registry(asking, pack)
    rows = alike_rows(registry)
    asking.record(f"registry/{pack}/pseudonymised", practices=registry.results.practices, detail={"shown": "what"})
    return asking.page(
        "pseudonymised/what.html",
        title=registry.title,
        rows=rows,
        coarser=in_words(),
        withheld=WITHHELD,
        columns=_columns(registry),
        pack=pack,
    )


@router.get("/pseudonymised.csv")
def take_rows(asking: Taking, pack: str) -> Response:
    """Members left in by opt-outs and alike with enough others, one row a patient, in the order of their pseudonyms."""
    registry, approval = open_registry(asking, pack), asking.decision.approval
    if approval is None:
        raise CohortiumError("Rows would be taken under no approval.", "The policy must demand one.")
    rows = alike_rows(registry)
    _record(asking, registry, rows)
    name = f"{pack}-{registry.index_date:%Y-%m}-{rows.least}-alike-{rows.held_back}-held-back"
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    cells = [cells for cells, _ in rows.under_pseudonyms(registry, approval)]
    lines = _lines(["pseudonym", "at-least-alike", *_columns(registry)], cells)
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


def pseudonym_of(keys: TenantKeys, approval: UUID, patient_id: int) -> str:
    """A patient's name within one approval: 96 bits in hexadecimal."""
    return keys.search_hash(b"approval" + approval.bytes + patient_id.to_bytes(8, "big")).hex()[:_HEX]


def _record(asking: Asking, registry: OpenedRegistry, rows: AlikeRows) -> None:
    """One entry for so many patients: whoever asks who was shown a row of theirs is told of this one."""
    detail = {"shown": "csv", "rows": len(rows.shown), "held-back": rows.held_back, "alike": rows.least}
    patients = [row.patient_id for row, _ in rows.shown]
    for some in [patients[at : at + _AT_ONCE] for at in range(0, len(patients), _AT_ONCE)] or [[]]:
        asking.record(
            f"registry/{registry.id}/pseudonymised", practices=registry.results.practices, patients=some, detail=detail
        )


def alike_rows(registry: OpenedRegistry) -> AlikeRows:
    """Read everyone whom opt-outs leave in, made coarser or held back where too few are alike."""
    least = suppression_policy(registry.asking.session).threshold + 1
    everyone = list(_everyone(registry))
    strata = len(registry.registered.definition.stratifiers)
    shown = made_alike([_identifying(registry, row) for row in everyone], steps(strata), least)
    kept = [(row, cells) for row, cells in zip(everyone, shown, strict=True) if cells is not None]
    return AlikeRows(kept, least, len(everyone) - len(kept))


def _columns(registry: OpenedRegistry) -> list[str]:
    """Names as files of exporters have them too: a pack may have a group called "sex"."""
    strata = [f"stratifier:{stratifier.name}" for stratifier in registry.registered.definition.stratifiers]
    return [*COLUMNS, *strata, *(f"indicator:{indicator.name}" for indicator in registry.indicators)]


def _everyone(registry: OpenedRegistry) -> Iterator[ListRow]:
    total, offset = 1, 0
    while offset < total:
        page = registry.results.page(ListQuery(offset=offset, limit=_AT_ONCE))
        total = page.total
        yield from page.rows
        offset += _AT_ONCE


def _identifying(registry: OpenedRegistry, row: ListRow) -> Identifying:
    asking = registry.asking
    places = sorted(asking.organisations.places_of(row.practice, asking.on))
    strata = (row.strata.get(each.name) or "" for each in registry.registered.definition.stratifiers)
    return Identifying(row.age, row.sex or "", " ".join(places), row.since, tuple(strata))


def _statuses(registry: OpenedRegistry, row: ListRow) -> list[str]:
    return [str(row.statuses.get(each.name, Status.NOT_APPLICABLE)) for each in registry.indicators]


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, *rows):
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow([plain_cell(cell) for cell in row])
        yield text.getvalue()
