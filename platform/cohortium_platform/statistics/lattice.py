"""The closed lattice: every table of counts that exists. Organisation by month end by at most two declared stratifiers.

Here: one indicator at one index date, decided for all practices at once and never for one request, so that two people
who see different practices cannot learn more together; and its split by stratifiers. Not here: the rules for a single
split by organisation (`suppression`), and which practices somebody may see.

A split by stratifiers shows only figures above the threshold, and shows them in such sets that what is missing is never
one group alone: groups that are too small are taken together with enough others, and organisations whose split would
show a small figure stay in the one split of what is above them. Every total is the sum of figures shown.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from cohortium_platform.results import Count
from cohortium_platform.statistics.suppression import (
    HIDDEN,
    Path,
    Publication,
    Published,
    SuppressionPolicy,
    rate_of,
)
from cohortium_plugins.model import Status

__all__ = ["COUNTED", "Figures", "Key", "Level", "Month", "Split", "Stratified", "split"]

Key = tuple[str, ...]
"""The value of each chosen stratifier; empty text stands for one that is not known."""

COUNTED = (Status.MET, Status.DUE, Status.OVERDUE, Status.EXCLUDED, Status.NOT_EVALUATED)
"""Statuses that are counted. Whom an indicator does not concern is never published, so that the tables of two
indicators share no total."""

_Class = frozenset[str]


class Level(enum.StrEnum):
    """Levels of organisation, as they stand in a practice's path from its end."""

    PRACTICE = "practice"
    PCN = "pcn"
    PLACE = "place"
    ICB = "icb"


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of a table: a figure for each status that is counted."""

    by_status: Mapping[Status, Published]

    @property
    def rate(self) -> int | None:
        """Whole percent met, of those met or overdue; None when it may not or cannot be said."""
        return rate_of(self.by_status[Status.MET], self.by_status[Status.OVERDUE])

    @property
    def cells(self) -> Sequence[Published]:
        """Figures in the order of `COUNTED`."""
        return [self.by_status[status] for status in COUNTED]


class Month:
    """One indicator at one index date, over every practice of the family."""

    def __init__(self, counts: Iterable[Count], paths: Mapping[str, Path], policy: SuppressionPolicy) -> None:
        """`counts` are of one indicator and index date; `paths` says which practices are in the family."""
        people: dict[Status, dict[str, int]] = {status: defaultdict(int) for status in COUNTED}
        concerned = set()
        for count in counts:
            if count.status in people and count.practice in paths and count.people:
                people[count.status][count.practice] += count.people
                concerned.add(count.practice)
        nobody = frozenset(paths.keys() - concerned)
        self.paths, self.policy = paths, policy
        self.publications: Mapping[Status, Publication] = {
            status: Publication(dict(found), paths, policy, nobody) for status, found in people.items()
        }

    def figures(self, inside: Collection[str]) -> Figures:
        """The row of some practices."""
        return Figures({status: made.figure(inside) for status, made in self.publications.items()})


@dataclass(frozen=True, slots=True)
class Split:
    """Counts of one status split by stratifiers, as they may be published: for sets of practices that do not overlap a
    figure for each combination of classes. A class with several values shows that they are hidden, each by itself;
    `empty` are, for each stratifier, the values that nobody has whatever their status.
    """

    publication: Publication
    empty: Sequence[_Class] = ()
    classes: Sequence[Sequence[_Class]] = ()
    blocks: Sequence[tuple[frozenset[str], Mapping[tuple[_Class, ...], int]]] = ()

    def figure(self, inside: Collection[str], key: Key) -> Published:
        """The figure of one combination of values in some practices; nought where there is nobody at all."""
        if any(value in empty for value, empty in zip(key, self.empty, strict=False)):
            return Published(0)
        return self.together(inside, tuple(frozenset({value}) for value in key))

    def together(self, inside: Collection[str], classes: tuple[_Class, ...]) -> Published:
        """The same of values that are taken together."""
        if self.publication.nobody.issuperset(inside):
            return Published(0)
        return self._sum(inside, classes)

    def total(self, inside: Collection[str]) -> Published:
        """The sum of all figures, those of hidden values taken together included."""
        return self._sum(inside, None)

    def _sum(self, inside: Collection[str], wanted: tuple[_Class, ...] | None) -> Published:
        whole = frozenset(inside) - self.publication.nobody
        held = [(practices, figures) for practices, figures in self.blocks if practices <= whole]
        if not held or (wanted is not None and wanted not in held[0][1]):
            return HIDDEN
        value = sum(sum(figures.values()) if wanted is None else figures[wanted] for _, figures in held)
        missing = whole - frozenset[str]().union(*(practices for practices, _ in held))
        return Published(value, left_out=len(missing), at_most=self.publication.most(missing))


@dataclass(frozen=True, slots=True)
class Stratified:
    """One indicator at one index date split by one or two stratifiers, status by status."""

    splits: Mapping[Status, Split]

    def figures(self, inside: Collection[str], key: Key) -> Figures:
        """The row of one combination of values in some practices."""
        return Figures({status: made.figure(inside, key) for status, made in self.splits.items()})

    def taken_together(self) -> Sequence[tuple[_Class, ...]]:
        """Combinations of which some values are hidden and shown in one figure with others, for some status."""
        found = {key for made in self.splits.values() for key in product(*made.classes) if any(len(c) > 1 for c in key)}
        return sorted(found, key=lambda key: [sorted(each) for each in key])

    def together(self, inside: Collection[str], classes: tuple[_Class, ...]) -> Figures:
        """The row of values taken together."""
        return Figures({status: made.together(inside, classes) for status, made in self.splits.items()})

    def total(self, inside: Collection[str]) -> Figures:
        """The row of all values together, which is the sum of the figures shown and of those taken together."""
        return Figures({status: made.total(inside) for status, made in self.splits.items()})


def split(month: Month, cells: Mapping[tuple[str, Status, Key], int], values: Sequence[Sequence[str]]) -> Stratified:
    """Split a month by stratifiers. `cells` are true counts by practice, status and value of each stratifier; `values`
    lists for each stratifier what it can be.
    """
    had = [key for (practice, _, key), people in cells.items() if people and practice in month.paths]
    empty = [frozenset(each) - {key[axis] for key in had} for axis, each in enumerate(values)]
    made = {}
    for status, publication in month.publications.items():
        own = {(p, key): n for (p, of, key), n in cells.items() if n and of is status and p in month.paths}
        made[status] = _Splitter(publication, own, month.policy.threshold).split(values, empty)
    return Stratified(made)


@dataclass(frozen=True, slots=True)
class _Splitter:
    """The split of one status: first which values can be told apart at all, then for which organisations."""

    publication: Publication
    cells: Mapping[tuple[str, Key], int]
    threshold: int

    def split(self, values: Sequence[Sequence[str]], empty: Sequence[_Class]) -> Split:
        not_split = Split(self.publication, empty)
        everyone = self.publication.settled(self.publication.paths) - self.publication.nobody
        if not everyone:
            return not_split
        classes = [
            self._classes(everyone, axis, [value for value in each if value not in empty[axis]])
            for axis, each in enumerate(values)
        ]
        if not all(each and len(each[0]) == 1 for each in classes):
            return not_split
        merged = self._filled(everyone, classes)
        if merged is None:
            return not_split
        return Split(self.publication, empty, merged, self._blocks(everyone, 0, merged))

    def _classes(self, practices: frozenset[str], axis: int, values: Sequence[str]) -> list[_Class]:
        """Values that are told apart, and one class of all that are too small, with enough others that none of them can
        be worked out from their sum. What is equally small is treated alike, so that exchanging two hidden values
        changes nothing that is shown.
        """
        people = dict.fromkeys(values, 0)
        for (practice, key), many in self.cells.items():
            if practice in practices:
                people[key[axis]] += many
        together = {value for value, many in people.items() if many <= self.threshold}
        if not together:
            return [frozenset({value}) for value in people]
        total = sum(people[value] for value in together)
        safe = self.threshold < total <= self.threshold * (len(together) - 1)
        if not safe:
            rest = people.keys() - together
            if not rest:
                return []
            smallest = min(people[value] for value in rest)
            together |= {value for value in rest if people[value] == smallest}
        return [*(frozenset({value}) for value in people if value not in together), frozenset(together)]

    def _sums(self, practices: Collection[str], classes: Sequence[Sequence[_Class]]) -> dict[tuple[_Class, ...], int]:
        where = [{value: group for group in axis for value in group} for axis in classes]
        sums = dict.fromkeys(product(*classes), 0)
        for (practice, key), many in self.cells.items():
            if practice in practices:
                sums[tuple(where[axis][value] for axis, value in enumerate(key))] += many
        return sums

    def _filled(
        self, practices: Collection[str], classes: Sequence[Sequence[_Class]]
    ) -> Sequence[Sequence[_Class]] | None:
        """Take classes together until every combination is above the threshold; None when nothing would be left."""
        axes = [list(each) for each in classes]
        while True:
            sums = self._sums(practices, axes)
            smallest = min(sums, key=lambda key: (sums[key], [sorted(group) for group in key]))
            if sums[smallest] > self.threshold:
                return axes
            axis = max(range(len(axes)), key=lambda each: len(axes[each]))
            if len(axes[axis]) <= 2:  # noqa: PLR2004 - taken together they would be one class, which is no split
                return None
            totals: dict[_Class, int] = defaultdict(int)
            for key, many in sums.items():
                totals[key[axis]] += many
            one = smallest[axis]
            other = min(
                (group for group in axes[axis] if group != one),
                key=lambda group: (-len(group), totals[group], sorted(group)),
            )
            axes[axis] = [group for group in axes[axis] if group not in {one, other}] + [one | other]

    def _blocks(
        self, practices: frozenset[str], depth: int, classes: Sequence[Sequence[_Class]]
    ) -> list[tuple[frozenset[str], Mapping[tuple[_Class, ...], int]]]:
        """Sets of practices with figures of their own: those below that can be shown, and all others together."""
        if len(practices) == 1:
            return [self._block(practices, classes)]
        below: dict[str, set[str]] = defaultdict(set)
        for practice in practices:
            below[self.publication.paths[practice][depth]].add(practice)
        groups = [frozenset(below[code]) for code in sorted(below)]
        if len(groups) == 1:
            return self._blocks(groups[0], depth + 1, classes)
        shown = [g for g in groups if self.publication.settled(g) == g and self._is_full(g, classes)]
        hidden = [g for g in groups if g not in shown]
        while hidden and shown and (len(hidden) == 1 or not self._is_full(frozenset().union(*hidden), classes)):
            size = min(self._people(group) for group in shown)
            hidden += [group for group in shown if self._people(group) == size]
            shown = [group for group in shown if group not in hidden]
        if not shown:
            return [self._block(practices, classes)]
        made = [block for group in shown for block in self._blocks(group, depth + 1, classes)]
        return [*made, self._block(frozenset().union(*hidden), classes)] if hidden else made

    def _is_full(self, practices: frozenset[str], classes: Sequence[Sequence[_Class]]) -> bool:
        return min(self._sums(practices, classes).values()) > self.threshold

    def _people(self, practices: frozenset[str]) -> int:
        return sum(many for (practice, _), many in self.cells.items() if practice in practices)

    def _block(
        self, practices: frozenset[str], classes: Sequence[Sequence[_Class]]
    ) -> tuple[frozenset[str], Mapping[tuple[_Class, ...], int]]:
        rounded = self.publication.policy.rounded
        return practices, {key: rounded(many) for key, many in self._sums(practices, classes).items()}
