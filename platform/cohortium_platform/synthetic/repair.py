"""The last few tenths of a point: changing single people's outcomes until the rates are close.

Here: a greedy search on exact counts. Quotas treat a month's people as alike; who died, moved or left makes small
differences, which matter in small populations. Not here: the quotas themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import Flags, Index, Values
from cohortium_platform.synthetic.quotas import FAILED, Goals, Ledger

__all__ = ["repair"]

_GOOD = 0.003
_LOOKED_AT = 800
_MOST_CHANGES = 400


def _errors(met: Values, over: Values, goals: Goals) -> Values:
    """Weighed sum of squared differences from the wanted rates, over the last axis."""
    reached = met / np.maximum(met + over, 1)
    return np.asarray((((reached - goals.rate) * goals.weight) ** 2).sum(axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class _Tally:
    """Where the rates stand: everyone's step, and what it counts at each month end."""

    step: Index
    done: Flags
    met: Values
    over: Values

    @classmethod
    def of(cls, ledger: Ledger, goals: Goals, step: Index) -> _Tally:
        """Count."""
        done = ledger.succeeded(goals, step)
        met, over = (ledger.met & done).sum(axis=0), (ledger.overdue & ~done).sum(axis=0)
        return cls(step, done, met.astype(np.float64), over.astype(np.float64))


def _best_change(ledger: Ledger, goals: Goals, tally: _Tally, able: Flags, looked: Index) -> tuple[int, int, float]:
    """Find, among the units looked at, the one whose new step lowers the error most. Gives unit, step and error."""
    choice = np.concatenate([[FAILED], np.arange(able.shape[1])])
    arrives = ledger.diagnosed[looked][:, None, None] + choice[None, :, None]
    done = (choice[None, :, None] != FAILED) & (arrives <= goals.month)
    before = tally.done[looked][:, None, :]
    met, over = ledger.met[looked][:, None, :], ledger.overdue[looked][:, None, :]
    more_met = (met & done).astype(np.float64) - (met & before)
    more_over = (over & ~done).astype(np.float64) - (over & ~before)
    error = _errors(tally.met + more_met, tally.over + more_over, goals)
    error[:, 1:][~able[looked]] = np.inf
    unit, option = divmod(int(np.argmin(error)), len(choice))
    return int(looked[unit]), int(choice[option]), float(error[unit, option])


def repair(rng: np.random.Generator, ledger: Ledger, goals: Goals, step: Index, able: Flags) -> Index:
    """Change outcomes one by one while that helps and a published month is more than 0.3 points away.

    `able` says which steps each unit may take; a unit with none keeps its failure.
    """
    step = step.copy()
    free = np.flatnonzero(able.any(axis=1))
    published = goals.weight >= 1
    for _ in range(_MOST_CHANGES if len(free) else 0):
        tally = _Tally.of(ledger, goals, step)
        off = np.abs(tally.met / np.maximum(tally.met + tally.over, 1) - goals.rate)
        if off[published].max(initial=0.0) <= _GOOD:
            break
        looked = np.sort(rng.choice(free, min(_LOOKED_AT, len(free)), replace=False)).astype(np.int32)
        unit, new, error = _best_change(ledger, goals, tally, able, looked)
        if error >= _errors(tally.met, tally.over, goals):
            break
        step[unit] = new
    return step
