"""An attack on everything that may be published, by integer programming.

The attacker knows the rules and is given more than any page shows: each part that figures are sums of, of every
practice, PCN, place and ICB, of every month, by every stratifier and pair of stratifiers, and what a preview tells. For
each hidden count the solver looks for the smallest and the largest number of people that fits all of it. The tables of
two measures about the same people are given together as well.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import highspy
import pytest

from cohortium_platform.results import Count
from cohortium_platform.statistics import POLICIES, STRICT, Month, Publication, SuppressionPolicy, split
from cohortium_plugins.model import Status

SITES, AGES, SEXES = ("breast", "lung", ""), ("young", "old"), ("f", "m")
MET, OVERDUE, EXCLUDED = Status.MET, Status.OVERDUE, Status.EXCLUDED
DAY = dt.date(2025, 11, 30)
SEEDS = (0, 1, 2, 3, 4, 5, 125, 133, 1073)
"""The last ones are those of 144 populations that leave the least open."""
Person = tuple[str, str, str, str]
"""What is unknown of someone with a status: practice, site, age, sex."""
PREVIEW_SEEDS = range(8)


class Attacker:
    """What somebody knows, as intervals of sums of unknown whole numbers that are not negative."""

    def __init__(self, unknown: Iterable[object]) -> None:
        self.solver = highspy.Highs()
        self.solver.silent()
        self.unknown = {name: self.solver.addIntegral(lb=0, ub=10_000) for name in unknown}
        self.hidden: list[object] = []
        self.worlds: list[Sequence[float]] = []

    def _sum(self, names: Collection[object]):
        return self.solver.qsum([self.unknown[name] for name in names])

    def know(self, names: Collection[object], low: int, high: int) -> None:
        self.solver.addConstr(low <= self._sum(names) <= high)

    def know_published(
        self, names: Collection[object], value: int, policy: SuppressionPolicy, *, most: int | None = None
    ) -> None:
        """A rounded figure; `most` when it may stand for anything up to that."""
        half = policy.base // 2
        low = max(value - half, policy.threshold + 1) if value else 0
        self.know(names, low, (value + half if value else 0) if most is None else most)

    def width(self, names: Collection[object], enough: int) -> int:
        """By how much the number of them can differ between two worlds that fit; not looked for beyond `enough`."""
        places = [self.unknown[name].index for name in names]
        for optimise in (None, self.solver.minimize, self.solver.maximize):
            if optimise is not None:
                optimise(self._sum(names))
                assert self.solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
                self.worlds.append(self.solver.getSolution().col_value)
            found = [round(sum(world[place] for place in places)) for world in self.worlds] or [0]
            if max(found) - min(found) >= enough:
                return enough
        return max(found) - min(found)


def population(seed: int, status: Status) -> tuple[Mapping[str, tuple[str, ...]], Mapping[Person, int]]:
    """Small practices of very different sizes in PCNs of very different sizes, with strata that are rare in most."""
    chance = random.Random(f"{seed} {status}")  # noqa: S311 - people, not secrets
    shape = random.Random(seed)  # noqa: S311 - the same
    paths: dict[str, tuple[str, ...]] = {}
    for place in range(shape.choice([1, 2])):
        for pcn in range(shape.choice([1, 2])):
            for _ in range(shape.choice([1, 2, 3])):
                practice = f"P{len(paths):02d}"
                paths[practice] = ("ICB", f"L{place}", f"U{place}{pcn}", practice)
    scale = {MET: 60, OVERDUE: 20, EXCLUDED: 5}[status] * shape.choice([1, 2, 4])
    people: dict[Person, int] = dict.fromkeys(product(paths, SITES, AGES, SEXES), 0)
    for practice in paths:
        weights = [[chance.random() ** 2 for _ in values] for values in (SITES, AGES, SEXES)]
        for _ in range(int(scale * chance.choice([0.2, 0.5, 1, 1, 2]))):
            picked = [chance.choices(values, own)[0] for values, own in zip((SITES, AGES, SEXES), weights, strict=True)]
            people[practice, picked[0], picked[1], picked[2]] += 1
    return paths, people


def counts_of(people: Mapping[Person, int], status: Status) -> list[Count]:
    return [Count(practice, "i", DAY, status, None, many) for (practice, *_), many in people.items()]


_SITE, _AGE, _SEX = (1, SITES), (2, AGES), (3, SEXES)
AXES: Sequence[tuple[tuple[int, Sequence[str]], ...]] = (
    (_SITE,), (_AGE,), (_SEX,), (_SITE, _AGE), (_SITE, _SEX), (_AGE, _SEX),
)  # fmt: skip
"""Each table by stratifier: which parts of a person, and what they can be."""


def know_parts(attacker: Attacker, publication: Publication, people_of: Mapping[str, Collection[object]]) -> set[str]:
    """Tell what figures by organisation are made of, and what hidden practices can be. Gives the hidden practices."""
    hidden = set(publication.paths)
    for part in publication.parts:
        names = [name for practice in part.practices for name in people_of[practice]]
        single = len(part.practices) == 1
        if single:
            hidden -= part.practices
        near_cap = not single and part.value + publication.policy.base // 2 >= 7 * (len(part.practices) - 1)
        most = 7 * len(part.practices) if near_cap else None
        attacker.know_published(names, part.value, publication.policy, most=most)
    for practice in hidden:
        attacker.know(people_of[practice], 0, 7)
    for practices, most in publication.rests:
        attacker.know([name for practice in practices for name in people_of[practice]], 0, most)
    return hidden


def nodes(paths: Mapping[str, tuple[str, ...]]) -> list[frozenset[str]]:
    """Every organisation, as the practices in it."""
    return sorted(
        {frozenset(p for p in paths if code in paths[p]) for path in paths.values() for code in path}, key=sorted
    )


Table = Mapping[tuple[str, tuple[str, ...]], Collection[Person]]


def table(people: Mapping[Person, int], axes: Sequence[tuple[int, Sequence[str]]]) -> Table:
    """Who is in each cell of practice by chosen stratifiers."""
    cells: dict[tuple[str, tuple[str, ...]], list[Person]] = {}
    for name in people:
        cells.setdefault((name[0], tuple(name[place] for place, _ in axes)), []).append(name)
    return cells


def cells_of(
    found: Table, inside: Collection[str], axes: Sequence[tuple[int, Sequence[str]]]
) -> Iterator[tuple[tuple[str, ...], list[Person]]]:
    """Give each combination of values and who is in it in some practices."""
    for key in product(*(values for _, values in axes)):
        yield key, [name for practice in inside for name in found[practice, key]]


@dataclass
class Outcome:
    """How far hidden counts stay open: of practices, of practices and others by stratifier; figures shown by it."""

    practices: list[int] = field(default_factory=list)
    strata: list[int] = field(default_factory=list)
    shown: int = 0


def attack(seed: int, status: Status, policy: SuppressionPolicy, outcome: Outcome) -> None:
    paths, people = population(seed, status)
    attacker = Attacker(people)
    of_practice = {practice: [name for name in people if name[0] == practice] for practice in paths}
    month = Month(counts_of(people, status), paths, policy)
    publication = month.publications[status]
    hidden = know_parts(attacker, publication, of_practice)
    open_cells = []
    for axes in AXES:
        found = table(people, axes)
        cells = {(p, status, key): sum(people[name] for name in names) for (p, key), names in found.items()}
        made = split(month, cells, [values for _, values in axes]).splits[status]
        for practices, figures in made.blocks:
            for group, value in figures.items():
                names = [n for key in product(*group) for p in practices for n in found[p, key]]
                assert sum(people[name] for name in names) > STRICT.threshold
                attacker.know_published(names, value, policy)
        for inside in nodes(paths):
            for key, names in cells_of(found, inside, axes):
                figure = made.figure(inside, key)
                if figure.value is None:
                    open_cells.append(names)
                elif figure.value == 0:
                    attacker.know(names, 0, 0)
                else:
                    outcome.shown += 1
    outcome.practices += [attacker.width(of_practice[practice], 7) for practice in sorted(hidden)]
    outcome.strata += [attacker.width(names, 7) for names in open_cells]


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("status", [MET, OVERDUE, EXCLUDED])
def test_no_hidden_count_can_be_pinned_down(status: Status, policy: SuppressionPolicy) -> None:
    outcome = Outcome()
    for seed in SEEDS:
        attack(seed, status, policy, outcome)
    assert set(outcome.practices) <= {7}, "a hidden practice may have any count from 0 to 7"
    assert min(outcome.strata) >= 2, "any other hidden count may be at least three numbers"
    assert status is EXCLUDED or outcome.shown


def naive(people: int) -> int | None:
    """Each count by itself: 1 to 7 hidden, the others to the nearest 5, nought shown."""
    return None if 1 <= people <= STRICT.threshold else STRICT.rounded(people)


def broken(seed: int, status: Status) -> int:
    """How many hidden counts are pinned down when each is decided by itself."""
    paths, people = population(seed, status)
    attacker = Attacker(people)
    open_cells = []
    for axes in ((), *AXES):
        found = table(people, axes)
        for inside in nodes(paths):
            for _, names in cells_of(found, inside, axes):
                value = naive(sum(people[name] for name in names))
                if value is None:
                    attacker.know(names, 1, 7)
                    open_cells.append(names)
                else:
                    attacker.know_published(names, value, STRICT)
    return sum(attacker.width(names, 1) == 0 for names in open_cells)


def test_the_same_attack_breaks_hiding_and_rounding_each_count_by_itself() -> None:
    assert sum(broken(seed, OVERDUE) for seed in SEEDS[:4]) > 0


@pytest.mark.parametrize("seed", PREVIEW_SEEDS)
def test_a_preview_beside_the_tables_before_and_after_pins_nothing_down(seed: int) -> None:
    """Who joined and who left are counts of their own; afterwards the next table is published as well."""
    chance = random.Random(seed)  # noqa: S311 - people, not secrets
    paths, _ = population(seed, MET)
    before = {practice: int(chance.expovariate(1 / 15)) for practice in paths}
    left = {practice: min(many, int(chance.expovariate(1 / 4))) for practice, many in before.items()}
    joined = {practice: int(chance.expovariate(1 / 4)) for practice in paths}
    after = {practice: before[practice] + joined[practice] - left[practice] for practice in paths}
    attacker = Attacker(product(("before", "joined", "left", "after"), paths))
    for practice in paths:
        was, came, went, now = (attacker.unknown[kind, practice] for kind in ("before", "joined", "left", "after"))
        attacker.solver.addConstr(was + came - went - now == 0)
        attacker.solver.addConstr(went - was <= 0)
    for kind, counts in (("before", before), ("joined", joined), ("left", left), ("after", after)):
        publication = Publication(counts, paths, STRICT)
        hidden = know_parts(attacker, publication, {practice: [(kind, practice)] for practice in paths})
        counts_hidden = [(kind, practice) for practice in sorted(hidden)]
        attacker.hidden += counts_hidden
    assert min(attacker.width([name], 7) for name in attacker.hidden) >= 1


STATUSES = (Status.MET, Status.OVERDUE, Status.EXCLUDED)
Twice = tuple[str, Status, Status, str]
"""What is unknown of someone whom two measures are about: practice, status by the one, status by the other, site."""
TWICE_SEEDS = (0, 1, 2, 4, 5, 9)


@dataclass(frozen=True)
class TwoMeasures:
    """Practices of very different sizes, and how many people of each kind they have. Both measures concern everybody,
    which is the worst case: for each practice and site the counts of all statuses have one sum, and the attacker knows
    that it is one.
    """

    paths: Mapping[str, tuple[str, ...]]
    people: Mapping[Twice, int]

    def names(self, **wanted: object) -> list[Twice]:
        """Those of some practices, statuses and sites."""
        places = ("practice", "first", "second", "site")
        return [n for n in self.people if all(n[places.index(part)] in value for part, value in wanted.items())]


def two_measures(seed: int) -> TwoMeasures:
    paths, _ = population(seed, Status.MET)
    chance = random.Random(seed)  # noqa: S311 - people, not secrets
    people: dict[Twice, int] = dict.fromkeys(product(paths, STATUSES, STATUSES, SITES), 0)
    for practice in paths:
        weights = [(chance.random() ** 2, chance.random() ** 4, chance.random() ** 6) for _ in range(3)]
        for _ in range(int(chance.choice([10, 20, 40, 80, 160]))):
            first, second = (chance.choices(STATUSES, each)[0] for each in weights[:2])
            people[practice, first, second, chance.choices(SITES, weights[2])[0]] += 1
    return TwoMeasures(paths, people)


def know_measure(attacker: Attacker, who: TwoMeasures, measure: str) -> Iterator[tuple[str, list[Twice]]]:
    """Tell everything that is published of a measure; gives each hidden count."""
    place = 1 if measure == "first" else 2
    counts = [Count(n[0], measure, DAY, n[place], None, many) for n, many in who.people.items()]
    cells: dict[tuple[str, Status, tuple[str, ...]], int] = {}
    for name, many in who.people.items():
        key = (name[0], name[place], (name[3],))
        cells[key] = cells.get(key, 0) + many
    month = Month(counts, who.paths, STRICT)
    made = split(month, cells, [SITES])
    for status in STATUSES:
        own = {p: who.names(practice=[p], **{measure: [status]}) for p in who.paths}
        for practice in know_parts(attacker, month.publications[status], own):
            yield "practice", own[practice]
        by_site = made.splits[status]
        for practices, figures in by_site.blocks:
            for group, value in figures.items():
                names = who.names(practice=practices, site=group[0], **{measure: [status]})
                attacker.know_published(names, value, STRICT)
        for inside in nodes(who.paths):
            for site in SITES:
                names = who.names(practice=inside, site=[site], **{measure: [status]})
                figure = by_site.figure(inside, (site,))
                if figure.value is None:
                    yield "site", names
                elif figure.value == 0:
                    attacker.know(names, 0, 0)


def open_of_two(seed: int) -> Mapping[str, Collection[int]]:
    who = two_measures(seed)
    attacker = Attacker(who.people)
    hidden = [each for measure in ("first", "second") for each in know_measure(attacker, who, measure)]
    found: dict[str, list[int]] = {"practice": [], "site": []}
    for kind, names in hidden:
        found[kind].append(attacker.width(names, 7))
    return found


@pytest.mark.parametrize("seed", TWICE_SEEDS)
def test_the_tables_of_two_measures_pin_no_hidden_count_down(seed: int) -> None:
    """Of 12 populations of this kind, the fifth leaves the least open."""
    found = open_of_two(seed)
    assert found["practice"]
    assert found["site"]
    assert min(*found["practice"], *found["site"]) >= 2, "every hidden count may be at least three numbers"


NOBODY = ""
"""Whom the measure does not concern: published nowhere."""
Change = tuple[str, str, str, str]
"""What is unknown of someone: practice, site, status now, status under the version that is previewed."""
CHANGE_SEEDS = (0, 1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Changes:
    """Two months' tables and the preview between them, about the same people."""

    paths: Mapping[str, tuple[str, ...]]
    people: Mapping[Change, int]

    def names(self, **wanted: Collection[object]) -> list[Change]:
        """Those of some practices, sites and statuses."""
        places = ("practice", "site", "before", "after")
        return [n for n in self.people if all(n[places.index(part)] in value for part, value in wanted.items())]

    def count(self, names: Collection[Change]) -> int:
        return sum(self.people[name] for name in names)


