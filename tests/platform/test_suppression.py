"""The rules of suppression, case by case; and every small case there is, against somebody who knows the rules.

The attack on whole families of tables is in test_suppression_attack.py.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from random import Random

import pytest

from cohortium_platform.errors import BadInput, BadSettings
from cohortium_platform.results import Count
from cohortium_platform.statistics import (
    POLICIES,
    STRICT,
    Month,
    Publication,
    Published,
    SuppressionPolicy,
    policy_of,
    rate_of,
    split,
)
from cohortium_plugins.model import Status

DAY = dt.date(2025, 11, 30)
PLACE = {"A": ("I", "L", "U1", "A"), "B": ("I", "L", "U1", "B"), "C": ("I", "L", "U2", "C"), "D": ("I", "L", "U2", "D")}


def published(**counts: int) -> Publication:
    return Publication(counts, {name: PLACE[name] for name in counts}, STRICT)


def month(status: Status = Status.MET, **counts: int) -> Month:
    return Month([Count(name, "i", DAY, status, None, many) for name, many in counts.items()], PLACE, STRICT)


@pytest.mark.parametrize(("people", "shown"), [(8, "10"), (12, "10"), (13, "15"), (17, "15"), (1237, "1,235")])
def test_from_8_on_a_count_is_rounded_to_the_nearest_5(people: int, shown: str) -> None:
    assert published(A=people).figure({"A"}).text == shown


@pytest.mark.parametrize("people", range(8))
def test_7_or_fewer_are_hidden_and_look_alike(people: int) -> None:
    figure = published(A=people).figure({"A"})
    assert (figure.value, figure.text, figure.csv) == (None, "fewer than 8", "*")


def test_every_figure_stands_for_as_many_counts_as_any_other() -> None:
    stands_for: dict[str, list[int]] = defaultdict(list)
    for people in range(100):
        stands_for[published(A=people).figure({"A"}).csv].append(people)
    assert stands_for.pop("*") == [*range(8)]
    assert {len(each) for each in list(stands_for.values())[:-1]} == {5}


@pytest.mark.parametrize(("threshold", "base"), [(5, 5), (4, 5), (0, 5), (7, 0), (6, 5)])
def test_a_policy_whose_smallest_figures_say_more_is_refused(threshold: int, base: int) -> None:
    with pytest.raises(BadSettings):
        SuppressionPolicy(threshold, base)


def test_another_policy_says_its_own_threshold() -> None:
    made = Publication({"A": 2}, {"A": PLACE["A"]}, SuppressionPolicy(2, 5))
    assert made.figure({"A"}).text == "fewer than 3"


def test_a_total_is_the_sum_of_rounded_figures() -> None:
    made = published(A=12, B=12, C=12)
    assert made.figure({"A", "B", "C"}) == Published(30)
    assert made.figure({"A", "B"}) == Published(20)


def test_a_hidden_practice_is_not_in_the_total_beside_the_others() -> None:
    made = published(A=100, B=5)
    assert made.figure({"A", "B"}) == Published(100, left_out=1, at_most=7)


def test_hidden_practices_that_are_enough_are_counted_together() -> None:
    made = published(A=5, B=5, C=5, D=100)
    assert made.figure({"A", "B"}).text == "hidden"
    assert made.figure(PLACE) == Published(115)


def test_no_sum_of_hidden_practices_says_that_all_are_as_large_as_can_be() -> None:
    assert published(A=7, B=7, C=7).figure("ABC") == published(A=5, B=5, C=4).figure("ABC") == Published(15)


def test_nought_is_shown_only_where_there_is_nobody() -> None:
    made = Month([Count("A", "i", DAY, Status.MET, None, 40)], PLACE, STRICT)
    assert made.figures({"B"}).by_status[Status.MET] == Published(0)
    assert made.figures({"A"}).by_status[Status.OVERDUE].value is None, "all of them met would be said of each"


def test_a_rate_is_of_published_figures_and_whole_percent() -> None:
    assert rate_of(Published(10), Published(20)) == 33
    assert rate_of(Published(10), Published(None)) is None
    assert rate_of(Published(0), Published(0)) is None


def test_a_rate_is_not_given_when_those_missing_could_change_it() -> None:
    assert rate_of(Published(100), Published(50, left_out=1, at_most=7)) == 67
    assert rate_of(Published(60), Published(50, left_out=1, at_most=7)) is None


def test_what_is_published_does_not_depend_on_who_asks() -> None:
    made = published(A=5, B=5, C=5, D=100)
    assert made.figure({"A", "B", "C"}) == Published(15)
    assert made.figure({"A", "B"}).value is None, "the same three are one figure, and no other is made of two of them"


SHAPES = [
    ({"A": PLACE["A"], "B": PLACE["B"], "C": PLACE["C"], "D": PLACE["D"]}, 9),
    (
        {
            "A": ("I", "L", "U1", "A"),
            "B": ("I", "L", "U1", "B"),
            "C": ("I", "L", "U1", "C"),
            "D": ("I", "M", "U2", "D"),
        },
        9,
    ),
]


@pytest.mark.parametrize(("paths", "end"), SHAPES)
def test_whoever_knows_the_rules_cannot_narrow_a_hidden_practice(paths: Mapping[str, Sequence[str]], end: int) -> None:
    """All worlds that would publish the same: a hidden count is any of 0 to 7 in them."""
    by_answer: dict[object, list[Sequence[int]]] = defaultdict(list)
    for counts in product(range(end), repeat=len(paths)):
        made = Publication(
            dict(zip(paths, counts, strict=True)), {name: tuple(path) for name, path in paths.items()}, STRICT
        )
        by_answer[frozenset((part.practices, part.value) for part in made.parts)].append(counts)
    for answer, worlds in by_answer.items():
        shown = {frozenset(practices) for practices, _ in answer}
        for place, practice in enumerate(paths):
            if frozenset({practice}) not in shown:
                assert {world[place] for world in worlds} == set(range(8))


@pytest.mark.parametrize(("values", "end"), [(2, 24), (3, 17)])
def test_whoever_knows_the_rules_and_the_exact_total_cannot_pin_down_a_hidden_stratum(values: int, end: int) -> None:
    """Given even the exact values of all that is shown, each hidden stratum may be two numbers at least."""
    names = [str(number) for number in range(values)]
    by_answer: dict[object, list[Sequence[int]]] = defaultdict(list)
    for counts in product(range(end), repeat=values):
        if sum(counts) <= STRICT.threshold:
            continue
        cells = {("A", Status.MET, (name,)): many for name, many in zip(names, counts, strict=True)}
        made = split(
            Month([Count("A", "i", DAY, Status.MET, None, sum(counts))], {"A": PLACE["A"]}, STRICT), cells, [names]
        )
        shown = tuple(
            many if made.figures({"A"}, (name,)).by_status[Status.MET].value is not None else None
            for name, many in zip(names, counts, strict=True)
        )
        by_answer[shown, sum(counts)].append(counts)
    for (shown, _), worlds in by_answer.items():
        for place, many in enumerate(shown):
            if many is None:
                assert len({world[place] for world in worlds}) >= 2


def strata(cells: Mapping[tuple[str, str], int], values: Sequence[str]):
    totals: dict[str, int] = defaultdict(int)
    for (practice, _), many in cells.items():
        totals[practice] += many
    return split(month(**totals), {(p, Status.MET, (v,)): n for (p, v), n in cells.items()}, [values])


def met(made, inside, value: str = ""):
    figures = made.figures(inside, (value,)) if value else made.total(inside)
    return figures.by_status[Status.MET].value


def test_one_small_stratum_hides_the_next_smallest_with_it() -> None:
    made = strata({("A", "old"): 50, ("A", "middle"): 20, ("A", "young"): 3}, ["old", "middle", "young"])
    assert [met(made, "A", value) for value in ("old", "middle", "young")] == [50, None, None]
    assert met(made, "A") == 75, "50 and, of both hidden, 23 to the nearest 5"


def test_values_that_nobody_has_are_nought_and_hide_nothing() -> None:
    made = strata({("A", "old"): 50, ("A", "young"): 20, ("A", "not known"): 0}, ["old", "young", "not known"])
    assert [met(made, "A", value) for value in ("old", "young", "not known")] == [50, 20, 0]


def test_values_taken_together_are_one_figure() -> None:
    made = strata({("A", "f"): 50, ("A", "m"): 20, ("A", "other"): 3}, ["f", "m", "other"])
    (together,) = made.taken_together()
    assert together == (frozenset({"m", "other"}),)
    assert made.together("A", together).by_status[Status.MET].value == 25


def test_one_practice_with_a_small_stratum_hides_the_next_smallest_practice_with_it() -> None:
    counts = {"A": {"f": 40, "m": 40}, "B": {"f": 20, "m": 20}, "C": {"f": 30, "m": 2}}
    paths = {practice: ("I", "L", "U1", practice) for practice in counts}
    totals = [Count(practice, "i", DAY, Status.MET, None, sum(found.values())) for practice, found in counts.items()]
    cells = {(practice, Status.MET, (sex,)): n for practice, found in counts.items() for sex, n in found.items()}
    made = split(Month(totals, paths, STRICT), cells, [["f", "m"]])
    assert [met(made, practice, "f") for practice in "ABC"] == [40, None, None]
    assert met(made, "ABC", "f") == 90
    assert met(made, "ABC", "m") == 40 + 20


def test_a_pair_of_stratifiers_is_shown_only_where_every_figure_is() -> None:
    values = [["f", "m"], ["old", "young"]]
    full = {("A", Status.MET, key): 10 for key in product(*values)}
    assert split(month(A=40), full, values).figures("A", ("f", "old")).by_status[Status.MET].value == 10
    full["A", Status.MET, ("f", "old")] = 7
    assert split(month(A=37), full, values).figures("A", ("m", "old")).by_status[Status.MET].value is None


COARSER = [policy for policy in POLICIES.values() if policy != STRICT]


def test_a_tenant_chooses_from_a_closed_set() -> None:
    assert [policy_of(name) for name in POLICIES] == list(POLICIES.values())
    with pytest.raises(BadInput):
        policy_of("nearest-10")


@pytest.mark.parametrize("policy", COARSER)
def test_no_figure_of_another_policy_says_more_than_the_strict_one(policy: SuppressionPolicy) -> None:
    """Each is the strict one's figure rounded again: together they say what the strict one says."""
    assert all(policy.rounded(people) == policy.rounded(STRICT.rounded(people)) for people in range(100_000))
    values = [["f", "m", ""], ["old", "young"]]
    shown = 0
    for seed in range(200):
        chance = Random(seed)  # noqa: S311 - people, not secrets
        paths = {f"P{n}": ("I", f"L{n % 2}", f"U{n % 4}", f"P{n}") for n in range(8)}
        many = chance.choice([2, 10, 40])
        cells = {(p, Status.MET, key): int(chance.expovariate(1 / many)) for p in paths for key in product(*values)}
        counts = [Count(p, "i", DAY, Status.MET, None, people) for (p, *_), people in cells.items()]
        strict, other = (Month(counts, paths, each) for each in (STRICT, policy))
        for before, after in zip(strict.publications.values(), other.publications.values(), strict=True):
            assert after.rests == before.rests
            assert [(p.practices, p.capped, p.value) for p in after.parts] == [
                (p.practices, p.capped, policy.rounded(p.value)) for p in before.parts
            ]
        before, after = (split(each, cells, values).splits[Status.MET] for each in (strict, other))
        assert after.classes == before.classes
        assert list(after.blocks) == [
            (practices, {key: policy.rounded(value) for key, value in figures.items()})
            for practices, figures in before.blocks
        ]
        shown += len(before.blocks)
    assert shown > 100


@pytest.mark.parametrize(("policy", "largest"), [(SuppressionPolicy(12, 5), 12), (SuppressionPolicy(14, 10), 14)])
def test_another_threshold_beside_the_strict_one_pins_counts_down(policy: SuppressionPolicy, largest: int) -> None:
    """Why no such policy is offered: three practices of 7 and one that only the strict policy shows."""
    paths = {name: ("I", "L", "U1", name) for name in "ABCD"}

    def shown(counts: Sequence[int], *policies: SuppressionPolicy) -> object:
        made = [Publication(dict(zip(paths, counts, strict=True)), paths, each) for each in policies]
        return [{(part.practices, part.value) for part in each.parts} for each in made]

    true = (7, 7, 7, largest)
    worlds = [(*three, one) for three in product(range(8), repeat=3) for one in range(8, 30)]

    def fitting(*policies: SuppressionPolicy) -> list[Sequence[int]]:
        answer = shown(true, *policies)
        return [world for world in worlds if shown(world, *policies) == answer]

    assert fitting(STRICT, policy) == [true]
    assert fitting(STRICT, *COARSER) == fitting(STRICT)
    assert {world[0] for world in fitting(STRICT)} == set(range(8))
