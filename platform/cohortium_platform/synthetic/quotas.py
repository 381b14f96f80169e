"""How many diagnoses of each month must succeed in which later month for the rates to come out as wanted.

Here: the linear problem, its solution, and dealing the quotas out to people. Not here: what counts when (`course.py`)
and the last few tenths of a point (`repair.py`).

With x[m, k] the share of month m's diagnoses that succeed k months later, "rate r at month end j" is linear in x:
met - r * (met + overdue) = 0. There are more unknowns than month ends, so among the solutions the one is taken that
stays closest to the usual habit and bends smoothly from one month of diagnosis to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import Flags, Index, Values

__all__ = ["FAILED", "Goals", "Ledger", "deal", "quotas"]

FAILED = -1
"""In place of a month of success: none."""
_MOST = 0.97
_CLOSE_TO_HABIT = 3e-4
_SMOOTH = 4.0
_ROUNDS = 3_000


@dataclass(frozen=True, slots=True, eq=False)
class Goals:
    """Month ends and the share of met that each should show; `weight` is 1 for a published figure, less otherwise."""

    month: Index
    rate: Values
    weight: Values


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """What counts when: rows are units, columns month ends.

    `diagnosed` is each unit's month of diagnosis. `met` says that a success so far counts, `overdue` that a failure
    counts, `closed` that the window has closed for someone who is there.
    """

    diagnosed: Index
    met: Flags
    overdue: Flags
    closed: Flags

    def succeeded(self, goals: Goals, step: Index) -> Flags:
        """Say which units had succeeded by which month end, given each one's month of success or FAILED."""
        return np.asarray((step != FAILED)[:, None] & ((self.diagnosed + step)[:, None] <= goals.month[None, :]))

    def rates(self, goals: Goals, step: Index) -> tuple[Values, Values]:
        """Give met / (met + overdue) at each month end, over all and over closed windows only; 0 where none counts."""
        done = self.succeeded(goals, step)
        over = (self.overdue & ~done).sum(axis=0)
        met, closed = (self.met & done).sum(axis=0), (self.closed & done).sum(axis=0)
        return met / np.maximum(met + over, 1), closed / np.maximum(closed + over, 1)


def _equations(ledger: Ledger, goals: Goals, steps: int) -> tuple[Values, Values, Index]:
    """Set up the equations over (months of diagnosis x steps), each divided by its expected denominator."""
    first = int(ledger.diagnosed.min())
    months = int(ledger.diagnosed.max()) - first + 1
    rate, ends = goals.rate, len(goals.rate)
    met, over = np.zeros((months, ends)), np.zeros((months, ends))
    np.add.at(met, ledger.diagnosed - first, ledger.met)
    np.add.at(over, ledger.diagnosed - first, ledger.overdue)
    reached = np.arange(first, first + months)[:, None, None] + np.arange(steps)[None, :, None] <= goals.month
    matrix = reached * (met * (1 - rate) + over * rate)[:, None, :]
    wanted = rate * over.sum(axis=0)
    scale = np.maximum(wanted / rate, 1.0)
    flat = matrix.reshape(months * steps, ends).T / scale[:, None]
    return flat, wanted / scale, np.arange(first, first + months, dtype=np.int32)


def _within_bounds(share: Values) -> Values:
    """Put each row back where no share is negative and the row's sum is at most `_MOST` (nearest such point)."""
    share = np.maximum(share, 0.0)
    over = share.sum(axis=1) > _MOST
    if over.any():
        rows = share[over]
        falling = -np.sort(-rows, axis=1)
        excess = np.cumsum(falling, axis=1) - _MOST
        kept = (falling - excess / np.arange(1, rows.shape[1] + 1) > 0).sum(axis=1)
        cut = excess[np.arange(len(rows)), kept - 1] / kept
        share[over] = np.maximum(rows - cut[:, None], 0.0)
    return share


def _pull(share: Values, habit: Values) -> Values:
    """Give the gradient of keeping close to the habit and bending smoothly."""
    off = share - habit
    bend = np.diff(off, axis=0)
    smooth = np.zeros_like(off)
    smooth[1:] += bend
    smooth[:-1] -= bend
    return off + _SMOOTH * smooth


def quotas(ledger: Ledger, goals: Goals, habit: tuple[float, ...], usual: Values) -> Values:
    """Solve for the share of each month's diagnoses that succeed at each step.

    `usual` is the share of success expected in each calendar month from the first month of diagnosis on, `habit` how
    it spreads over the steps. Accelerated projected gradient on the penalised least squares.
    """
    steps = len(habit)
    matrix, wanted, months = _equations(ledger, goals, steps)
    spread = np.asarray(habit) / np.sum(habit)
    step_month = np.arange(len(months))[:, None] + np.arange(steps)[None, :]
    aim = spread[None, :] * usual[np.minimum(step_month, len(usual) - 1)]
    pushed = (matrix * (goals.weight**2)[:, None]).T
    reach = float(np.linalg.norm((matrix * goals.weight[:, None]), 2) ** 2) + _CLOSE_TO_HABIT * (1 + 4 * _SMOOTH)
    share, ahead, speed = aim.copy(), aim.copy(), 1.0
    for _ in range(_ROUNDS):
        slope = (pushed @ (matrix @ ahead.ravel() - wanted)).reshape(aim.shape)
        new = _within_bounds(ahead - (slope + _CLOSE_TO_HABIT * _pull(ahead, aim)) / reach)
        faster = (1 + np.sqrt(1 + 4 * speed * speed)) / 2
        ahead, share, speed = new + (speed - 1) / faster * (new - share), new, faster
    return np.asarray(np.round(share, 6), dtype=np.float64)


def deal(rng: np.random.Generator, ledger: Ledger, share: Values, able: Flags) -> Index:
    """Deal each month's quotas to its people in random order; every count is within one of its quota.

    Someone who cannot succeed in the month dealt (the window has closed, or they are no longer there) gets the last
    earlier month that is possible if the window had closed, and fails otherwise.
    """
    month = ledger.diagnosed - ledger.diagnosed.min()
    order = np.lexsort((rng.random(len(month)), month))
    counts = np.bincount(month, minlength=len(share))
    place = np.empty(len(month))
    starts = np.cumsum(counts) - counts
    place[order] = np.arange(len(month)) - starts[month[order]] + rng.random(len(share))[month[order]]
    edges = np.cumsum(share, axis=1)[month]
    step = ((place % counts[month] / counts[month])[:, None] >= edges).sum(axis=1).astype(np.int32)
    failed = step >= share.shape[1]
    step = np.where(failed, 0, step)
    possible = able[np.arange(len(step)), step]
    return np.where(failed | ~possible, FAILED, step).astype(np.int32)
