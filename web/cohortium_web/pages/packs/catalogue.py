"""Routes of the catalogue: packs and their versions, every rule in words, what the server's own checks gave, what
differs between two versions, and the file itself. Not here: changing anything.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.policy import Action
from cohortium_platform.engine.comparing import differing
from cohortium_plugins.model.serialise import bind
from cohortium_plugins.pack import Pack
from cohortium_plugins.statement import statement
from cohortium_tenants.packs import enabled_packs, enablements, former_of
from cohortium_tenants.packs.catalogue.changes import catalogue_changes
from cohortium_tenants.packs.catalogue.deciding import Standing, standing_of, subject_of
from cohortium_tenants.packs.catalogue.models import Source
from cohortium_tenants.packs.catalogue.versions import content_of, enter_installed, find_version, pack_of, versions_of
from cohortium_tenants.packs.previews import previews_of
from cohortium_web.asking import Asking
from cohortium_web.pages.packs.shown import choice_words, enabled_here, standing_cells, switch_of, who
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/packs")

Reading = Annotated[Asking, requires(Action.VIEW_CATALOGUE)]
_OF_ICB = frozenset({Action.ENABLE_PACK, Action.REPORT_INCIDENT})
"""Those who may do one of these see who enabled what here."""
_COLUMNS = (
    Column("pack", "Pack"),
    Column("version", "Version"),
    Column("publisher", "Publisher"),
    Column("state", "State"),
    Column("sign-off", "Signed off by"),
    Column("added", "In the catalogue since"),
    Column("here", "In this ICB"),
)


@router.get("/")
def show_catalogue(asking: Reading, state: str = "") -> Response:
    """Every version of every pack."""
    enter_installed(asking.session)
    here = {row.content_hash: row.enabled for row in enabled_packs(asking.session)}
    standings = [standing_of(asking.session, row) for row in versions_of(asking.session)]
    states = sorted({each.word for each in standings})
    rows = [_row(each, here) for each in standings if state in {"", each.word}]
    asking.record("packs", detail={"shown": "catalogue"})
    table = Table("packs", "Packs and their versions", _COLUMNS, rows, "No version is like that.")
    return asking.answer(table, "packs/catalogue.html", states=states, state=state, actions=asking.actions, may=Action)


def _row(standing: Standing, here: Mapping[str, object]) -> list[Cell]:
    row = standing.row
    word, tag = standing_cells(standing)
    signed = ", ".join(f"{each.person} ({each.role})" for each in standing.sign_offs)
    if not signed and row.source == Source.INSTALLED:
        signed = "with the installation"
    return [
        Cell(row.title, href=f"/packs/{row.pack}/"),
        Cell(row.version, href=f"/packs/{row.pack}/versions/{row.version}/"),
        Cell(row.publisher),
        Cell(word, tag=tag),
        Cell(signed),
        Cell(row.added),
        Cell("enabled" if row.content_hash in here else "", tag="green"),
    ]


@router.get("/{pack}/")
def show_pack(asking: Reading, pack: str) -> Response:
    """One pack: its versions, and what this ICB has of it."""
    newest = find_version(asking.session, pack)
    standings = [standing_of(asking.session, row) for row in versions_of(asking.session, pack)]
    enabled = enabled_here(asking, pack)
    history = enablements(asking.session, pack) if _OF_ICB & asking.actions else []
    here = {} if enabled is None else {enabled.content_hash: enabled.enabled}
    rows = [_row(each, here) for each in standings]
    now = next(
        (each for each in standings if enabled is not None and each.row.content_hash == enabled.content_hash), None
    )
    job = switch_of(asking, pack)
    if asking.request.headers.get("hx-request") and (job is None or job.finished is not None):
        asking.record(f"pack/{pack}", detail={"shown": "progress"})
        return Response(headers={"HX-Refresh": "true"})
    asking.record(f"pack/{pack}", detail={"shown": "pack"})
    table = Table(f"{pack}-versions", f"Versions of {newest.title}", _COLUMNS, rows, "There is no version.")
    return asking.answer(
        table,
        "packs/pack.html",
        pack=newest,
        enabled=enabled,
        now=now,
        former=None if enabled is None else former_of(asking.session, pack),
        job=job,
        history=history,
        previews=previews_of(asking.session, pack, limit=10) if Action.PREVIEW_PACK in asking.actions else [],
        names=who(asking, [each.by for each in history]),
        actions=asking.actions,
        may=Action,
    )


@router.get("/{pack}/versions/{version}/")
def show_version(asking: Reading, pack: str, version: str, against: str = "") -> Response:
    """One version: what it says in words, how it was checked, who signed it off; and what differs from another."""
    row = find_version(asking.session, pack, version)
    found, standing = pack_of(asking.session, row), standing_of(asking.session, row)
    others = [each for each in versions_of(asking.session, pack) if each.content_hash != row.content_hash]
    other = find_version(asking.session, pack, against) if against else None
    asking.record(subject_of(row), detail={"shown": "version", "against": against})
    word, tag = standing_cells(standing)
    return asking.page(
        "packs/version.html",
        row=row,
        standing=standing,
        word=word,
        tag=tag,
        words=_blocks(statement(found.definition)),
        parameters=[(each.title, choice_words(each.default), [choice_words(c) for c in each.choices])
                    for each in found.definition.parameters],
        codelists=sorted(found.definition.codelists.values(), key=lambda codelist: codelist.name),
        others=others,
        other=other,
        differences=None if other is None else differences(pack_of(asking.session, other), found),
        changes=catalogue_changes(asking.session, subject_of(row)),
        actions=asking.actions,
        may=Action,
        today=asking.on,
    )  # fmt: skip


@router.get("/{pack}/versions/{version}/file")
def take_file(asking: Reading, pack: str, version: str) -> Response:
    """The version's file as it was signed."""
    row = find_version(asking.session, pack, version)
    asking.record(subject_of(row), detail={"shown": "file"})
    headers = {"content-disposition": f'attachment; filename="{row.pack}-{row.version}.pack"'}
    return Response(
        content_of(asking.session, row.content_hash), media_type="application/octet-stream", headers=headers
    )


