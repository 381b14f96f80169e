"""People for whom a previewed version changes something, for those who look after them: counts by place, PCN and
practice of their own reach, and a sample, each explained as it is now and as it would be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from cohortium_auth.policy import OF_PATIENTS, Action, PatientScope, patients_left_in
from cohortium_platform import identities
from cohortium_platform.database import tenant_of
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.comparing import COHORT
from cohortium_platform.engine.explain import load_record
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.records import RecordStore
from cohortium_platform.statistics import Level
from cohortium_plugins.explain import explain
from cohortium_plugins.model import Cohort, Definition
from cohortium_plugins.record import Record
from cohortium_plugins.words import Words
from cohortium_tenants.packs import EnabledPack, Preview, definition_of, propose
from cohortium_tenants.packs.files import TenantFiles
from cohortium_tenants.packs.previews import choice_of, find_preview, previews_of
from cohortium_tenants.sensitive import list_version, sensitive_codes, without_codes
from cohortium_web.asking import Asking
from cohortium_web.pages.packs.previews import organisation_path, titles, words_of
from cohortium_web.requiring import requires
from cohortium_web.tables import Cell, Column, Table

__all__ = ["router"]

router = APIRouter(prefix="/packs/{pack}/previews")

Viewing = Annotated[Asking, requires(Action.VIEW_REGISTRY)]
_SAMPLE = 10
_LEVELS: Mapping[Level, str] = {Level.PRACTICE: "Practice", Level.PCN: "PCN", Level.PLACE: "Place"}
_COLUMNS = (
    Column("what", "Cohort or measure"),
    Column("from", "Now"),
    Column("to", "Then"),
    Column("organisation", "Where"),
    Column("people", "People", numeric=True),
)
_CHANGES = """
    SELECT practice, patient_id, part, name, before, after FROM read_parquet($file)
    WHERE list_contains($reach, practice) ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class Changed:
    """Something that changes for a patient."""

    practice: str
    patient_id: int
    part: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Line:
    """What changes for a patient: what it is called, how it stands, and why, each now and then."""

    title: str
    stands: Sequence[str]
    why: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sampled:
    """A patient of the sample: who, and what would change and why."""

    name: str
    practice: str
    changes: Sequence[Line]


@router.get("/")
def show_previews(asking: Viewing, pack: str) -> Response:
    """The finished previews of a pack, for those who see its people."""
    found = [each for each in previews_of(asking.session, pack) if each.finished is not None]
    if not found and pack not in asking.registries:
        raise NotFound("There is no such registry.", "Choose one from the home page.")
    asking.record(f"registry/{pack}/previews", detail={"shown": "previews"})
    return asking.page("packs/previews.html", pack=pack, previews=found)


@router.get("/{preview}/people/")
def show_people(asking: Viewing, pack: str, preview: UUID, what: str = "", level: str = Level.PRACTICE) -> Response:
    """What changes for the people in reach: counts, and a sample explained."""
    found = find_preview(asking.session, pack, preview)
    if found.finished is None:
        raise NotFound("That preview is not finished.", "Look again in a minute.")
    if level not in _LEVELS:
        raise BadInput("There is no such level of organisation.", "Choose one from the list.")
    changes = _changes(asking, found)
    names = titles(asking, found)
    things = sorted({(each.part, each.name) for each in changes}, key=lambda key: names.get(key, key[1]))
    chosen = next((key for key in things if f"{key[0]}:{key[1]}" == what), None)
    shown = [each for each in changes if chosen in {None, (each.part, each.name)}]
    sample = _sample(asking, found, shown)
    asking.record(
        f"registry/{pack}/patient",
        practices=sorted({each.practice for each in shown if each.patient_id in sample}),
        patients=sorted(sample),
        detail={"shown": "preview", "preview": str(preview), "what": what if chosen else ""},
    )
    return asking.answer(
        _table(asking, found, shown, Level(level), names),
        "packs/people.html",
        preview=found,
        pack=pack,
        things=[(f"{part}:{name}", names.get((part, name), name), (part, name) == chosen) for part, name in things],
        levels=[(each.value, title, each == level) for each, title in _LEVELS.items()],
        sample=list(sample.values()),
        stale=found.sensitive_version != list_version(asking.session),
    )


