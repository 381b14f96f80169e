"""How large a definition from a file may be: far above any real one, far below what would take an engine hours.

A rule's parts are shared, so that a small file can say something endless: `spread` counts the parts as a reader of the
words would meet them. Not here: whether a definition makes sense (`soundness`, `checks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from cohortium_plugins.errors import MalformedPack
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Definition
from cohortium_plugins.model.serialise import Json
from cohortium_plugins.model.values import Duration, Unit

__all__ = ["BOUNDS", "Bounds", "check_bounds", "check_parts"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most of each. In brackets what the cancer care pack has."""

    nodes: int = 20_000  # (700)
    depth: int = 100  # (18)
    spread: int = 50_000  # of one rule (180)
    spread_of_all: int = 400_000  # (4,400)
    operands: int = 1_000  # of one node (19)
    frames: int = 3_000  # (140)
    nearby: int = 200  # frames beside frames (0)
    codes: int = 120_000  # of all lists (27,700)
    lists: int = 500  # (57)
    rules: int = 1_000  # cohorts, indicators, stratifiers, adjustments, reasons (50)
    years: int = 150  # of a length of time (50)


BOUNDS = Bounds()
_PER_YEAR = {Unit.DAYS: 366, Unit.WEEKS: 53, Unit.MONTHS: 12, Unit.YEARS: 1}
_ADVICE = "Split the pack, or say it more simply."


def _check(found: int, most: int, what: str) -> None:
    if found > most:
        raise MalformedPack(
            f"The definition would take too long to evaluate: {found:,} {what}, {most:,} allowed.", _ADVICE
        )


def check_parts(data: Mapping[str, Json]) -> None:
    """Look at a definition's JSON before anything is made of it. Raises MalformedPack."""
    for name, most in (
        ("nodes", BOUNDS.nodes), ("codelists", BOUNDS.lists), ("parameters", BOUNDS.rules),
        ("cohorts", BOUNDS.rules), ("indicators", BOUNDS.rules), ("stratifiers", BOUNDS.rules),
    ):  # fmt: skip
        part = data.get(name)
        if not isinstance(part, list):
            raise MalformedPack(f"The definition has no list of {name}.")
        _check(len(part), most, name)
    listed = data["codelists"]
    codes = [about.get("codes") for about in listed if isinstance(about, dict)] if isinstance(listed, list) else []
    _check(sum(len(each) for each in codes if isinstance(each, list)), BOUNDS.codes, "codes of all lists")
    found = data["nodes"]
    for node in found if isinstance(found, list) else ():
        for value in node.values() if isinstance(node, dict) else ():
            if isinstance(value, list):
                _check(len(value), BOUNDS.operands, "operands of one node")


def check_bounds(definition: Definition) -> None:
    """Look at a definition whose parts are known. Raises MalformedPack."""
    depth: dict[nodes.Node, int] = {}
    spread: dict[nodes.Node, int] = {}
    frames = nearby = 0
    for node in nodes.walk(*definition.roots()):
        below = list(nodes.children(node))
        depth[node] = 1 + max((depth[child] for child in below), default=0)
        spread[node] = 1 + sum(spread[child] for child in below)
        _check(depth[node], BOUNDS.depth, "levels of one rule")
        _check(spread[node], BOUNDS.spread, "parts of one rule, written out")
        frames += isinstance(node, nodes.Frame)
        nearby += isinstance(node, nodes.Near)
        if isinstance(node, nodes.Constant):
            _check_constant(node.value)
    _check(frames, BOUNDS.frames, "frames")
    _check(nearby, BOUNDS.nearby, "frames beside frames")
    _check(sum(spread[root] for root in definition.roots()), BOUNDS.spread_of_all, "parts of all rules, written out")
    parts = [len(cohort.reference.reasons) for cohort in definition.cohorts if cohort.reference is not None]
    parts += [len(indicator.adjustments) + len(indicator.evidence) for indicator in definition.indicators]
    parts += [len(stratifier.labels) for stratifier in definition.stratifiers]
    parts += [len(parameter.choices) for parameter in definition.parameters]
    _check(sum(parts), BOUNDS.rules * 10, "adjustments, reasons, labels and choices")
    for parameter in definition.parameters:
        for choice in parameter.choices:
            _check_constant(choice)


def _check_constant(value: object) -> None:
    if isinstance(value, Duration):
        _check(abs(value.count) // _PER_YEAR[value.unit], BOUNDS.years, "years in one length of time")
    elif isinstance(value, date) and not 1800 <= value.year <= 2200:  # noqa: PLR2004 - no record is older or later
        raise MalformedPack(f"The day {value} stands in a rule.", "No record is from such a year.")