def _blocks(markdown: str) -> Sequence[tuple[str, Sequence[str]]]:
    """A statement's headings, lines and lists, each with what it is: `h3`, `h4`, `p` or `ul`."""
    blocks: list[tuple[str, list[str]]] = []
    for line in markdown.splitlines():
        if line.startswith("### "):
            blocks.append(("h4", [line[4:]]))
        elif line.startswith("## "):
            blocks.append(("h3", [line[3:]]))
        elif line.startswith("- "):
            if not blocks or blocks[-1][0] != "ul":
                blocks.append(("ul", []))
            blocks[-1][1].append(line[2:])
        elif line.strip():
            blocks.append(("p", [line]))
    return blocks


def differences(before: Pack, after: Pack) -> Sequence[tuple[str, str, Sequence[str]]]:
    """What differs between two versions: kind, name, and lines that begin with + (new) or - (gone)."""
    parts = differing(bind(before.definition), bind(after.definition))
    found: list[tuple[str, str, Sequence[str]]] = []
    for name in sorted({*before.definition.codelists, *after.definition.codelists}):
        lines = _codes(before, after, name)
        if lines:
            found.append(("Codelist", name, lines))
    old, new = (statement(each.definition).splitlines() for each in (before, after))
    lines = [
        line for line in difflib.unified_diff(old, new, lineterm="", n=0)
        if line[:1] in "+-" and line[:3] not in {"+++", "---"} and line[1:].strip()
    ]  # fmt: skip
    if lines:
        found.append(("Rules", "in words", lines))
    touched = sorted((*parts.cohorts, *parts.indicators))
    if touched:
        found.append(("What may change for patients", "", [f"  {name}" for name in touched]))
    return found


def _codes(before: Pack, after: Pack, name: str) -> Sequence[str]:
    held = [each.definition.codelists.get(name) for each in (before, after)]
    old, new = ({} if each is None else {(c.code, c.category): c.term for c in each.codes} for each in held)
    gone = [f"- {code} {term}" for (code, category), term in old.items() if (code, category) not in new]
    return [*gone, *(f"+ {code} {term}" for (code, category), term in new.items() if (code, category) not in old)]
