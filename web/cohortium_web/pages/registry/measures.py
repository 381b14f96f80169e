"""The registry's measures over everyone in reach: how many have each status, and where to see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from cohortium_plugins.model import Indicator, Status, nodes
from cohortium_web.pages.registry.filters import Filters
from cohortium_web.pages.registry.opened import OpenedRegistry
from cohortium_web.pages.registry.views import Measure, MeasureGroup, Segment
from cohortium_web.words import STATUSES

__all__ = ["SHOWN", "measure_groups", "people_of"]

SHOWN = (Status.MET, Status.DUE, Status.OVERDUE, Status.EXCLUDED, Status.NOT_EVALUATED)
"""Statuses in the order of a bar."""


def people_of(counts: Mapping[str, Mapping[Status, int]]) -> int:
    """How many people there are: each has one status, if only that of not being concerned, on every indicator."""
    return max((sum(by_status.values()) for by_status in counts.values()), default=0)


def measure_groups(registry: OpenedRegistry, counts: Mapping[str, Mapping[Status, int]]) -> Sequence[MeasureGroup]:
    """Every measure with its counts, by group."""
    return [
        MeasureGroup(group, [_measure(registry, each, counts.get(each.name, {})) for each in members])
        for group, members in groupby(registry.indicators, key=lambda indicator: indicator.group)
    ]


def _measure(registry: OpenedRegistry, indicator: Indicator, counts: Mapping[Status, int]) -> Measure:
    concerned = sum(counts.get(status, 0) for status in SHOWN)
    segments, start = [], 0.0
    for status in SHOWN:
        count = counts.get(status, 0)
        width = 100 * count / concerned if concerned else 0.0
        href = Filters(indicator=indicator.name, status=status).at(registry.path)
        segments.append(Segment(STATUSES[status], count, href, round(start, 3), round(width, 3)))
        start += width
    met, overdue = counts.get(Status.MET, 0), counts.get(Status.OVERDUE, 0)
    undecided = concerned > 0 and counts.get(Status.NOT_EVALUATED, 0) == concerned
    return Measure(
        title=indicator.title,
        description=indicator.description,
        source=indicator.source,
        segments=segments,
        rate=met / (met + overdue) if met + overdue else None,
        problem=_problem(registry, indicator) if undecided else "",
    )


def _problem(registry: OpenedRegistry, indicator: Indicator) -> str:
    """Why nobody could be evaluated: most often a codelist without a code."""
    codelists = registry.registered.definition.codelists
    names = [getattr(node, "codelist", None) for node in nodes.walk(indicator.applies, indicator.met)]
    empty = next((name for name in names if name is not None and not codelists[name].codes), None)
    if empty is None:
        return "The records here do not say: see a patient's page for the reason."
    return f"No codes configured for ‘{codelists[empty].title}’. An administrator can add local codes."
