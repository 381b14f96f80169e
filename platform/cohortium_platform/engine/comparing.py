"""What another definition would say of the same patients on the same day: who joins or leaves, which statuses turn.

Only what differs is worked out. A cohort or an indicator whose rules and codes are the same in both definitions says
the same of everyone, since a status follows from these, the records and the day, and from nothing else; words, sources
and the order of codes are left out of the comparison. Not here: which definitions a tenant compares (tenants), and what
may be shown of it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.control import EngineSettings, Progress
from cohortium_platform.engine.engines import engine_of
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.records import RecordStore
from cohortium_platform.settings import Settings
from cohortium_plugins.model import Code, Codelist, Cohort, Definition, Indicator, Shown, nodes
from cohortium_plugins.model.serialise import content_hash

__all__ = ["COHORT", "INDICATOR", "Comparison", "Differing", "compare", "differing"]

COHORT, INDICATOR = "cohort", "indicator"
_CODELISTS_OF = (nodes.Rows, nodes.FirstOfEach)


@dataclass(frozen=True, slots=True)
class Differing:
    """The cohorts and indicators that two definitions do not share as they are; `alike`: how many they share."""

    cohorts: frozenset[str]
    indicators: frozenset[str]
    alike: int


@dataclass(frozen=True)
class Comparison:
    """What two definitions say differently. `changes` has a row a person and thing that differs: practice, patient_id,
    part (`COHORT` or `INDICATOR`), name, before, after; a cohort says `in` or nothing, an indicator its status, or
    nothing for someone whom it is not asked of. `people` counts members before and after by practice, cohort by cohort,
    of cohorts that differ; `concerned` are practices of which either definition says anything.
    """

    differing: Differing
    snapshot: int
    index_date: dt.date
    changes: pa.Table
    people: Mapping[str, Mapping[str, tuple[int, int]]]
    concerned: Sequence[str]


def differing(before: Definition, after: Definition) -> Differing:
    """Tell what differs between two bound definitions, whatever they call it in words."""
    cohorts = _differing(_cohorts(before), _cohorts(after))
    indicators = _differing(_indicators(before), _indicators(after))
    every = {*_cohorts(before), *_cohorts(after)}, {*_indicators(before), *_indicators(after)}
    return Differing(cohorts, indicators, sum(map(len, every)) - len(cohorts) - len(indicators))


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name in {*before, *after} if before.get(name) != after.get(name))


def _cohorts(definition: Definition) -> Mapping[str, str]:
    return {cohort.name: _meaning(definition, cohort, None) for cohort in definition.cohorts}


def _indicators(definition: Definition) -> Mapping[str, str]:
    return {i.name: _meaning(definition, definition.cohort(i.cohort), i) for i in definition.indicators}


def _meaning(definition: Definition, cohort: Cohort, indicator: Indicator | None) -> str:
    """Name what a cohort or an indicator means: its rules and its codes, and no words."""
    bare = replace(cohort, title="", description="", shown=Shown(), reference=None, source="")
    rules: tuple[Indicator, ...] = ()
    if indicator is not None:
        wordless = replace(indicator, title="", description="", group="", source="", unsure="", shown=Shown())
        rules = (replace(wordless, adjustments=tuple(replace(each, title="") for each in indicator.adjustments)),)
    alone = Definition({}, (), (bare,), rules)
    return content_hash(replace(alone, codelists={name: _codes(definition.codelists[name]) for name in _lists(alone)}))


def _lists(definition: Definition) -> set[str]:
    found = (node for node in nodes.walk(*definition.roots()) if isinstance(node, _CODELISTS_OF))
    return {node.codelist for node in found if node.codelist is not None}


def _codes(codelist: Codelist) -> Codelist:
    codes = sorted(codelist.codes, key=lambda code: (code.code, code.category or ""))
    return Codelist(codelist.name, "", "", "", tuple(Code(code.code, "", code.category) for code in codes))


@dataclass(frozen=True, slots=True)
class _Said:
    """What one definition says, as far as it differs: (practice, patient_id, name) of members, and with the status."""

    members: pa.Table
    results: pa.Table


def compare(  # noqa: PLR0913, PLR0917 - two definitions, over what, when
    settings: Settings,
    store: RecordStore,
    source: CatalogueSource,
    before: Definition,
    after: Definition,
    day: dt.date,
    progress: Progress | None = None,
    *,
    stood: Callable[[Collection[str]], pa.Table] | None = None,
) -> Comparison:
    """Compare what two bound definitions say of the patients of all practices loaded on a day. `stood` gives what the
    first says by some indicators (practice, patient_id, indicator, status) where it stands written already, of the same
    records and day; it is not worked out again then, unless cohorts differ.

    Raises what evaluating raises. Nothing is published, and nothing of what is published is touched.
    """
    parts, told = differing(before, after), progress or (lambda _fraction, _step: None)
    some, halves = list(source.practices), []
    for number, (definition, what) in enumerate(((before, "As it is now"), (after, "As it would be"))):
        if number == 0 and stood is not None and not parts.cohorts:
            halves.append(_read(stood(parts.indicators)))
            continue
        share = _share(told, 0.45 * number, what)
        halves.append(_say(settings, store, source, _only(definition, parts), some, day, share))
    told(0.9, "Comparing")
    found = _compared(parts, source.snapshot, day, *halves)
    told(1.0, "Compared")
    return found


def _share(progress: Progress, start: float, what: str) -> Progress:
    return lambda fraction, step: progress(start + 0.45 * fraction, f"{what}: {step.lower()}")


def _only(definition: Definition, parts: Differing) -> Definition:
    """Give the definition with nothing but what differs, and the cohorts that it stands on. Where that is nearly all of
    it, it stays whole: its extracts are there already, or will be wanted when it is enabled.
    """
    if parts.cohorts.issuperset(cohort.name for cohort in definition.cohorts):
        return definition
    kept = tuple(
        replace(indicator, shown=Shown()) for indicator in definition.indicators if indicator.name in parts.indicators
    )
    wanted = parts.cohorts | {indicator.cohort for indicator in kept}
    cohorts = tuple(replace(each, shown=Shown(), reference=None) for each in definition.cohorts if each.name in wanted)
    return replace(definition, cohorts=cohorts, indicators=kept, stratifiers=())


def _say(  # noqa: PLR0913, PLR0917 - one half of a comparison
    settings: Settings,
    store: RecordStore,
    source: CatalogueSource,
    definition: Definition,
    practices: Sequence[str],
    day: dt.date,
    progress: Progress,
) -> _Said:
    if not definition.cohorts or not practices:
        return _Said(_MEMBERS.empty_table(), _RESULTS.empty_table())
    with (
        store.working() as temporary,
        engine_of(settings)(
            definition,
            source,
            practices,
            [day],
            settings=EngineSettings(settings.threads, settings.memory_limit, temporary, store.extracts),
            progress=progress,
        ) as tables,
    ):
        members = tables.fetch(Kind.MEMBERS).select(["practice", "patient_id", "cohort"])
        if not definition.indicators:
            return _Said(members, _RESULTS.empty_table())
        return _Said(members, tables.fetch(Kind.RESULTS).select(["practice", "patient_id", "indicator", "status"]))


def _read(results: pa.Table) -> _Said:
    """What a definition was found to say; members are told by their results."""
    rows = results.select(_RESULTS.names).cast(_RESULTS)
    return _Said(_MEMBERS.empty_table(), rows)


_MEMBERS = pa.schema([("practice", pa.string()), ("patient_id", pa.int64()), ("cohort", pa.string())])
_RESULTS = pa.schema(
    [("practice", pa.string()), ("patient_id", pa.int64()), ("indicator", pa.string()), ("status", pa.string())]
)
_CHANGES = """
    SELECT practice, patient_id, part, name, before, after FROM (
        SELECT practice, patient_id, 'cohort' AS part, cohort AS name,
               CASE WHEN b.patient_id IS NOT NULL THEN 'in' END AS before,
               CASE WHEN a.patient_id IS NOT NULL THEN 'in' END AS after
        FROM members_before AS b FULL JOIN members_after AS a USING (practice, patient_id, cohort)
        WHERE list_contains($cohorts, cohort)
        UNION ALL
        SELECT practice, patient_id, 'indicator', indicator, b.status, a.status
        FROM results_before AS b FULL JOIN results_after AS a USING (practice, patient_id, indicator)
    )
    WHERE before IS DISTINCT FROM after ORDER BY ALL