def _changes(asking: Asking, found: Preview) -> Sequence[Changed]:
    """What changes for people of practices in reach whom the permission leaves in."""
    file = TenantFiles(asking.site.settings.store_root, asking.who.tenant_id).path(found.path)
    rows = asking.site.results.rows(_CHANGES, {"file": str(file), "reach": sorted(asking.practices)})
    changes = [Changed(*(cast("str", part or "") for part in row)) for row in rows]  # type: ignore[arg-type]
    if not asking.decision.obligations & OF_PATIENTS:
        return changes
    store = RecordStore(asking.site.settings.store_root, asking.who.tenant_id)
    cursor, organisation = asking.site.results.cursor(), asking.who.organisation
    scope = PatientScope(asking.session, store, cursor, found.snapshot or 0, organisation, asking.on)
    people = sorted({each.patient_id for each in changes})
    left = patients_left_in(scope, asking.decision.obligations, people)
    return changes if left is None else [each for each in changes if each.patient_id in left]


def _table(
    asking: Asking, found: Preview, changes: Sequence[Changed], level: Level, names: Mapping[tuple[str, str], str]
) -> Table:
    depth = list(reversed(Level)).index(level)
    counts: dict[tuple[str, str, str, str, str], int] = defaultdict(int)
    for each in changes:
        where = organisation_path(asking, each.practice)[depth]
        counts[each.part, each.name, each.before, each.after, where] += 1
    rows = [
        [
            Cell(names.get((part, name), name)), *words_of(part, before, after), Cell(asking.name_of(where) or "None"),
            Cell(many),
        ]
        for (part, name, before, after, where), many in sorted(counts.items())
    ]  # fmt: skip
    caption = f"What version {found.version} would change in your reach, by {_LEVELS[level]}"
    return Table(f"{found.pack}-preview-people", caption, _COLUMNS, rows, "Nothing changes for anybody in your reach.")


def _sample(asking: Asking, found: Preview, changes: Sequence[Changed]) -> Mapping[int, Sampled]:
    """The first patients of each kind of change, in turn, until there are enough; each with all that changes."""
    kinds: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    of: dict[int, list[Changed]] = defaultdict(list)
    for each in changes:
        kinds[each.part, each.name, each.before, each.after].append(each.patient_id)
        of[each.patient_id].append(each)
    chosen: dict[int, None] = {}
    for turn in range(_SAMPLE):
        for people in kinds.values():
            if turn < len(people) and len(chosen) < _SAMPLE:
                chosen[people[turn]] = None
    if not chosen:
        return {}
    practices = {each.practice for patient in chosen for each in of[patient]}
    known = identities.open_many(asking.session, asking.keys, list(chosen), practices=practices)
    before, after = _definitions(asking, found)
    names = titles(asking, found)
    sampled = {}
    for patient in chosen:
        record = _record(asking, found, of[patient][0].practice, patient)
        identity = known.get(patient)
        lines = [
            Line(
                names.get((each.part, each.name), each.name),
                [cell.text for cell in words_of(each.part, each.before, each.after)],
                [_why(definition, each, record, found) for definition in (before, after)],
            )
            for each in of[patient]
        ]  # fmt: skip
        name = (identity.name if identity else "") or "Name not known"
        sampled[patient] = Sampled(name, asking.name_of(of[patient][0].practice), lines)
    return sampled


def _definitions(asking: Asking, found: Preview) -> tuple[Definition | None, Definition]:
    enabled = asking.session.get(EnabledPack, (tenant_of(asking.session), found.pack))
    now = None if enabled is None else definition_of(asking.session, found.pack).definition
    return now, propose(asking.session, choice_of(found)).definition


def _record(asking: Asking, found: Preview, practice: str, patient: int) -> Record:
    """The record as the preview saw it, without what is sensitive."""
    store = RecordStore(asking.site.settings.store_root, asking.who.tenant_id)
    source = CatalogueSource(asking.session, store, found.snapshot or 0)
    record = load_record(asking.site.results.cursor(), source, practice, patient, extracts=store.extracts)
    return without_codes(record, sensitive_codes(asking.session), shown_of=None)


def _why(definition: Definition | None, change: Changed, record: Record, found: Preview) -> str:
    """What a definition says of the patient, in a sentence; of a cohort what decides that its members are."""
    if definition is None or found.index_date is None:
        return "The registry does not exist yet."
    if change.part == COHORT:
        cohort = next((each for each in definition.cohorts if each.name == change.name), None)
        return "There is no such cohort." if cohort is None else _said_of_members(definition, cohort)
    indicator = next((each for each in definition.indicators if each.name == change.name), None)
    if indicator is None:
        return "There is no such measure."
    return explain(definition, indicator, record, found.index_date).sentence


def _said_of_members(definition: Definition, cohort: Cohort) -> str:
    """Who its members are, in words."""
    return f"Members: {Words(definition.codelists, {}).of(cohort.members)}."
