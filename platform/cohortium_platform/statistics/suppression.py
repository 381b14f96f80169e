"""What may be said of a count: hidden, or rounded. The one place where counts become figures that may leave.

Here: the policy, figures as they may be published, and how counts of practices and what they add up to are published
together. Not here: tables by stratifier (`lattice`), the counts (`results`), and who may see any of it.

Everything published is a sum of `Part`s, and no two parts of a publication hold the same people. A part is one practice
whose count is above the threshold, or several practices below it, taken together. A practice below it may have any
count from nought to the threshold, whatever is published about all others: the argument is in
docs/decisions/2026-11-22-suppression.md, and tests/platform/test_suppression.py tries to refute it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cohortium_platform.errors import BadInput, BadSettings

__all__ = [
    "HIDDEN",
    "POLICIES",
    "STRICT",
    "Part",
    "Path",
    "Publication",
    "Published",
    "SuppressionPolicy",
    "policy_of",
    "rate_of",
]

Path = tuple[str, ...]
"""Where a practice stands: the codes above it, the widest first, and its own last. Empty text where there is none."""

_LEFT_OUT_OF_A_RATE = 20
"""A rate is given while those who may be missing from it are at most one in this many of those counted."""


@dataclass(frozen=True, slots=True)
class SuppressionPolicy:
    """Counts from 1 to `threshold` are hidden, and so is nought beside them; others go to the nearest `base`.

    Raises `BadSettings` when the smallest figure would say more than the others: with a threshold of 5 and a base of 5,
    a published 5 would mean 6 or 7.
    """

    threshold: int = 7
    base: int = 5

    @property
    def words(self) -> str:
        """How a page and a file say it."""
        return f"Counts from 1 to {self.threshold} are hidden, others are rounded to the nearest {self.base}"

    def __post_init__(self) -> None:
        if self.threshold < 1 or self.base < 1 or (self.threshold + 1 + self.base // 2) % self.base:
            raise BadSettings(
                f"A threshold of {self.threshold} with rounding to {self.base} gives the smallest figures away.",
                "Choose a threshold after which a step of the rounding begins, such as 7 with 5.",
            )

    def rounded(self, people: int) -> int:
        """The nearest multiple of the base."""
        return (people + self.base // 2) // self.base * self.base


STRICT = SuppressionPolicy()
"""1 to 7 hidden, the rest to the nearest 5: what a tenant has unless it says otherwise."""

POLICIES: Mapping[str, SuppressionPolicy] = {"nearest-5": STRICT, "nearest-15": SuppressionPolicy(7, 15)}
"""What a tenant may choose from. All that any of them publishes can be worked out from what `STRICT` does, so that
whoever was given tables under several of them knows no more than those of `STRICT`. It holds for no other
threshold, nor for rounding to 10: tests/platform/test_suppression.py shows both."""


def policy_of(name: str) -> SuppressionPolicy:
    """A policy by name. Raises `BadInput`."""
    if name not in POLICIES:
        raise BadInput("There is no such rule of suppression.", "Choose one from the list.")
    return POLICIES[name]


@dataclass(frozen=True, slots=True)
class Published:
    """A figure that may leave the platform; never a raw count. `value` is None when it is hidden. `below`: hidden for
    being one practice's own count below this number; nought when it is hidden to protect another. `left_out` practices
    are not in it, for theirs are hidden and cannot be added; together they have at most `at_most` people.
    """

    value: int | None
    below: int = 0
    left_out: int = 0
    at_most: int = 0

    @property
    def text(self) -> str:
        """How a page writes it."""
        if self.value is None:
            return f"fewer than {self.below}" if self.below else "hidden"
        return f"{self.value:,}"

    @property
    def csv(self) -> str:
        """How a file writes it: an asterisk when it is hidden."""
        return "*" if self.value is None else str(self.value)


HIDDEN = Published(None)
"""Hidden, with no more said."""


def rate_of(met: Published, overdue: Published) -> int | None:
    """Whole percent met, of those met or overdue, from published figures; None where either is hidden, or where those
    left out could change it much.
    """
    if met.value is None or overdue.value is None or met.value + overdue.value == 0:
        return None
    whole = met.value + overdue.value
    if (met.at_most + overdue.at_most) * _LEFT_OUT_OF_A_RATE > whole:
        return None
    return round(100 * met.value / whole)


@dataclass(frozen=True, slots=True)
class Part:
    """People of some practices that are published as one figure. `capped`: the figure is lower than the count, which
    came so close to the most these practices could have that it would have given them away.
    """

    practices: frozenset[str]
    value: int
    capped: bool = False


@dataclass(frozen=True, slots=True)
class _Rest:
    """Practices that nothing was published of yet: how many people they have, and the most that anyone outside can
    think they have.
    """

    practices: frozenset[str] = frozenset()
    people: int = 0
    most: int = 0


@dataclass(frozen=True)
class Publication:
    """Counts of one kind, of every practice of a family at once, as they may be published. `counts` are true counts,
    and stay inside; `paths` has every practice of the family; at those of `nobody` there is no one it could be said of,
    so that their nought is shown.
    """

    counts: Mapping[str, int]
    paths: Mapping[str, Path]
    policy: SuppressionPolicy
    nobody: frozenset[str] = frozenset()
    parts: Sequence[Part] = field(init=False)
    rests: Sequence[tuple[frozenset[str], int]] = field(init=False)

    def __post_init__(self) -> None:
        parts: list[Part] = []
        rests: list[tuple[frozenset[str], int]] = []
        self._settle(sorted(self.paths), 0, parts, rests)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "rests", rests)

    def _settle(
        self, practices: Sequence[str], depth: int, parts: list[Part], rests: list[tuple[frozenset[str], int]]
    ) -> _Rest:
        """Publish what can be of practices that share the first `depth` codes of their paths; give what is left."""
        if len(practices) == 1 and depth == len(self.paths[practices[0]]):
            return self._practice(practices[0], parts)
        below = [self._settle(each, depth + 1, parts, rests) for each in self._groups(practices, depth)]
        threshold = self.policy.threshold
        hidden = frozenset[str]().union(*(rest.practices for rest in below))
        people, most = sum(rest.people for rest in below), sum(rest.most for rest in below)
        enough = most > 2 * threshold
        if enough and people > threshold:
            # No more is said than leaves it open that one of them has nobody and all others as many as they can.
            cap = most - threshold
            parts.append(Part(hidden, self.policy.rounded(min(people, cap)), capped=people > cap))
            return _Rest()
        rest = _Rest(hidden, people, threshold if enough else most)
        if hidden:
            rests.append((hidden, rest.most))
        return rest

    def _practice(self, practice: str, parts: list[Part]) -> _Rest:
        people = self.counts.get(practice, 0)
        if people > self.policy.threshold:
            parts.append(Part(frozenset({practice}), self.policy.rounded(people)))
            return _Rest()
        if practice in self.nobody and people == 0:
            parts.append(Part(frozenset({practice}), 0))
            return _Rest()
        return _Rest(frozenset({practice}), people, self.policy.threshold)

    def _groups(self, practices: Sequence[str], depth: int) -> Iterator[Sequence[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for practice in practices:
            found[self.paths[practice][depth]].append(practice)
        yield from (found[code] for code in sorted(found))

    def figure(self, inside: Collection[str]) -> Published:
        """The figure of some practices: the sum of the parts that lie wholly inside."""
        whole = frozenset(inside) & self.paths.keys()
        held = [part for part in self.parts if part.practices <= whole]
        missing = whole - frozenset[str]().union(*(part.practices for part in held))
        value = sum(part.value for part in held)
        if missing and value == 0:
            return Published(None, below=self.policy.threshold + 1) if len(whole) == 1 else HIDDEN
        return Published(value, left_out=len(missing), at_most=self.most(missing))

    def most(self, missing: frozenset[str]) -> int:
        """The most people that practices which are in no part can have together."""
        bounds = [most for practices, most in self.rests if missing <= practices]
        return min([*bounds, len(missing) * self.policy.threshold]) if missing else 0

    def settled(self, inside: Collection[str]) -> frozenset[str]:
        """Those of some practices that uncapped parts inside hold: were the exact sum of each of these parts known, no
        more would be learnt of any hidden practice.
        """
        whole = frozenset(inside)
        held = (part.practices for part in self.parts if not part.capped and part.practices <= whole)
        return frozenset[str]().union(*held)