def changes(seed: int) -> Changes:
    """Most people stay what they are; few join, leave or change."""
    paths, _ = population(seed, MET)
    chance = random.Random(seed)  # noqa: S311 - people, not secrets
    statuses = (MET, OVERDUE, NOBODY)
    people: dict[Change, int] = dict.fromkeys(product(paths, SITES, statuses, statuses), 0)
    for practice in paths:
        sites = [chance.random() ** 4 for _ in SITES]
        before, moving = [chance.random() for _ in statuses], chance.choice([0.05, 0.2, 0.5])
        for _ in range(int(chance.choice([10, 20, 40, 80, 160]))):
            was = chance.choices(statuses, before)[0]
            now = chance.choice(statuses) if chance.random() < moving else was
            people[practice, chance.choices(SITES, sites)[0], was, now] += 1
    return Changes(paths, people)


def know_month(attacker: Attacker, who: Changes, when: str, policy: SuppressionPolicy) -> Iterator[list[Change]]:
    """Tell the tables of a month, by organisation and by site; gives each hidden count."""
    place = 2 if when == "before" else 3
    concerned = [(n, many) for n, many in who.people.items() if n[place] != NOBODY]
    counts = [Count(n[0], "i", DAY, n[place], None, many) for n, many in concerned]
    cells: dict[tuple[str, Status, tuple[str, ...]], int] = {}
    for name, many in concerned:
        key = (name[0], name[place], (name[1],))
        cells[key] = cells.get(key, 0) + many
    month = Month(counts, who.paths, policy)
    made = split(month, cells, [SITES])
    for status in (MET, OVERDUE):
        own = {p: who.names(practice=[p], **{when: [status]}) for p in who.paths}
        publication = month.publications[status]
        for practice in know_parts(attacker, publication, own) - publication.nobody:
            yield own[practice]
        for practices, figures in made.splits[status].blocks:
            for group, value in figures.items():
                names = who.names(practice=practices, site=group[0], **{when: [status]})
                attacker.know_published(names, value, policy)
        for inside, site in product(nodes(who.paths), SITES):
            names = who.names(practice=inside, site=[site], **{when: [status]})
            figure = made.splits[status].figure(inside, (site,))
            if figure.value is None:
                yield names
            elif figure.value == 0:
                attacker.know(names, 0, 0)


