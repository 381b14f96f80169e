"""What an evaluation must read and in which order: the plan that every engine works from.

Nodes are interned, so a set of nodes is a set of meanings: rows that thirty indicators ask for stand in the plan once.
Not here: SQL (`duckdb_series`, `duckdb_frames`), and reading (`duckdb`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from cohortium_platform.engine.candidates import Needed, needed_rows
from cohortium_platform.engine.checks import check
from cohortium_platform.engine.fold import folded
from cohortium_platform.engine.shape import Days, Shape, rows_of
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Cohort, Definition
from cohortium_plugins.model.nodes import Node, Pick, Rows
from cohortium_plugins.model.values import Unit

__all__ = ["AGE", "EVENT_COLUMNS", "SEX", "Aggregate", "Plan", "Section", "make_plan"]

EVENT_COLUMNS = ("date", "code", "source")
"""What is kept of a deciding event."""

Aggregate = nodes.Exists | nodes.Count | nodes.Mean | Days | Pick
"""What can be taken from a frame."""

AGE = nodes.DateDifference(nodes.PatientFact("date_of_birth"), nodes.IndexDate(), Unit.YEARS)
SEX = nodes.PatientFact("sex")
"""What a list shows of every member beside the definition's own values."""


@dataclass(frozen=True)
class Section:
    """Some rules, and all that must be read to work them out.

    `rows`: the frames' rows, each read once; `aggregates`: what is taken from frames, by the stage in which the
    frame can be read; `columns`: for each pick, what is wanted of its row; `groupings`: codelists that
    rows are grouped by.
    """

    rows: tuple[Rows, ...]
    aggregates: tuple[tuple[Aggregate, ...], ...]
    columns: dict[Pick, tuple[str, ...]]
    groupings: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """An evaluation in two steps: who is a member, from few rows of many people; then the rest, of members only.

    `definition` is as it was bound, `rules` with what is decided already folded away; `needed` tells whom to consider.
    """

    definition: Definition
    rules: Definition
    needed: Needed
    membership: Section
    everything: Section


def make_plan(definition: Definition) -> Plan:
    """Plan the evaluation of a bound definition. Raises DefinitionError when it has no meaning."""
    check(definition)
    rules = folded(definition)
    members = [cohort.members for cohort in rules.cohorts]
    return Plan(
        definition=definition,
        rules=rules,
        needed=needed_rows(nodes.Or(tuple(members))),
        membership=_section(members, ()),
        everything=_section(list(_roots(rules)), _evidence(rules)),
    )


def _roots(rules: Definition) -> Iterator[Node]:
    """Yield what results, members and lists are made of; membership itself is known by then."""
    for cohort in rules.cohorts:
        yield from _cohort_roots(cohort)
    for indicator in rules.indicators:
        yield from indicator.nodes()
    yield from (stratifier.value for stratifier in rules.stratifiers)
    yield from (AGE, SEX)


def _cohort_roots(cohort: Cohort) -> Iterator[Node]:
    yield cohort.since
    yield from cohort.shown.nodes()
    if cohort.origin is not None:
        yield cohort.origin


def _evidence(rules: Definition) -> tuple[Pick, ...]:
    """Give the picks of which the row itself is kept."""
    origins = [cohort.origin for cohort in rules.cohorts if cohort.origin is not None]
    return (*origins, *(pick for indicator in rules.indicators for pick in indicator.evidence))


def _section(roots: Iterable[Node], evidence: Iterable[Pick]) -> Section:
    order = list(nodes.walk(*roots))
    shape = Shape()
    columns: dict[Pick, dict[str, None]] = {pick: dict.fromkeys(EVENT_COLUMNS) for pick in evidence}
    for node in order:
        if isinstance(node, nodes.PickValue):
            columns.setdefault(node.pick, {})[node.column] = None
    stages: list[list[Aggregate]] = []
    for taken in dict.fromkeys(_taken(order, columns)):
        stage = shape.stage(taken.frame)
        stages.extend([] for _ in range(stage + 1 - len(stages)))
        stages[stage].append(taken)
    aggregates = tuple(tuple(stage) for stage in stages)
    return Section(
        rows=tuple(dict.fromkeys(rows_of(taken.frame) for stage in aggregates for taken in stage)),
        aggregates=aggregates,
        columns={pick: tuple(wanted) for pick, wanted in columns.items()},
        groupings=tuple(dict.fromkeys(node.codelist for node in order if isinstance(node, nodes.FirstOfEach))),
    )


def _taken(order: Iterable[Node], columns: Collection[Pick]) -> Iterator[Aggregate]:
    """Yield what is taken from frames, in order."""
    for node in order:
        if isinstance(node, nodes.Exists | nodes.Count | nodes.Mean) or (isinstance(node, Pick) and node in columns):
            yield node
        if isinstance(node, nodes.Near):
            yield Days(node.other)
