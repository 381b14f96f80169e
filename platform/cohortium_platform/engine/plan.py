"""What an evaluation must read and in which order: the plan that every engine works from.

Nodes are interned, so a set of nodes is a set of meanings: rows that thirty indicators ask for stand in the plan once.
Not here: SQL (`duckdb_series`, `duckdb_frames`), and reading (`duckdb`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cohortium_platform.engine.candidates import Needed, needed_rows
from cohortium_platform.engine.checks import check
from cohortium_platform.engine.fold import folded
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Cohort, Definition
from cohortium_plugins.model.nodes import Node, Rows
from cohortium_plugins.model.values import Unit

__all__ = ["AGE", "EVENT_COLUMNS", "SEX", "Plan", "Section", "make_plan"]

EVENT_COLUMNS = ("date", "code", "source")
"""What is kept of a deciding event."""

AGE = nodes.DateDifference(nodes.PatientFact("date_of_birth"), nodes.IndexDate(), Unit.YEARS)
SEX = nodes.PatientFact("sex")
"""What a list shows of every member beside the definition's own values."""


@dataclass(frozen=True)
class Section:
    """Some rules, and all that must be read to work them out.

    `rows`: the frames' rows, each read once; `groupings`: codelists that rows are grouped by.
    """

    rows: tuple[Rows, ...]
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
        membership=_section(members),
        everything=_section(_roots(rules)),
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


def _section(roots: Iterable[Node]) -> Section:
    order = list(nodes.walk(*roots))
    return Section(
        rows=tuple(dict.fromkeys(node for node in order if isinstance(node, Rows))),
        groupings=tuple(dict.fromkeys(node.codelist for node in order if isinstance(node, nodes.FirstOfEach))),
    )
