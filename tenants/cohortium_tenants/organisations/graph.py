"""A tenant's organisations as a graph in memory, for questions about a day.

Here: a frozen picture and its questions; it is also the `OrganisationDirectory` that the platform asks for. Not here:
the tables, and changing them. A tenant has a few hundred organisations, so a picture is read whole and quickly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeVar

from cohortium_tenants.organisations.models import OrganisationType, RelationshipKind

__all__ = ["Member", "Node", "OrganisationGraph", "Succession", "overlap"]

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Node:
    """One organisation, open from `opened` to `closed` inclusive."""

    ods_code: str
    name: str
    type: OrganisationType
    opened: date
    closed: date | None = None
    fictitious: bool = False

    def is_open(self, on: date) -> bool:
        """Tell whether it is open on a day."""
        return _holds(self.opened, self.closed, on)


@dataclass(frozen=True, slots=True)
class Member:
    """That `child` belongs to `parent`, from `start` to `end` inclusive."""

    child: str
    parent: str
    kind: RelationshipKind
    start: date
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Succession:
    """That `successor` takes over from `predecessor` on a day."""

    predecessor: str
    successor: str
    on_date: date


@dataclass(frozen=True)
class OrganisationGraph:
    """Every organisation of one tenant, what belongs to what, and who took over from whom."""

    nodes: Mapping[str, Node]
    members: Sequence[Member]
    successions: Sequence[Succession]
    _below: Mapping[str, Sequence[Member]] = field(init=False, repr=False, compare=False)
    _above: Mapping[str, Sequence[Member]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_below", _by(self.members, lambda member: member.parent))
        object.__setattr__(self, "_above", _by(self.members, lambda member: member.child))

    def adding(self, member: Member) -> OrganisationGraph:
        """The graph with one membership more."""
        return replace(self, members=[*self.members, member])

    def practices(self, on: date) -> frozenset[str]:
        """Practices that are open on a day."""
        return frozenset(self.of_type(OrganisationType.PRACTICE, on))

    def of_type(self, kind: OrganisationType, on: date) -> list[str]:
        """Codes of one type of organisation that are open on a day, in order of name."""
        found = [node for node in self.nodes.values() if node.type == kind and node.is_open(on)]
        return [node.ods_code for node in sorted(found, key=lambda node: (node.name, node.ods_code))]

    def practices_under(self, code: str, on: date) -> frozenset[str]:
        """Practices that belong to an organisation on a day, through any number of others; a practice to itself."""
        return frozenset(
            found for found in {code, *self.below(code, on)} if self._is(found, OrganisationType.PRACTICE, on)
        )

    def below(self, code: str, on: date) -> frozenset[str]:
        """Everything that belongs to an organisation on a day, through any number of others."""
        return _reach(code, lambda here: [m.child for m in self._below.get(here, ()) if _holds(m.start, m.end, on)])

    def above(self, code: str, on: date) -> frozenset[str]:
        """Everything that an organisation belongs to on a day, through any number of others."""
        return _reach(code, lambda here: [m.parent for m in self._above.get(here, ()) if _holds(m.start, m.end, on)])

    def parents(self, code: str, on: date) -> list[Member]:
        """What an organisation belongs to directly on a day."""
        return [member for member in self._above.get(code, ()) if _holds(member.start, member.end, on)]

    def children(self, code: str, on: date) -> list[Member]:
        """What belongs to an organisation directly on a day."""
        return [member for member in self._below.get(code, ()) if _holds(member.start, member.end, on)]

    def places_of(self, practice: str, on: date) -> frozenset[str]:
        """Places that a practice belongs to on a day."""
        return frozenset(found for found in self.above(practice, on) if self._is(found, OrganisationType.PLACE, on))

    def pcns_of(self, practice: str, on: date) -> frozenset[str]:
        """PCNs that a practice belongs to on a day."""
        return frozenset(found for found in self.above(practice, on) if self._is(found, OrganisationType.PCN, on))

    def successors(self, code: str, on: date) -> frozenset[str]:
        """Who stands for an organisation on a day: those that took over by then, step by step, or else itself."""
        steps = _by([step for step in self.successions if step.on_date <= on], lambda step: step.predecessor)
        reached = _reach(code, lambda here: [step.successor for step in steps.get(here, ())]) | {code}
        return frozenset(found for found in reached if found not in steps)

    def connects(self, child: str, parent: str, start: date, end: date | None) -> bool:
        """Tell whether `parent` belongs to `child` on any day of a span, so that the reverse would close a circle."""
        waiting: list[tuple[str, date, date | None]] = [(parent, start, end)]
        while waiting:
            here, first, last = waiting.pop()
            if here == child:
                return True
            for member in self._above.get(here, ()):
                shared = overlap(first, last, member.start, member.end)
                if shared is not None:
                    waiting.append((member.parent, *shared))
        return False

    def _is(self, code: str, kind: OrganisationType, on: date) -> bool:
        node = self.nodes.get(code)
        return node is not None and node.type == kind and node.is_open(on)


def overlap(
    start: date, end: date | None, other_start: date, other_end: date | None
) -> tuple[date, date | None] | None:
    """Days that two spans share, or `None` when there are none."""
    first = max(start, other_start)
    last = min((day for day in (end, other_end) if day is not None), default=None)
    return None if last is not None and last < first else (first, last)


def _holds(start: date, end: date | None, on: date) -> bool:
    return start <= on and (end is None or on <= end)


def _reach(code: str, step: Callable[[str], Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [code]
    while waiting:
        for reached in step(waiting.pop()):
            if reached not in found:
                found.add(reached)
                waiting.append(reached)
    return frozenset(found - {code})


def _by(items: Iterable[_Item], key: Callable[[_Item], str]) -> Mapping[str, Sequence[_Item]]:
    groups: dict[str, list[_Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)
