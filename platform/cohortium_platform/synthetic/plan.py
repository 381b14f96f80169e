"""How a population is cut into blocks that can be made one by one, in any order, by any process.

Here: who is made in which block, with which seed and which NHS numbers. Not here: making them.

A block is a few thousand people of one practice. It either stayed there or moved there from a neighbouring practice;
a moved block is made twice, once for each practice, and comes out the same both times.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import Values
from cohortium_platform.synthetic.options import Setting, SyntheticOptions, SyntheticPractice
from cohortium_platform.synthetic.places import age_weights, mortality

__all__ = ["HISTORY_YEARS", "Block", "Plan", "Stage", "nhs_numbers_used", "plan", "stream"]

HISTORY_YEARS = 3
"""For how long before `records_to` the dead and the departed are still in the extract."""
_LARGEST_BLOCK = 4_000
_MOVED = {Setting.URBAN: 0.03, Setting.RURAL: 0.02}
_LEAVING = {Setting.URBAN: 0.025, Setting.RURAL: 0.015}
# One candidate in eleven has no valid check digit; a little more is set aside so that a block never runs out.
_SPARE = 8
_SPARE_EACH = 32


class Stage:
    """Names of the random streams of a block; each part of the generator draws from its own."""

    PEOPLE, CANCER, SUMMARIES, CANCER_ROWS, COURSE, CONDITIONS = range(6)
    ROUTINE, FILLER, FAULTS, IDENTITY, CONTACTS, TRUST = range(6, 12)


@dataclass(frozen=True, slots=True)
class Block:
    """People made together. `home` is where they are registered last, `origin` where they moved from (indices)."""

    number: int
    home: int
    origin: int | None
    current: int
    died: int
    left: int
    nhs_from: int

    @property
    def size(self) -> int:
        """How many people it holds."""
        return self.current + self.died + self.left

    @property
    def nhs_span(self) -> int:
        """How many candidates for NHS numbers are set aside for it."""
        return _span(self.size)


@dataclass(frozen=True, slots=True)
class Plan:
    """All blocks; `of_practice` gives a practice's own, in the order in which its extract lists them."""

    blocks: tuple[Block, ...]
    of_practice: tuple[tuple[int, ...], ...]

    @property
    def people(self) -> int:
        """How many people are in the extract, movers counted once."""
        return sum(block.size for block in self.blocks)


def stream(options: SyntheticOptions, block: int, stage: int) -> np.random.Generator:
    """Give the random stream of one stage of one block: it depends on the seed and nothing else."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(options.seed, spawn_key=(block, stage))))


def _span(size: int) -> int:
    return size + size // _SPARE + _SPARE_EACH


def shares(total: int, weights: Values) -> list[int]:
    """Split a whole number by weights; the parts add up and none is off by one or more."""
    edges = np.rint(np.cumsum(weights) / weights.sum() * total).astype(np.int64)
    return [int(part) for part in np.diff(edges, prepend=0)]


@functools.cache
def _deaths_share(practice: SyntheticPractice) -> float:
    """How many died in the extract's past, for each person there now."""
    return float((age_weights(practice.ages) * mortality()).sum()) * HISTORY_YEARS


def _practice_blocks(
    practice: SyntheticPractice, index: int, practices: int, people: int
) -> list[tuple[int, int | None, int, int, int]]:
    moved = 0 if practices == 1 else round(people * _MOVED[practice.setting])
    neighbours = [(index - 1) % practices] if practices <= 2 else [(index - 1) % practices, (index - 2) % practices]
    stayed = people - moved
    died, left = (
        round(stayed * share) for share in (_deaths_share(practice), _LEAVING[practice.setting] * HISTORY_YEARS)
    )
    parts = max(1, -(-(stayed + died + left) // _LARGEST_BLOCK))
    even = np.ones(parts)
    blocks: list[tuple[int, int | None, int, int, int]] = [
        (index, None, *counts)
        for counts in zip(shares(stayed, even), shares(died, even), shares(left, even), strict=True)
    ]
    blocks += [
        (index, origin, count, 0, 0)
        for origin, count in zip(neighbours, shares(moved, np.ones(len(neighbours))), strict=True)
        if count
    ]
    return blocks


@functools.lru_cache(maxsize=4)
def _plan(people: int, practices: tuple[SyntheticPractice, ...], nhs_from: int) -> Plan:
    sizes = shares(people, np.array([practice.size for practice in practices]))
    blocks: list[Block] = []
    for index, (practice, size) in enumerate(zip(practices, sizes, strict=True)):
        for home, origin, current, died, left in _practice_blocks(practice, index, len(practices), size):
            block = Block(len(blocks), home, origin, current, died, left, nhs_from)
            nhs_from += block.nhs_span
            blocks.append(block)
    by_practice: list[list[int]] = [[] for _ in practices]
    for block in blocks:
        by_practice[block.home].append(block.number)
        if block.origin is not None:
            by_practice[block.origin].append(block.number)
    return Plan(tuple(blocks), tuple(tuple(numbers) for numbers in by_practice))


def plan(options: SyntheticOptions) -> Plan:
    """Cut a population into blocks."""
    return _plan(options.people, options.practices, options.nhs_numbers_from)


def nhs_numbers_used(options: SyntheticOptions) -> int:
    """Give where the next tenant's `nhs_numbers_from` may begin so that no NHS number occurs in both."""
    return options.nhs_numbers_from + sum(block.nhs_span for block in plan(options).blocks)