def know_preview(attacker: Attacker, who: Changes, policy: SuppressionPolicy) -> Iterator[list[Change]]:
    """Tell how many change from which status to which; gives each hidden count."""
    for was, now in product((MET, OVERDUE, NOBODY), repeat=2):
        if was == now:
            continue
        own = {p: who.names(practice=[p], before=[was], after=[now]) for p in who.paths}
        publication = Publication({p: who.count(names) for p, names in own.items()}, who.paths, policy)
        for practice in know_parts(attacker, publication, own):
            yield own[practice]


@pytest.mark.parametrize("policies", [["nearest-5"], ["nearest-15"], list(POLICIES)], ids=str)
@pytest.mark.parametrize("seed", CHANGE_SEEDS)
def test_two_months_by_group_and_the_preview_between_them_pin_no_hidden_count_down(
    seed: int, policies: Sequence[str]
) -> None:
    """All of it at once, and under both policies of a tenant that chose another one in between."""
    who = changes(seed)
    attacker = Attacker(who.people)
    hidden: list[list[Change]] = []
    for policy in (POLICIES[name] for name in policies):
        for when in ("before", "after"):
            hidden += know_month(attacker, who, when, policy)
        hidden += know_preview(attacker, who, policy)
    assert hidden
    assert min(attacker.width(names, 3) for names in hidden) >= 1
