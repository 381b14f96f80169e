"""A registry's counts opened for one request: every practice of the tenant together, and those that may be shown.

What may be published is decided over all practices, whoever asks, so that two people who see different practices
cannot learn more together; each then sees what lies wholly within their reach. Not here: the rules
(`cohortium_platform.statistics`), and how a table looks (`figures`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from cohortium_auth.ig_settings import suppression_policy
from cohortium_auth.policy import Action, Reach
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.records import GP
from cohortium_platform.results import Count
from cohortium_platform.statistics import Level, Month, Path, Stratified, SuppressionPolicy, split
from cohortium_plugins.model import Indicator, Stratifier
from cohortium_tenants.organisations import OrganisationType
from cohortium_web.asking import Asking
from cohortium_web.pages.registry.opened import OpenedRegistry, open_practices

__all__ = ["NOT_KNOWN", "Family", "open_family"]

NOT_KNOWN = ""
"""The value of a stratifier for people of whom it is not known."""
_PLACE_IN_PATH = {Level.ICB: 0, Level.PLACE: 1, Level.PCN: 2, Level.PRACTICE: 3}


@dataclass(frozen=True)
class Family:
    """The tables of one registry. `reach` are the practices that this person may see counts of."""

    registry: OpenedRegistry
    reach: frozenset[str]

    @property
    def asking(self) -> Asking:
        """Who asks."""
        return self.registry.asking

    @property
    def months(self) -> Sequence[date]:
        """The index dates that were evaluated, the newest first."""
        return sorted((date.fromisoformat(day) for day in self.registry.results.evaluation.index_dates), reverse=True)

    @cached_property
    def policy(self) -> SuppressionPolicy:
        """How the tenant suppresses counts."""
        return suppression_policy(self.asking.session)

    @property
    def newest(self) -> date:
        """The only date for which there are tables by stratifier."""
        return self.registry.index_date

    def indicator(self, name: str) -> Indicator:
        """An indicator by name, or the first. Raises `BadInput`."""
        found = [each for each in self.registry.indicators if name in {each.name, ""}]
        if not found:
            raise BadInput("There is no such measure.", "Choose one from the list.")
        return found[0]

    @property
    def stratifiers(self) -> Sequence[Stratifier]:
        """What the newest month can be split by: declared by the pack, and evaluated."""
        made = self.registry.results.evaluation.stratifiers
        return [each for each in self.registry.registered.definition.stratifiers if each.name in made]

    def stratifier(self, name: str) -> Stratifier:
        """A stratifier by name. Raises `BadInput`."""
        for each in self.stratifiers:
            if each.name == name:
                return each
        raise BadInput("The registry is not divided by that.", "Choose one from the list.")

    def stale(self, day: date) -> Sequence[str]:
        """Practices within reach whose records end before a day: they are left out of it."""
        return sorted(practice for practice in self._evaluated(day) & self.reach if self._records_to(practice) < day)

    def paths(self, day: date) -> Mapping[str, Path]:
        """Where each practice of the family stood on a day, through whatever it belonged to then."""
        kept = (practice for practice in self._evaluated(day) if self._records_to(practice) >= day)
        return {practice: self._path(practice, day) for practice in kept}

    def month(self, indicator: Indicator, day: date) -> Month:
        """One indicator on one day, over every practice. Raises `BadInput` for a day that was not evaluated."""
        if day not in self.months:
            raise BadInput("There are no counts for that day.", "Choose a month from the list.")
        return Month(self._counts(indicator).get(day, ()), self.paths(day), self.policy)

    def months_of(self, indicator: Indicator) -> Mapping[date, Month]:
        """The same for every day, the earliest first."""
        return {day: self.month(indicator, day) for day in reversed(self.months)}

    def split(self, month: Month, indicator: Indicator, stratifiers: Sequence[Stratifier]) -> Stratified:
        """The newest month split. A value that the pack does not declare counts as not known."""
        with self.asking.timed("results"):
            found = self.registry.results.split_counts(indicator.name, [each.name for each in stratifiers])
        values = [[*dict(each.labels), NOT_KNOWN] for each in stratifiers]
        cells: dict[tuple[str, object, tuple[str, ...]], int] = defaultdict(int)
        for (practice, status, key), people in found.items():
            known = tuple(each if each in axis else NOT_KNOWN for each, axis in zip(key, values, strict=True))
            cells[practice, status, known] += people
        return split(month, cells, values)  # type: ignore[arg-type]

    def organisations(self, level: Level, day: date) -> Mapping[str, frozenset[str]]:
        """The organisations of a level that hold practices in reach, with those practices."""
        found: dict[str, set[str]] = defaultdict(set)
        for practice, path in self.paths(day).items():
            code = path[_PLACE_IN_PATH[level]]
            if practice in self.reach and code:
                found[code].add(practice)
        return {code: frozenset(practices) for code, practices in found.items()}

    def inside(self, organisation: str, day: date) -> Collection[str]:
        """The practices in reach that belonged to an organisation on a day."""
        return frozenset(p for p, path in self.paths(day).items() if p in self.reach and organisation in path)

    @cached_property
    def _by_practice(self) -> Mapping[str, date]:
        return {practice: day for (practice, source), day in self.registry.days.items() if source == GP}

    def _records_to(self, practice: str) -> date:
        return self._by_practice.get(practice, date.max)

    def _evaluated(self, day: date) -> frozenset[str]:
        return frozenset(p for p, newest in self.registry.results.index_dates.items() if newest >= day)

    def _counts(self, indicator: Indicator) -> Mapping[date, Sequence[Count]]:
        kept = self._kept
        if indicator.name not in kept:
            by_day: dict[date, list[Count]] = defaultdict(list)
            with self.asking.timed("results"):
                for count in self.registry.results.counts(indicator.name):
                    by_day[count.index_date].append(count)
            kept[indicator.name] = by_day
        return kept[indicator.name]

    @cached_property
    def _kept(self) -> dict[str, Mapping[date, Sequence[Count]]]:
        return {}

    def _path(self, practice: str, day: date) -> Path:
        graph = self.asking.organisations
        above = graph.above(practice, day)
        kinds = (OrganisationType.ICB, OrganisationType.PLACE, OrganisationType.PCN)
        found = (min((code for code in above if graph.nodes[code].type == kind), default="") for kind in kinds)
        return (*found, practice)


def open_family(asking: Asking, pack: str) -> Family:
    """Open a registry's counts, narrowed to people whom opt-outs leave in.

    Raises `NotFound` when it is not enabled or has no results in reach.
    """
    with asking.timed("definition"):
        registered = asking.counted.get(pack)
    if registered is None:
        raise NotFound("There is no such registry.", "Choose one from the home page.")
    reach = asking.reach_of(pack, Action.VIEW_AGGREGATES)
    nodes = asking.organisations.nodes.values()
    everyone = frozenset(node.ods_code for node in nodes if node.type == OrganisationType.PRACTICE)
    registry = open_practices(asking, registered, Reach(everyone | reach.practices, reach.decision))
    if not reach.practices & registry.results.practices:
        raise NotFound(
            f"{registered.title} has no results for these practices yet.", "They are made by `cohortium evaluate`."
        )
    return Family(registry, reach.practices & registry.results.practices)