"""
_PEOPLE = """
    SELECT cohort, practice, count(*) FILTER (side = 'before'), count(*) FILTER (side = 'after') FROM (
        SELECT *, 'before' AS side FROM members_before UNION ALL SELECT *, 'after' FROM members_after
    ) WHERE list_contains($cohorts, cohort) GROUP BY ALL ORDER BY ALL
"""
_CONCERNED = """
    SELECT DISTINCT practice FROM (
        SELECT practice FROM members_before UNION ALL SELECT practice FROM members_after
        UNION ALL SELECT practice FROM results_before
    ) ORDER BY practice
"""


def _compared(parts: Differing, snapshot: int, day: dt.date, before: _Said, after: _Said) -> Comparison:
    cohorts = {"cohorts": sorted(parts.cohorts)}
    with duckdb.connect() as connection:
        for name, said in (("before", before), ("after", after)):
            for kind in dataclasses.fields(said):
                connection.register(f"{kind.name}_{name}", getattr(said, kind.name))
        changes = connection.sql(_CHANGES, params=cohorts).to_arrow_table()
        people: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in cohorts["cohorts"]}
        for cohort, practice, had, has in connection.execute(_PEOPLE, cohorts).fetchall():
            people[cohort][practice] = (had, has)
        concerned = [practice for (practice,) in connection.execute(_CONCERNED).fetchall()]
    return Comparison(parts, snapshot, day, changes, people, concerned)
